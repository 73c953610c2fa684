"""Talking Points: single pixels into words, and words back onto pixels.

Importing the package registers its models with transformers' ``Auto`` classes.
"""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForUniversalSegmentation,
    AutoProcessor,
)

from .captioning import PanopticCaptioner
from .configuration_descriptor import PointDescriptorConfig
from .configuration_localizer import PointLocalizerConfig
from .configuration_segmenter import PanopticSegmenterConfig
from .encoded_photo import EncodedPhoto
from .image_processing_segmenter import PanopticSegmenterImageProcessor
from .images import load_image
from .inference import TalkingPoints
from .modeling_descriptor import PointDescriptor, PointDescriptorOutput
from .modeling_localizer import PointLocalizer, PointLocalizerOutput
from .modeling_segmenter import PanopticSegmenter, PanopticSegmenterOutput
from .pipelines import PanopticCaptioningPipeline, PointDescriptionPipeline, PointLocalizationPipeline
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import PointLocalizerProcessor
from .results import (
    CaptionedSegments,
    Description,
    Localization,
    Point,
    RegionDescription,
    RoundTrip,
    SegmentCaption,
)
from .segmenter import Segmenter

__version__ = "0.1.0"

AutoConfig.register("point_descriptor", PointDescriptorConfig)
AutoConfig.register("point_localizer", PointLocalizerConfig)
AutoModel.register(PointDescriptorConfig, PointDescriptor)
AutoModel.register(PointLocalizerConfig, PointLocalizer)
AutoModelForImageTextToText.register(PointDescriptorConfig, PointDescriptor)
AutoProcessor.register(PointDescriptorConfig, PointDescriptorProcessor)
AutoProcessor.register(PointLocalizerConfig, PointLocalizerProcessor)

AutoConfig.register("panoptic_segmenter", PanopticSegmenterConfig)
AutoModel.register(PanopticSegmenterConfig, PanopticSegmenter)
AutoModelForUniversalSegmentation.register(PanopticSegmenterConfig, PanopticSegmenter)
AutoImageProcessor.register(PanopticSegmenterConfig, image_processor_classes={"pil": PanopticSegmenterImageProcessor})

__all__ = [
    "CaptionedSegments",
    "Description",
    "EncodedPhoto",
    "Localization",
    "PanopticSegmenter",
    "PanopticSegmenterConfig",
    "PanopticSegmenterImageProcessor",
    "PanopticSegmenterOutput",
    "Point",
    "PanopticCaptioner",
    "PanopticCaptioningPipeline",
    "PointDescriptionPipeline",
    "PointDescriptor",
    "PointDescriptorConfig",
    "PointDescriptorOutput",
    "PointDescriptorProcessor",
    "PointLocalizationPipeline",
    "PointLocalizer",
    "PointLocalizerConfig",
    "PointLocalizerOutput",
    "PointLocalizerProcessor",
    "RegionDescription",
    "RoundTrip",
    "SegmentCaption",
    "Segmenter",
    "TalkingPoints",
    "load_image",
]
