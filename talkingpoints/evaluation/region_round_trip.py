"""Is a region's text good? The localizer, fed with it, should land inside the region's mask.

The region's side of the round trip that points have in protocol.py, with its control rows: the text of another segment
of the photos, and places that nobody read anything for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkingpoints.data.readers.coco_panoptic import PanopticPhoto
from talkingpoints.evaluation.metrics.bootstrap import Interval, bootstrap_mean
from talkingpoints.images import load_image
from talkingpoints.inference import TalkingPoints
from talkingpoints.points import pixel_at

ROWS = ("descriptor", "reference", "shuffled", "box_centre", "image_centre")
"""Whose text or place: the descriptor's given the mask, the annotation's, the annotation's of the next photo's segment,
the middle of the segment's box, and the middle of the photo."""


@dataclass(frozen=True)
class Landings:
    """Of n segments: the photo of each, whether it is a thing, its texts, and for each row whether it was hit."""

    photos: list[int]
    is_thing: list[bool]
    texts: list[str]
    hits: dict[str, list[bool]]

    def shares(self, seed: int = 0) -> dict[str, dict[str, Interval]]:
        """By row and kind the share that was hit, with an interval over photos; kinds without segments are left out."""
        photos, things = np.array(self.photos), np.array(self.is_thing)
        chosen = {"all": np.ones(len(things), bool), "things": things, "stuff": ~things}
        return {
            row: {
                kind: bootstrap_mean(np.array(hits, float)[here], photos[here], seed=seed)
                for kind, here in chosen.items()
                if here.any()
            }
            for row, hits in self.hits.items()
        }


def landings(tp: TalkingPoints, photos: Sequence[PanopticPhoto]) -> Landings:
    """Describe all segments given their masks, and look where the localizer finds each text.

    Args:
        tp: descriptor and localizer.
        photos: with a description for each segment.

    Raises:
        ValueError: a segment without a description, or a photo that cannot be read.
    """
    found = Landings([], [], [], {row: [] for row in ROWS})
    for number, photo in enumerate(photos):
        ids, image, segments = photo.id_map(), load_image(photo.image), photo.segments
        if not segments:
            continue
        following = next(p for i in range(1, len(photos) + 1) if (p := photos[(number + i) % len(photos)]).segments)
        texts = {
            "descriptor": [one.text for one in tp.describe(image, mask=[ids == s.id for s in segments])],
            "reference": [_description(photo, place) for place in range(len(segments))],
            "shuffled": [_description(following, place % len(following.segments)) for place in range(len(segments))],
        }
        middle = (image.width / 2, image.height / 2)
        places: Mapping[str, list[tuple[float, float]]] = {
            **{
                row: [(there.x, there.y) for there in tp.localize(image, [text or "-" for text in words])]
                for row, words in texts.items()
            },
            "box_centre": [((s.box[0] + s.box[2]) / 2, (s.box[1] + s.box[3]) / 2) for s in segments],
            "image_centre": [middle] * len(segments),
        }
        found.photos.extend([photo.image_id] * len(segments))
        found.is_thing.extend(segment.is_thing for segment in segments)
        found.texts.extend(texts["descriptor"])
        for row, points in places.items():
            there = [int(ids[pixel_at(point, ids.shape)]) for point in points]
            found.hits[row] += [number == segment.id for number, segment in zip(there, segments, strict=True)]
    return found


def _description(photo: PanopticPhoto, place: int) -> str:
    segment = photo.segments[place]
    if not segment.description:
        raise ValueError(f"image {photo.image_id}: segment {segment.id} has no description to compare with")
    return segment.description
