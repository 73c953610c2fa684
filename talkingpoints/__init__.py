"""Talking Points: single pixels into words, and words back onto pixels.

Importing the package registers its models with transformers' ``Auto`` classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from .configuration_descriptor import PointDescriptorConfig
from .configuration_localizer import PointLocalizerConfig
from .images import load_image
from .inference import Description, Localization, Point, RegionDescription, RoundTrip, TalkingPoints
from .modeling_descriptor import PointDescriptor, PointDescriptorOutput
from .modeling_localizer import PointLocalizer, PointLocalizerOutput
from .pipelines import PointDescriptionPipeline, PointLocalizationPipeline
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import PointLocalizerProcessor

__version__ = "0.1.0"

AutoConfig.register("point_descriptor", PointDescriptorConfig)
AutoConfig.register("point_localizer", PointLocalizerConfig)
AutoModel.register(PointDescriptorConfig, PointDescriptor)
AutoModel.register(PointLocalizerConfig, PointLocalizer)
AutoModelForImageTextToText.register(PointDescriptorConfig, PointDescriptor)
AutoProcessor.register(PointDescriptorConfig, PointDescriptorProcessor)
AutoProcessor.register(PointLocalizerConfig, PointLocalizerProcessor)

__all__ = [
    "Description",
    "Localization",
    "Point",
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
    "TalkingPoints",
    "load_image",
]
