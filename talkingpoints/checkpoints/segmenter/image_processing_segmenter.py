"""Photos into the Panoptic Segmenter, and segments out of what it says of the pixels.

The whole photo fills the square input. Out: a thing is a connected piece of its label, as in the reference data
(components.py); pixels that were called a border between two things part the pieces and are then given to the nearest.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, PILImageResampling
from transformers.processing_utils import ImagesKwargs

from .mask_pieces import connected_pieces

LARGEST_SIDE = 640
"""Pieces are sought in maps up to this side; larger photos get theirs scaled."""


class PanopticSegmenterKwargs(ImagesKwargs, total=False):
    """Beside what every image processor takes: what :meth:`post_process_panoptic_segmentation` does by default."""

    label_ids_to_fuse: list[int] | None
    label_ids_alike: list[int] | None
    smallest_share: float | None
    score_threshold: float | None


class PanopticSegmenterImageProcessor(PilBackend):
    """Args:
    label_ids_to_fuse: labels that are one segment a photo (stuff).
    label_ids_alike: labels that are easily taken for one another (kinds of animals): each connected piece of them gets
        the one label that its pixels speak for most. Empty leaves each pixel its own.
    smallest_share: smaller things are dropped, in shares of the photo.
    score_threshold: less sure segments are dropped, 0 to 1.
    **kwargs: of every image processor: size, image_mean...
    """

    valid_kwargs = PanopticSegmenterKwargs
    resample = PILImageResampling.BICUBIC
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD
    size = {"height": 192, "width": 192}  # noqa: RUF012  transformers copies it
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True
    label_ids_to_fuse = [0]  # noqa: RUF012
    label_ids_alike = []  # noqa: RUF012
    smallest_share = 0.01
    score_threshold = 0.5

    def post_process_panoptic_segmentation(
        self,
        outputs: Any,
        threshold: float | None = None,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        label_ids_to_fuse: Collection[int] | None = None,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        smallest_share: float | None = None,
    ) -> list[dict[str, Any]]:
        """Segments, as transformers' own universal segmenters give them.

        Args:
            outputs: of the model, for B photos.
            threshold: less sure segments are dropped; None takes ``score_threshold``.
            mask_threshold, overlap_mask_area_threshold: transformers' pipeline gives them to every model; masks that
                neither compete nor overlap have no use for them.
            label_ids_to_fuse: labels that are one segment a photo; None takes the processor's.
            target_sizes: (height, width) of each photo; None leaves the segments at the size of the logits.
            smallest_share: things that cover less of the photo are dropped; None takes the processor's.

        Returns:
            For each photo ``segmentation``, int32 (height, width), 0 for pixels of no segment; and ``segments_info``, a
            dict for each segment: ``id`` from 1 upwards, ``label_id``, ``was_fused``, and ``score``, the mean
            probability of the label over the segment's pixels.

        Raises:
            ValueError: sizes for another number of photos.
        """
        logits = outputs.logits.detach().float().cpu()
        if target_sizes is not None and len(target_sizes) != len(logits):
            raise ValueError(f"target_sizes: {len(target_sizes)} sizes for {len(logits)} photos")
        threshold = self.score_threshold if threshold is None else threshold
        fused = set(self.label_ids_to_fuse if label_ids_to_fuse is None else label_ids_to_fuse)
        share = self.smallest_share if smallest_share is None else smallest_share
        results = []
        for i, one in enumerate(logits):
            height, width = one.shape[-2:] if target_sizes is None else target_sizes[i]
            scale = min(1.0, LARGEST_SIDE / max(height, width))
            sought = (max(1, round(height * scale)), max(1, round(width * scale)))
            scaled = torch.nn.functional.interpolate(one[None], size=sought, mode="bilinear", align_corners=False)
            probabilities = _agreed(scaled[0].softmax(0).numpy(), self.label_ids_alike)
            ids, infos = _segments(probabilities, fused, threshold, share)
            segmentation = torch.from_numpy(ids)
            if sought != (height, width):
                nearest = torch.nn.functional.interpolate(segmentation[None, None].float(), size=(height, width))
                segmentation = nearest[0, 0].to(torch.int32)
                there = set(segmentation.unique().tolist())
                infos = [info for info in infos if info["id"] in there]
            results.append({"segmentation": segmentation, "segments_info": infos})
        return results


def _agreed(probabilities: np.ndarray, alike: Sequence[int]) -> np.ndarray:
    """Probabilities of which each connected piece of some labels gives all that these have to one of them.

    Args:
        probabilities: (num_labels + 1, height, width); the last class is the border.
        alike: the labels.
    """
    alike = list(alike)
    if not alike:
        return probabilities
    border = len(probabilities) - 1
    group = probabilities[alike].sum(0)
    inside = group > np.delete(probabilities, [*alike, border], axis=0).max(0)
    pieces, areas = connected_pieces(inside & (probabilities[border] < group))
    if not len(areas):
        return probabilities
    pieces = _with_borders(pieces, inside)  # a border's second choice has to agree with the piece that it is given to
    agreed = probabilities.copy()
    for piece in range(1, len(areas) + 1):
        here = pieces == piece
        label = alike[int(probabilities[alike][:, here].sum(1).argmax())]
        for other in alike:
            agreed[other][here] = group[here] if other == label else 0.0
    return agreed


def _segments(
    probabilities: np.ndarray, fused: Collection[int], threshold: float, smallest_share: float
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Ids int32 (height, width) and segments of one photo.

    Args:
        probabilities: (num_labels + 1, height, width); the last class is the border.
        fused, threshold, smallest_share: see above.
    """
    border = len(probabilities) - 1
    labels = probabilities.argmax(0)
    likeliest = probabilities[:-1].argmax(0)
    ids = np.zeros(labels.shape, dtype=np.int32)
    infos: list[dict[str, Any]] = []
    for label in np.unique(likeliest).tolist():
        inside = likeliest == label
        if label in fused:
            pieces, areas = inside.astype(np.int32), np.array([inside.sum()])
        else:
            pieces, areas = connected_pieces(inside & (labels != border))
            if len(areas):
                pieces = _with_borders(pieces, inside)
                areas = np.bincount(pieces.ravel(), minlength=len(areas) + 1)[1:]
        for piece, area in enumerate(areas, start=1):
            if label not in fused and area < smallest_share * labels.size:
                continue
            here = pieces == piece
            score = float(probabilities[label][here].mean())
            if score >= threshold:
                ids[here] = len(infos) + 1
                infos.append({"id": len(infos) + 1, "label_id": label, "was_fused": label in fused, "score": score})
    return ids, infos


def _with_borders(pieces: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The pieces, with pixels of their label that are called a border given to the nearest piece."""
    left = inside & (pieces == 0)
    if not left.any():
        return pieces
    nearest = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    return np.where(left, pieces[tuple(nearest)], pieces)


PanopticSegmenterImageProcessor.register_for_auto_class("AutoImageProcessor")
