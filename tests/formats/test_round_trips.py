"""Each format, written and read again: what has a place comes back, and losses are counted."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from talkingpoints.data.formats.conversion import detect, read_annotations, writable, write_annotations
from talkingpoints.data.formats.records import UNLABELLED, PhotoRecord, PointRecord

HELD = {
    "points": {"text", "label", "name", "group", "occluded", "score", "attributes", "split"},
    "cvat": {"text", "label", "name", "group", "occluded", "attributes", "split"},
    "datumaro": {"text", "label", "name", "group", "occluded", "split"},
    "coco": {"text", "label", "name", "group", "occluded", "split"},
    "label_studio": {"text", "label", "score"},
    "labelme": {"text", "label", "group"},
    "supervisely": {"text", "label", "attributes", "split"},
    "via": {"text", "label", "name", "group", "occluded", "score", "attributes"},
    "yolo": {"label", "name", "occluded", "split"},
}
"""What has a place in each format, whatever the points are; more of it comes back for some."""
LABEL_NEEDED = set(HELD) - {"points", "via"}
WORDS = {"text", "label", "name"}

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
names = st.sampled_from(["", "left ear", "right ear", "tail", "Nase, groß", '<"&'])


@st.composite
def photos(draw: st.DrawFn) -> list[PhotoRecord]:
    """One to three photos of up to 4000 pixels with up to five points each."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
        points = []
        for _ in range(draw(st.integers(1, 5))):
            points.append(
                PointRecord(
                    draw(st.floats(0, 1)) * width,
                    draw(st.floats(0, 1)) * height,
                    draw(texts),
                    draw(st.sampled_from(["", "dog", "Kuh, \u2028 braun", "=cat"])),
                    draw(names),
                    draw(st.sampled_from([None, 1, 2])),
                    draw(st.booleans()),
                    draw(st.none() | st.floats(0, 1)),
                    draw(st.dictionaries(st.sampled_from(["mood", "fur colour"]), texts.filter(bool), max_size=2)),
                )
            )
        split = draw(st.sampled_from(["train", "val"]))
        found.append(PhotoRecord(f"a {number}/cät.png", (height, width), points, split=split))
    return found


def same(wanted: Sequence[PointRecord], got: Sequence[PointRecord], size: tuple[int, int], held: set[str]) -> None:
    """Whether all points are there, in whatever order, as exactly as promised."""
    assert len(wanted) == len(got)
    left = list(got)
    for point in wanted:
        near = [
            one
            for one in left
            if abs(one.x - point.x) <= 0.5
            and abs(one.y - point.y) <= 0.5
            and all(getattr(one, field) == getattr(point, field) for field in held - {"group", "score"})
            and ("score" not in held or one.score == pytest.approx(point.score, abs=1e-5))
        ]
        assert near, f"{point} is not among {left}"
        best = min(near, key=lambda one: abs(one.x - point.x) + abs(one.y - point.y))
        for axis, side in (("x", size[1]), ("y", size[0])):  # three decimals of pixels, or eight of the side
            assert abs(getattr(best, axis) - getattr(point, axis)) <= max(5.1e-4, 1e-6 * side)
        left.remove(best)


def partition(points: Sequence[PointRecord]) -> list[list[tuple[float, float]]]:
    """Which points belong together."""
    groups: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        if point.group is not None:
            groups.setdefault(point.group, []).append((round(point.x), round(point.y)))
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def round_trip(name: str, given_photos: list[PhotoRecord], folder: Path) -> None:
    for photo in given_photos:  # formats without sizes look at the photos
        photo.path = folder / "given" / photo.file_name
        photo.path.parent.mkdir(parents=True)
        Image.new("1", (photo.size[1], photo.size[0])).save(photo.path)
        photo.points = list({(round(p.x), round(p.y), p.label): p for p in photo.points}.values())
    losses = write_annotations(given_photos, folder / "out", name, copy_photos=True)
    assert detect(folder / "out").name == name
    read = read_annotations(folder / "out")
    held = HELD[name]
    by_photo = {photo.file_name[-11:].replace("/", "_"): photo for photo in read.photos}
    assert len(by_photo) == len(given_photos)
    for photo in given_photos:
        got = by_photo[photo.file_name.replace("/", "_")]
        assert got.size == photo.size
        assert "split" not in held or got.split == photo.split
        label = UNLABELLED if name in LABEL_NEEDED else ""
        wanted = [replace(point, label=point.label or label) for point in photo.points]
        same(wanted, got.points, photo.size, held - {"split"})
        if "group" in held and name not in ("yolo",):
            assert partition(got.points) == partition(photo.points)
    points = [point for photo in given_photos for point in photo.points]
    if "text" not in held:
        assert losses["texts of points"] == sum(bool(point.text) for point in points)
    if "score" not in held and name != "coco":
        assert losses["scores of points"] == sum(point.score is not None for point in points)
    if name in LABEL_NEEDED:
        missing = sum(not point.label for point in points)
        assert losses[f"points without a label (written as {UNLABELLED!r})"] == missing


@pytest.mark.parametrize("name", writable())
def test_what_is_written_is_read_again(name: str) -> None:
    @settings(
        max_examples=int(os.environ.get("TALKINGPOINTS_EXAMPLES", "12")),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(photos())
    @example([PhotoRecord("a 0/cät.png", (3, 4), [PointRecord(1, 2, score=0.0)], split="train")])
    def check(given_photos: list[PhotoRecord]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            round_trip(name, given_photos, Path(folder))

    check()


@pytest.mark.parametrize("name", ["cvat", "datumaro", "coco", "yolo", "supervisely"])
def test_a_skeleton_stays_one_object(name: str, tmp_path: Path) -> None:
    points = [
        PointRecord(10, 20, "", "dog", "left ear", 1),
        PointRecord(30, 20.25, "", "dog", "tail", 1, occluded=True),
    ]
    points.append(PointRecord(50, 50, "", "dog", "left ear", 2))
    if name == "supervisely":  # its graphs have no mark for hidden keypoints
        points[1] = replace(points[1], occluded=False)
    folder = tmp_path
    photo = PhotoRecord("a.png", (90, 120), points, split="train", path=tmp_path / "a.png")
    Image.new("1", (120, 90)).save(photo.path)
    losses = write_annotations([photo], folder / "out", name, copy_photos=True)
    (got,) = read_annotations(folder / "out").photos
    assert losses["names of keypoints"] == (1 if name == "supervisely" else 0)  # of the one that stands alone
    same(points[:2], got.points[:2], (90, 120), {"label", "name", "occluded"})
    assert partition(got.points) == [[(10, 20), (30, 20)]]
