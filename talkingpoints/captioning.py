"""Panoptic segmentation-captioning: every segment of a photo with its label, its mask and a text.

A universal segmentation model of transformers (the bundled one, Mask2Former, OneFormer, EoMT, ...) finds the segments,
the Point Descriptor says what each of them is, with the segment as its window in place of a point's. The task is that
of Pix2Cap-COCO (arXiv 2501.13893), whose model does both in one decoder.
"""

from dataclasses import replace

from .encoded_photo import EncodedPhoto, describe_places
from .images import ImageLike
from .modeling_descriptor import PointDescriptor
from .processing_descriptor import PointDescriptorProcessor
from .results import CaptionedSegments
from .segmenter import Segmenter


class PanopticCaptioner:
    """A segmenter and a descriptor: photo -> segments with texts.

    Example:
        >>> captioner = PanopticCaptioner(Segmenter.from_pretrained("facebook/mask2former-swin-tiny-coco-panoptic"),
        ...                               descriptor, descriptor_processor)
        >>> for segment in captioner(photo):
        ...     print(segment.label, segment.text)
    """

    def __init__(
        self, segmenter: Segmenter, descriptor: PointDescriptor, descriptor_processor: PointDescriptorProcessor
    ):
        self.segmenter = segmenter
        self.descriptor = descriptor.eval()
        self.descriptor_processor = descriptor_processor

    def __call__(self, image: ImageLike | EncodedPhoto, threshold: float | None = None) -> CaptionedSegments:
        """Find and describe the segments of a photo; each of the two models encodes it once.

        Args:
            image: PIL image, path, array, or a photo that the descriptor has encoded; EXIF orientation is applied.
            threshold: less sure segments are left out, 0..1; None takes the segmenter's own.

        Raises:
            ValueError: If the image cannot be read, or the threshold is out of range.
        """
        photo = image if isinstance(image, EncodedPhoto) else EncodedPhoto(image)
        found = self.segmenter.segments(photo.image, threshold)
        masks = [segment.mask for segment in found]
        texts = describe_places(self.descriptor, self.descriptor_processor, photo, "masks", masks)
        described = tuple(replace(segment, text=text) for segment, text in zip(found, texts, strict=True))
        return CaptionedSegments(described, found.id_map)
