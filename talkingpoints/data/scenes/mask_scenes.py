"""COCO panoptic segments and PASCAL-Part masks -> scenes."""

from pathlib import Path

import numpy as np

from talkingpoints.data.readers.coco_panoptic import PanopticPhoto
from talkingpoints.dataset_builder.sources.pascal_part import PascalPart
from talkingpoints.dataset_builder.sources.source import Folder
from talkingpoints.writer.fluent.annotated_scene import (
    LEAST_DEPTH,
    NOTHING,
    UNLABELLED,
    AnnotatedScene,
    ScenePart,
    Thing,
    innermost,
    unit_box,
)
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon

LEAST_SEGMENT = 0.0015
"""Share of the photo: smaller segments are not spoken of."""
LEAST_PART = 12
"""Pixels."""


def panoptic_scene(photo: PanopticPhoto) -> AnnotatedScene:
    """Segments as things; stuff without a kind of its own is background, crowds and crumbs are not labelled."""
    ids = photo.id_map()
    owners = np.full(ids.shape, UNLABELLED, dtype=np.int16)
    things: list[Thing] = []
    for segment in photo.segments:
        mask, kind = ids == segment.id, lexicon().kind_of(segment.category)
        if kind == UNKNOWN and not segment.is_thing:
            owners[mask] = NOTHING
        elif not segment.is_crowd and mask.mean() >= LEAST_SEGMENT:
            noun = "" if kind != UNKNOWN else segment.category
            things.append(Thing(kind, unit_box(mask), noun=noun))
            owners[mask] = len(things)
    return AnnotatedScene(tuple(things), ids.shape, owners, np.zeros(ids.shape, np.int16))


def panoptic_uncounted(photo: PanopticPhoto) -> frozenset[str]:
    """Kinds of which a crowd or a crumb is in the photo, so that its things are not all of their kind."""
    limit = LEAST_SEGMENT * photo.size[0] * photo.size[1]
    return frozenset(lexicon().kind_of(s.category) for s in photo.segments if s.is_crowd or s.area < limit)


class PascalScenes:
    """PASCAL-Part photos as scenes, by number."""

    def __init__(self, folder: Path) -> None:
        self.source = PascalPart(Folder(folder), "all")

    def names(self) -> list[str]:
        """Names of the photos, without their endings."""
        return list(self.source.photos)

    def scene(self, number: int) -> tuple[Path, AnnotatedScene]:
        """The photo's file and its scene."""
        photo = self.source[number]
        owners, piece = (np.zeros(photo.size, dtype=np.int16) for _ in range(2))
        things: list[Thing] = []
        count = 0
        for item in sorted(photo.objects, key=lambda item: -item.mask.sum()):
            owners[item.mask] = len(things) + 1
            parts = []
            for name, mask in sorted(item.parts.items(), key=lambda pair: -pair[1].sum()):
                point, depth = innermost(mask)
                if mask.sum() >= LEAST_PART and depth >= LEAST_DEPTH:
                    count += 1
                    side, part = lexicon().part_of(name)
                    parts.append(ScenePart(part, side, point, unit_box(mask)))
                    piece[mask] = count
            things.append(Thing(lexicon().kind_of(item.label), unit_box(item.mask), tuple(parts)))
        return photo.image, AnnotatedScene(tuple(things), photo.size, owners, piece)
