"""Points for FiftyOne and supervision; .ci/full has these packages, other runs skip what is not installed."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.formats.in_memory import from_fiftyone, to_fiftyone, to_supervision
from talkingpoints.data.formats.records import PhotoRecord, PointRecord

sys.path += [folder for folder in os.environ.get("TALKINGPOINTS_IN_MEMORY", "").split(":") if folder]

POINTS = [
    PointRecord(320, 240, "the nose", "dog", "nose", 1, score=0.5),
    PointRecord(10, 20, "the ear", "dog", "ear", 1, occluded=True),
    PointRecord(639.5, 479, "", "cat", attributes={"mood": "calm"}),
]


@pytest.fixture
def record(tmp_path: Path) -> PhotoRecord:
    Image.new("RGB", (640, 480)).save(tmp_path / "a.png")
    return PhotoRecord("a.png", (480, 640), list(POINTS), split="train", path=tmp_path / "a.png")


def test_fiftyone_there_and_back(record: PhotoRecord) -> None:
    pytest.importorskip("fiftyone")
    samples = to_fiftyone([record])
    assert samples[0]["points"].keypoints[0].points == [[0.5, 0.5]]
    (photo,) = from_fiftyone(samples).photos
    assert (photo.points, photo.split, photo.size) == (POINTS, "train", (480, 640))
    samples[0]["points"].keypoints[0].points.append([float("nan"), float("nan")])
    samples[0]["points"].keypoints[0].confidence.append(0.0)
    assert from_fiftyone(samples).photos[0].points == POINTS  # NaN: a keypoint that is not there
    with pytest.raises(ValueError, match="not at hand"):
        to_fiftyone([replace(record, path=None)])


def test_supervision(record: PhotoRecord) -> None:
    supervision = pytest.importorskip("supervision")
    found = to_supervision(record)
    assert found.xy.shape == (2, 3, 2) and found.xy[0, 0].tolist() == [320, 240]
    assert found.data["text"][0].tolist() == ["the nose", "the ear", ""] and found.data["label"].tolist() == [
        "dog",
        "cat",
    ]
    drawn = supervision.VertexAnnotator().annotate(np.zeros((480, 640, 3), np.uint8), found)
    assert drawn[240, 320].any()
    assert len(to_supervision(replace(record, points=[]))) == 0


def test_what_is_not_installed_is_named(record: PhotoRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="supervision"):
        to_supervision(record)
