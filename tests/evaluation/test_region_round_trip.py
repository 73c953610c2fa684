"""The round trip of regions: who lands inside which mask, by hand, and the script on drawn segments."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.evaluation.region_round_trip import ROWS, landings
from tests.helpers.drawn_panoptic import drawn_panoptic
from training.reports import evaluate_region_trips


class Reader:
    """Describes a mask by its middle pixel, and finds such texts again; annotations' texts it finds at (0, 0)."""

    def describe(self, image, mask) -> list[SimpleNamespace]:
        middles = [np.argwhere(one)[one.sum() // 2] for one in mask]
        return [SimpleNamespace(text=f"{x} {y}") for y, x in middles]

    def localize(self, image, texts: list[str]) -> list[SimpleNamespace]:
        places = [tuple(map(int, t.split())) if t[0].isdigit() else (0, 0) for t in texts]
        return [SimpleNamespace(x=float(x), y=float(y)) for x, y in places]


def test_who_lands_where(tmp_path: Path) -> None:
    file = drawn_panoptic(tmp_path, n=3)
    photos = list(PanopticPhotos(file, tmp_path / "val"))
    found = landings(Reader(), photos)
    assert set(found.hits) == set(ROWS)
    assert len(found.photos) == sum(len(photo.segments) for photo in photos) == len(found.texts)
    assert all(found.hits["descriptor"])
    assert not any(found.hits["reference"])  # (0, 0) is void in the drawn photos
    shares = found.shares()
    assert shares["descriptor"]["all"].mean == 1 and shares["reference"]["things"].mean == 0
    centred = [s.id for photo in photos for s in photo.segments if photo.id_map()[48, 64] == s.id]
    assert sum(found.hits["image_centre"]) == len(centred)
    silent = replace(photos[0], segments=tuple(replace(s, description=None) for s in photos[0].segments))
    with pytest.raises(ValueError, match="has no description"):
        landings(Reader(), [silent])


def test_the_script_writes_its_report(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    file = drawn_panoptic(tmp_path, n=2)
    flags = ["--annotations", str(file), "--photos", str(tmp_path / "val"), "--output", str(tmp_path / "out.json")]
    evaluate_region_trips.main([*flags, "--descriptor", str(pair[0]), "--localizer", str(pair[1])])
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["photos"] == 2 and set(report["inside"]) == set(ROWS)
    assert 0 <= report["inside"]["descriptor"]["things"]["share"] <= 100
