"""Points of the four kinds lie where they should, their skeletons are true, and balancing is fair."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints.dataset_builder.points.balance import allotments, balanced_keys, group_of
from talkingpoints.dataset_builder.points.part_masks import BORDER_PX, Texture, pieces_of, points_in
from talkingpoints.dataset_builder.points.preparation import PreparationOptions, PreparedPhoto, prepare_photo, split_of
from talkingpoints.dataset_builder.points.prepared import PreparedPhotos
from talkingpoints.dataset_builder.points.tasks import KINDS, PartObject, PartPhoto, PointTask
from talkingpoints.dataset_builder.texts.rule_texts import rule_texts
from talkingpoints.writer.styles import ALL_STYLES
from tests.helpers.drawn_cars import drawn_cars

SIZE = (120, 200)


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def photo_of(tmp_path: Path, pixels: np.ndarray, *objects: PartObject, name: str = "p") -> PartPhoto:
    file = tmp_path / f"{name}.png"
    Image.fromarray(pixels).save(file)
    return PartPhoto("drawn", "train", name, file, SIZE, objects)


def grey(value: int = 120) -> np.ndarray:
    return np.full((*SIZE, 3), value, dtype=np.uint8)


def blob(pixels: np.ndarray, x: int, y: int, radius: int, value: int) -> None:
    ys, xs = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    pixels[(xs - x) ** 2 + (ys - y) ** 2 <= radius**2] = value


def kinds_of(mask: np.ndarray, pixels: np.ndarray, per_kind: int = 1, seed: int = 0) -> dict[str, list]:
    (piece,) = pieces_of(mask)
    found: dict[str, list] = {}
    for kind, x, y in points_in(piece, Texture(pixels), per_kind, np.random.default_rng(seed)):
        found.setdefault(kind, []).append((x, y))
    return found


def test_sift_finds_the_strongest_spot_inside():
    pixels = grey()
    blob(pixels, 60, 60, 4, 255)
    blob(pixels, 100, 50, 4, 150)  # weaker
    blob(pixels, 150, 60, 4, 255)  # as strong, outside
    mask = box(30, 20, 125, 100)
    ((x, y),) = kinds_of(mask, pixels)["sift"]
    assert np.hypot(x - 60.5, y - 60.5) < 2
    mask[:, 52:70] = False  # the strongest is gone: two pieces now, one with the weaker blob
    left, right = sorted(pieces_of(mask), key=lambda piece: piece.left)
    found = {kind: (x, y) for kind, x, y in points_in(right, Texture(pixels), 1, np.random.default_rng(0))}
    assert np.hypot(found["sift"][0] - 100.5, found["sift"][1] - 50.5) < 2
    assert "sift" not in [kind for kind, *_ in points_in(left, Texture(pixels), 1, np.random.default_rng(0))]


def test_sift_keeps_off_the_outline():
    pixels = grey()
    blob(pixels, 62, 60, 3, 255)  # in the part, by its edge
    assert "sift" not in kinds_of(box(60, 20, 140, 100), pixels)


def test_smooth_parts_get_evenly_spread_points():
    found = kinds_of(box(20, 20, 180, 100), grey(), per_kind=4)
    assert len(found["even"]) == 4 and "sift" not in found
    points = np.array(found["even"])
    gaps = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1000 * np.eye(4)
    assert gaps.min() > 25  # four in the inner 120 x 40
    noisy = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    assert "even" not in kinds_of(box(20, 20, 180, 100), noisy)


def test_thin_parts_get_points_on_their_middle_line():
    tail = box(20, 60, 160, 68)
    for x, y in kinds_of(tail, grey(), per_kind=3)["medial"]:
        assert abs(y - 64) <= 1 and 22 < x < 158
    assert "medial" not in kinds_of(box(40, 20, 130, 100), grey())


def test_border_points_lie_on_the_outline_but_not_on_the_photos_edge():
    mask = box(0, 30, 100, 120)  # touches the photo's left and lower edge
    for x, y in kinds_of(mask, grey(), per_kind=8)["border"]:
        assert mask[int(y), int(x)] and x > BORDER_PX and y < SIZE[0] - BORDER_PX
        assert y - 30 <= BORDER_PX or 100 - x <= BORDER_PX


def test_a_pixel_is_one_point():
    """In a small smooth part the kinds' places overlap."""
    coinciding = 0
    for seed in range(20):
        found = [point for points in kinds_of(box(40, 40, 45, 45), grey(), 6, seed).values() for point in points]
        pixels = {(int(x), int(y)) for x, y in found}
        assert len(pixels) == len(found)
        coinciding += len(found) < 12
    assert coinciding, "some were chosen twice"


def test_crumbs_get_no_points():
    mask = box(20, 20, 80, 80) | box(150, 50, 152, 52)
    assert len(pieces_of(mask)) == 1 and pieces_of(box(5, 5, 8, 8)) == []


@pytest.fixture
def two_cups(tmp_path):
    """Two cups, each with a handle on its right; the left one is larger."""
    left = PartObject("cup", box(10, 10, 90, 110), {"body": box(10, 10, 70, 110), "handle": box(70, 40, 90, 60)})
    right = PartObject("cup", box(130, 50, 180, 100), {"body": box(130, 50, 168, 100), "handle": box(168, 60, 180, 80)})
    pixels = grey(200)
    pixels[left.mask | right.mask] = (200, 30, 30)
    return photo_of(tmp_path, pixels, left, right)


def test_skeletons_are_true(two_cups):
    tasks = prepare_photo(two_cups, PreparationOptions(per_kind=4)).tasks
    assert {(task.object_index, task.part) for task in tasks} == {(i, p) for i in (0, 1) for p in ("body", "handle")}
    for task in tasks:
        skeleton, facts = task.skeleton, task.skeleton.facts
        assert (facts.label, facts.n_same, facts.part) == ("cup", 2, task.part)
        assert facts.which == ("left" if task.object_index == 0 else "right")
        assert facts.size == ("larger" if task.object_index == 0 else "smaller")
        x0, y0, x1, y1 = task.part_box
        x, y = task.point_px
        assert x0 <= x < x1 and y0 <= y < y1 and two_cups.objects[task.object_index].parts[task.part][int(y), int(x)]
        assert skeleton.spot_column == min(2, int(3 * (x - x0) / (x1 - x0)))
        assert skeleton.spot_row == min(2, int(3 * (y - y0) / (y1 - y0)))
        assert (skeleton.part_column == 2) == (task.part == "handle")
        for near in skeleton.neighbours:
            assert near.name == ("body" if task.part == "handle" else "handle")
            assert task.part != "handle" or "right" in near.direction
        if skeleton.edge is not None:
            gaps = {"left": x - x0, "right": x1 - x, "above": y - y0, "below": y1 - y}
            assert any(gap == min(gaps.values()) and side in skeleton.edge for side, gap in gaps.items())
        assert not re.search(r"\d", skeleton.text)
        assert f"the {facts.which} one of two cups" in skeleton.text.lower()
    kinds = Counter(task.kind for task in tasks)
    assert kinds["border"] and kinds["even"] and set(kinds) <= set(KINDS)
    edges = {task.skeleton.edge is not None for task in tasks if task.kind == "border"}
    assert edges == {True}


def test_pieces_of_a_part_are_told_apart(tmp_path):
    wheels = box(30, 70, 50, 90) | box(130, 70, 150, 90)
    car = PartObject("car", box(10, 30, 180, 95), {"wheel": wheels, "roof": box(50, 30, 130, 40)})
    tasks = prepare_photo(photo_of(tmp_path, grey(), car), PreparationOptions()).tasks
    for task in (task for task in tasks if task.part == "wheel"):
        side = "left" if task.point_px[0] < 90 else "right"
        assert (task.skeleton.n_pieces, task.skeleton.which_piece) == (2, side)
        assert f"of two separate pieces of its wheel, the {side} one in the photo" in task.skeleton.text.lower()
        assert task.part_box == ((30, 70, 50, 90) if side == "left" else (130, 70, 150, 90))


def test_an_annotated_point_is_its_own_part(tmp_path):
    dog = PartObject("dog", box(10, 10, 150, 110), {}, {"left eye": (130.25, 30.5), "root of tail": (20.0, 50.0)})
    eye, tail = prepare_photo(photo_of(tmp_path, grey(), dog), PreparationOptions()).tasks
    assert (eye.kind, eye.point_px, eye.part) == ("keypoint", (130.25, 30.5), "left eye")
    assert eye.skeleton.spot_column is None and eye.skeleton.edge is None and "The point is" not in eye.skeleton.text
    assert "the base of its tail, in the middle left of the dog" in tail.skeleton.text.lower()


def test_preparation_depends_on_photo_and_seed_alone(two_cups, tmp_path):
    options = PreparationOptions(per_kind=2, seed=3)
    first = prepare_photo(two_cups, options)
    assert first == prepare_photo(two_cups, options)
    assert first != prepare_photo(two_cups, PreparationOptions(per_kind=2, seed=4))
    assert PreparedPhoto.from_json(json.loads(json.dumps(first.to_json()))) == first
    keys = [task.key for task in first.tasks]
    assert len(set(keys)) == len(keys) and all(key.startswith("drawn/train/p/") for key in keys)
    Image.fromarray(grey()[:50]).save(two_cups.image)
    with pytest.raises(ValueError, match=r"p\.png: the photo has \(50, 200\) pixels, its masks \(120, 200\)"):
        prepare_photo(two_cups, options)
    with pytest.raises(ValueError, match="per_kind: 0"):
        PreparationOptions(per_kind=0)
    with pytest.raises(ValueError, match="val_share, test_share"):
        PreparationOptions(val_share=0.6, test_share=0.4)


def test_splits_are_by_photo(tmp_path):
    options = PreparationOptions(val_share=0.2, test_share=0.3)
    photos = [PartPhoto("d", "train", str(i), tmp_path / "x", SIZE, ()) for i in range(2000)]
    counts = Counter(split_of(photo, options) for photo in photos)
    assert abs(counts["val"] - 400) < 60 and abs(counts["test"] - 600) < 70
    assert split_of(PartPhoto("d", "test", "0", tmp_path / "x", SIZE, ()), options) == "test"
    theirs = PartPhoto("d", "val2017", "0", tmp_path / "x", SIZE, ())
    with pytest.raises(ValueError, match="what 'val2017' is its name does not say; write val2017=train"):
        split_of(theirs, options)
    assert split_of(theirs, PreparationOptions(roles={"val2017": "val"})) == "val"
    with pytest.raises(ValueError, match="splits: 'val2017' cannot be 'valid'; allowed"):
        PreparationOptions(roles={"val2017": "valid"})
    assert split_of(PartPhoto("d", "all", "0", tmp_path / "x", SIZE, ()), PreparationOptions()) == "train"


def test_rule_texts(tmp_path):
    tasks = [
        task for photo in drawn_cars(tmp_path, 2) for task in prepare_photo(photo, PreparationOptions(per_kind=2)).tasks
    ]
    styles = dict.fromkeys(ALL_STYLES, 1.0)
    spots = 0
    for task in tasks:
        texts = rule_texts(task, styles, 6, seed=1, spot=1.0)
        assert texts == rule_texts(task, styles, 6, seed=1, spot=1.0)
        assert len({text for _, text in texts}) == len(texts) >= 2
        for style, text in texts:
            assert not re.search(r"\d", text) and text.strip()
            placed = style in ("full", "reordered", "canonical")
            assert (f" of the {task.part}" in text.rpartition("It is in the ")[2]) == placed
            spots += placed
    assert spots > 20
    assert rule_texts(tasks[0], {"full": 1.0}, 3, 1) != rule_texts(tasks[0], {"full": 1.0}, 3, 2)
    with pytest.raises(ValueError, match="style"):
        rule_texts(tasks[0], {"rude": 1.0}, 1, 1)


def test_allotments_are_fair():
    counts = {("car", "hood", "sift"): 90, ("car", "mirror", "sift"): 10, ("cup", "handle", "border"): 5}
    assert allotments(counts, 1000) == counts
    # cups have five; of the cars' fifteen the mirrors get half, rounded down
    kept = allotments(counts, 20)
    assert kept[("cup", "handle", "border")] == 5 and kept[("car", "mirror", "sift")] == 7
    assert sum(kept.values()) == 20
    many = {("car", f"part{i}", kind): 50 for i in range(5) for kind in ("sift", "border")}
    assert set(allotments(many, 100).values()) == {10}


def test_balanced_points_do_not_depend_on_their_order(tmp_path):
    tasks = [
        task for photo in drawn_cars(tmp_path, 4) for task in prepare_photo(photo, PreparationOptions(per_kind=3)).tasks
    ]
    counts = Counter(map(group_of, tasks))
    kept = balanced_keys(tasks, allotments(counts, 40), seed=0)
    assert len(kept) == 40 and kept == balanced_keys(tasks[::-1], allotments(counts, 40), seed=0)
    assert kept != balanced_keys(tasks, allotments(counts, 40), seed=1)
    by_part = Counter(task.part for task in tasks if task.key in kept)
    assert max(by_part.values()) - min(by_part.values()) <= 1


def test_prepared_photos_go_on_where_they_were_cut(tmp_path):
    photos = [prepare_photo(photo, PreparationOptions()) for photo in drawn_cars(tmp_path / "cars", 3)]
    file = tmp_path / "work" / "prepared.jsonl"
    prepared = PreparedPhotos(file, {"seed": 0})
    for photo in photos:
        prepared.add(photo)
    whole = file.read_bytes()
    with pytest.raises(ValueError, match="two photos are called"):
        prepared.add(photos[0])
    file.write_bytes(whole[:-25])  # a kill in the middle of the last line
    again = PreparedPhotos(file, {"seed": 0})
    assert len(again) == 2 and photos[2].key not in again and list(again) == photos[:2]
    again.add(photos[2])
    assert file.read_bytes() == whole
    with pytest.raises(ValueError, match="made with other options"):
        PreparedPhotos(file, {"seed": 1})
    file.write_bytes(whole + whole.splitlines(keepends=True)[1])  # two runs wrote at once
    with pytest.raises(ValueError, match="'cars/train/train_001' is there twice"):
        PreparedPhotos(file, {"seed": 0})
    file.write_bytes(b'{"se')  # killed while the header was written
    assert len(PreparedPhotos(file, {"seed": 0})) == 0


def test_tasks_refuse_unknown_fields(two_cups):
    values = prepare_photo(two_cups, PreparationOptions()).tasks[0].to_json()
    with pytest.raises(TypeError, match="mood"):
        PointTask.from_json({**values, "mood": "good"})


def test_real_points_lie_in_their_parts(data_root):
    from talkingpoints.dataset_builder.sources.kinds import open_source

    source = open_source("coco_parts", data_root / "carparts", "test", label="car")
    kinds: Counter[str] = Counter()
    for i in range(0, 24, 3):
        photo = source[i]
        for task in prepare_photo(photo, PreparationOptions()).tasks:
            x, y = task.point_px
            assert photo.objects[task.object_index].parts[task.part][int(y), int(x)]
            assert not re.search(r"\d", task.skeleton.text)
            kinds[task.kind] += 1
    assert min(kinds[kind] for kind in ("sift", "even", "medial", "border")) >= 5
