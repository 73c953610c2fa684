"""Readers of part datasets: each on drawn files in its layout, and on real ones where they lie."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from talkingpoints.data.readers.coco_masks import mask_of
from talkingpoints.dataset_builder.points.preparation import PreparationOptions, prepare_from
from talkingpoints.dataset_builder.sources.index_masks import released_names
from talkingpoints.dataset_builder.sources.kinds import LAYOUTS, open_source
from talkingpoints.dataset_builder.sources.names import object_name, part_name
from talkingpoints.dataset_builder.sources.pascal_part import pascal_part_name
from talkingpoints.dataset_builder.texts.rule_texts import rule_texts
from talkingpoints.writer.styles import STYLES
from tests.helpers.drawn_cars import drawn_cars

SIZE = (40, 60)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def save_photo(file: Path) -> None:
    save(file, np.full((*SIZE, 3), 120, dtype=np.uint8))


def coco(parts: list[dict], categories: list[dict]) -> dict:
    images = [{"id": 7, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}]
    return {"images": images, "annotations": [{"id": i, "image_id": 7, **p} for i, p in enumerate(parts)],
            "categories": categories}  # fmt: skip


def write_coco(root: Path, content: dict, split: str = "train") -> Path:
    save_photo(root / "images" / "a.png")
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root


def test_names():
    assert part_name("back_left_door") == "left back door"
    assert part_name("Quadruped Head", "quadruped") == "head"
    assert part_name("chest of drawers's leg", "chest of drawers") == "leg"
    assert part_name("Wheel_2") == "wheel" and part_name("Car Tier", "car") == "tyre"
    assert object_name("tvmonitor") == "television"
    with pytest.raises(ValueError, match="has no words"):
        part_name("12")


def test_coco_parts_as_drawn(tmp_path):
    drawn = drawn_cars(tmp_path / "cars", 3)
    source = open_source("coco_parts", tmp_path / "cars", "train")
    assert len(source) == 3
    for i, photo in enumerate(drawn):
        read = source[i]
        assert source.key(i) == read.key == f"cars/train/{photo.name}" and read.size == photo.size
        (item,) = read.objects
        assert item.label == "car" and set(item.parts) == set(photo.objects[0].parts)
        for name, mask in photo.objects[0].parts.items():
            # corners of the drawn polygons lie on pixel edges
            assert (item.parts[name] & mask).sum() == mask.sum()
            assert item.parts[name].sum() <= mask.sum() + 2 * sum(mask.shape)


def test_coco_owners(tmp_path):
    square = {"segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]], "category_id": 1}
    mirror = {"segmentation": [[20, 2, 30, 2, 30, 12]], "category_id": 2}
    names = [{"id": 0, "name": "_background_"}, {"id": 1, "name": "Fish Head", "supercategory": "Fish"}]
    mixed = coco([square, mirror, square | {"category_id": 0}], [*names, {"id": 2, "name": "left_mirror"}])
    root = write_coco(tmp_path, mixed)
    first = open_source("coco_parts", root, "train", label="car")[0]
    assert [(item.label, list(item.parts)) for item in first.objects] == [("fish", ["head"]), ("car", ["left mirror"])]
    with pytest.raises(ValueError, match="label: category 'left_mirror' has no supercategory"):
        open_source("coco_parts", root, "train")
    with pytest.raises(ValueError, match=r"has no annotations/val\.json"):
        open_source("coco_parts", root, "val")
    (root / "annotations" / "bad.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match="has no list 'annotations'"):
        open_source("coco_parts", root, "bad")
    with pytest.raises(ValueError, match="layout; allowed"):
        open_source("coco", root, "train")
    (root / "images" / "a.png").unlink()
    with pytest.raises(ValueError, match=r"'a\.png' is listed but not found"):
        open_source("coco_parts", root, "train", label="car")[0]


@pytest.mark.parametrize("remote", [False, True])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, remote):
    save_photo(tmp_path / "secret.png")
    root = tmp_path / "data" / "set"
    content = coco([{"segmentation": [[2, 2, 12, 2, 12, 12]], "category_id": 1}],
                   [{"id": 1, "name": "Fish Head", "supercategory": "Fish"}])  # fmt: skip
    place: str | Path = write_coco(root, content)
    bucket = fsspec.filesystem("memory")
    for wrong in ("../../secret.png", "../../../../secret.png", str(tmp_path / "secret.png")):
        content["images"][0]["file_name"] = wrong
        (root / "annotations" / "train.json").write_text(json.dumps(content))
        if remote:
            bucket.put(str(tmp_path), "/outside", recursive=True)
            place = "memory://outside/data/set"
        try:
            with pytest.raises(ValueError, match="lies outside the folder"):
                open_source("coco_parts", place, "train", cache=tmp_path / "a" / "cache")[0]
        finally:
            if remote:
                bucket.rm("/outside", recursive=True)
    assert not list((tmp_path / "a").rglob("secret.png"))
    content["images"][0]["file_name"] = "../images/a.png"  # stays inside
    (root / "annotations" / "train.json").write_text(json.dumps(content))
    assert open_source("coco_parts", root, "train")[0].image.resolve() == (root / "images" / "a.png").resolve()


def test_segmentations():
    polygon = mask_of([[10, 5, 30, 5, 30, 20, 10, 20]], SIZE, "here")
    assert polygon[12, 20] and not polygon[12, 40] and polygon.sum() == 300
    runs = [3, 2, 2395]
    assert np.flatnonzero(mask_of({"counts": runs, "size": SIZE}, SIZE, "here").ravel(order="F")).tolist() == [3, 4]
    with pytest.raises(ValueError, match="cover 5 pixels"):
        mask_of({"counts": [3, 2]}, SIZE, "here")
    with pytest.raises(ValueError, match="here: segmentation must be"):
        mask_of([[1, 2, 3]], SIZE, "here")
    for corner in (float("nan"), 1e9):
        with pytest.raises(ValueError, match=r"here: segmentation: (corners|a polygon lies far)"):
            mask_of([[1, 2, 3, 4, 5, corner]], SIZE, "here")


def test_run_lengths_as_text():
    # Written by hand after COCO's rleToString: values 2, 3, 4, then 7 - 3 = 4 and 40 - 4 = 36.
    def word(value: int) -> str:
        letters = ""
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            letters += chr((bits | 32 if more else bits) + 48)
            if not more:
                return letters

    runs = [2, 3, 4, 7, 40]
    text = "".join(word(v - (runs[i - 2] if i > 2 else 0)) for i, v in enumerate(runs))
    assert text[:3] == "234" and len(text) == 6  # 36 takes two characters
    mask = mask_of({"counts": text, "size": (7, 8)}, (7, 8), "here")
    expected = mask_of({"counts": runs, "size": (7, 8)}, (7, 8), "here")
    assert (mask == expected).all() and mask.sum() == 10


def test_pascal_part_codes():
    assert pascal_part_name("lfpa") == "left front paw" and pascal_part_name("rear") == "right ear"
    assert pascal_part_name("lleg") == "left leg" and pascal_part_name("llleg") == "left lower leg"
    assert pascal_part_name("wheel_2") == "wheel" and pascal_part_name("lebrow") == "left eyebrow"
    assert pascal_part_name("bliplate") == "back licence plate" and pascal_part_name("tail") == "tail"


def test_pascal_part_as_drawn(tmp_path):
    def cells(values: list[dict]) -> np.ndarray:
        names = list(values[0])
        array = np.empty((1, len(values)), dtype=[(name, object) for name in names])
        for i, value in enumerate(values):
            for name in names:
                array[name][0, i] = value[name]
        return array

    wheels = [rectangle(4, 20, 10, 26), rectangle(30, 20, 36, 26)]
    parts = [{"part_name": f"wheel_{i + 1}", "mask": wheel.astype(np.uint8)} for i, wheel in enumerate(wheels)]
    car = {"class": "car", "class_ind": 7, "mask": rectangle(2, 10, 40, 28).astype(np.uint8), "parts": cells(parts)}
    savemat(tmp_path / "x.mat", {"anno": {"imname": "x", "objects": cells([car])}})
    save_photo(tmp_path / "x.jpg")
    (item,) = open_source("pascal_part", tmp_path, "all")[0].objects
    assert item.label == "car" and list(item.parts) == ["wheel"]
    assert (item.parts["wheel"] == (wheels[0] | wheels[1])).all()
    with pytest.raises(ValueError, match=r"no train\.txt"):
        open_source("pascal_part", tmp_path, "train")
    (tmp_path / "train.txt").write_text("x\n")
    assert open_source("pascal_part", tmp_path, "train").photos == ["x"]
    (tmp_path / "x.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.mat is no PASCAL-Part file"):
        open_source("pascal_part", tmp_path, "all")[0]


def test_released_names():
    pascal, ade = released_names("pascal_part_116.json"), released_names("ade20k_part_234.json")
    assert (len(pascal), len(ade)) == (116, 234)
    # as the release numbers them
    assert pascal[0] == ("aeroplane", "body") and pascal[115] == ("television", "screen")
    assert pascal[42] == ("cat", "tail") and ade[24] == ("cabinet", "top") and ade[233] == ("light", "shade")


def test_pascal_part_116_as_released(tmp_path):
    parts, objects = np.full(SIZE, 255, dtype=np.uint8), np.full(SIZE, 255, dtype=np.uint8)
    for left in (2, 32):  # two cats, who do not touch
        objects[5:35, left : left + 24] = 7
        parts[5:15, left : left + 10] = 43
        parts[20:30, left : left + 10] = 45
    parts[0:3, 0:3] = 20  # a bottle's body on no bottle
    save(tmp_path / "annotations_detectron2_part" / "val" / "p.png", parts)
    save(tmp_path / "annotations_detectron2_obj" / "val" / "p.png", objects)
    save_photo(tmp_path / "images" / "val" / "p.jpg")
    photo = open_source("pascal_part_116", tmp_path, "val")[0]
    assert [(item.label, sorted(item.parts)) for item in photo.objects] == [("cat", ["head", "torso"])] * 2
    assert [int(np.flatnonzero(item.mask.any(axis=0))[0]) for item in photo.objects] == [2, 32]
    with pytest.raises(ValueError, match="has no PNG"):
        open_source("pascal_part_116", tmp_path, "train")


def test_ade20k_part_234_as_released(tmp_path):
    parts = np.full(SIZE, 65535, dtype=np.uint16)
    doors = [rectangle(2, 4, 20, 36), rectangle(30, 4, 50, 36)]
    for x in (10, 40):
        parts[18:22, x : x + 4] = 10  # a door's handle
    save(tmp_path / "annotations_detectron2_part" / "training" / "r.png", parts)
    save_photo(tmp_path / "images" / "training" / "r.jpg")
    polygons = [[[2, 4, 20, 4, 20, 36, 2, 36]], [[30, 4, 50, 4, 50, 36, 30, 36]]]
    content = {
        "images": [{"id": 1, "file_name": "r.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"id": i, "image_id": 1, "category_id": 17, "segmentation": p} for i, p in enumerate(polygons)],
        "categories": [{"id": 17, "name": "door"}],
    }
    (tmp_path / "ade20k_instance_train.json").write_text(json.dumps(content))
    photo = open_source("ade20k_part_234", tmp_path, "train")[0]
    assert [item.label for item in photo.objects] == ["door", "door"]
    for item, door in zip(photo.objects, doors, strict=True):
        assert (
            list(item.parts) == ["handle"] and (item.parts["handle"] & door).sum() == item.parts["handle"].sum() == 16
        )
    with pytest.raises(ValueError, match="split: 'test'; allowed"):
        open_source("ade20k_part_234", tmp_path, "test")


def test_own_masks(tmp_path):
    masks = np.zeros(SIZE, dtype=np.uint8)
    masks[5:15, 5:15], masks[5:15, 35:45], masks[20:30, 5:15] = 1, 1, 2
    save(tmp_path / "masks" / "m.png", masks)
    save_photo(tmp_path / "images" / "m.png")
    names = tmp_path / "names.json"
    names.write_text('{"1": "cup\'s handle", "2": ["cup", "left side"]}')
    (item,) = open_source("masks", tmp_path, "all")[0].objects
    assert item.label == "cup" and sorted(item.parts) == ["handle", "left side"] and item.mask.sum() == 300
    save(tmp_path / "objects" / "m.png", np.where(rectangle(0, 0, 30, 40), 1, 2).astype(np.uint8))
    left, right = open_source("masks", tmp_path, "all")[0].objects
    assert sorted(left.parts) == ["handle", "left side"] and list(right.parts) == ["handle"]
    names.write_text('{"1": "handle"}')
    with pytest.raises(ValueError, match="'handle' names no owner and part"):
        open_source("masks", tmp_path, "all")
    assert [item.label for item in open_source("masks", tmp_path, "all", label="mug")[0].objects] == ["mug", "mug"]
    save(tmp_path / "masks" / "m.png", np.zeros((*SIZE, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="mode RGB; allowed: L"):
        open_source("masks", tmp_path, "all", label="mug")[0]
    names.unlink()
    with pytest.raises(ValueError, match=r"no names\.json"):
        open_source("masks", tmp_path, "all")
    with pytest.raises(ValueError, match="is not a folder"):
        open_source("masks", tmp_path / "nowhere", "all")


def test_endings_in_capitals(tmp_path):
    masks = np.zeros(SIZE, dtype=np.uint8)
    masks[5:15, 5:15] = 1
    save(tmp_path / "masks" / "m.PNG", masks)
    save(tmp_path / "objects" / "m.PNG", masks)
    save_photo(tmp_path / "images" / "m.PNG")
    (tmp_path / "names.json").write_text('{"1": "cup\'s handle"}')
    bucket = fsspec.filesystem("memory")
    bucket.put(str(tmp_path), "/capitals", recursive=True)
    try:
        for place in (tmp_path, "memory://capitals"):
            photo = open_source("masks", place, "all", cache=tmp_path / "cache")[0]
            assert photo.image.name == "m.PNG" and list(photo.objects[0].parts) == ["handle"]
    finally:
        bucket.rm("/capitals", recursive=True)


def test_a_bucket_reads_like_a_folder(tmp_path):
    drawn_cars(tmp_path / "cars", 2)
    bucket = fsspec.filesystem("memory")
    bucket.put(str(tmp_path / "cars"), "/bucket/cars", recursive=True)
    try:
        source = open_source("coco_parts", "memory://bucket/cars", "train", cache=tmp_path / "cache")
        here = open_source("coco_parts", tmp_path / "cars", "train")
        for there, same in zip(source, here, strict=True):
            assert there.key == same.key and there.image.read_bytes() == same.image.read_bytes()
            assert there.image.is_relative_to(tmp_path / "cache")
        bucket.rm("/bucket/cars/images", recursive=True)
        assert source[0].image.is_file()  # fetched once
    finally:
        bucket.rm("/bucket", recursive=True)
    with pytest.raises(ValueError, match="needs a cache"):
        open_source("coco_parts", "memory://bucket/cars", "train")


@pytest.mark.parametrize(
    ("layout", "folder", "split", "photos", "label"),
    [
        ("coco_parts", "carparts", "test", 92, "car"),
        ("pascal_part", "pascal_part", "all", 18, None),
        ("coco_keypoints", "ap10k_sample", "test_ap10k", 2, None),
        ("coco_keypoints", "animalpose", "val", 216, None),
    ],
)
def test_real_files(data_root, layout, folder, split, photos, label):
    source = open_source(layout, data_root / folder, split, label=label)
    assert len(source) == photos and len(set(map(source.key, range(photos)))) == photos
    for i in range(0, photos, max(1, photos // 6)):
        photo = source[i]
        with Image.open(photo.image) as image:
            assert (image.height, image.width) == photo.size
        assert photo.key == source.key(i)
        for item in photo.objects:
            assert item.mask.shape == photo.size and item.mask.any()
            for name, mask in item.parts.items():
                assert mask.shape == photo.size and mask.any() and not any(c.isdigit() or c == "_" for c in name)
                assert (mask & item.mask).sum() >= 0.5 * mask.sum()  # hand-drawn: parts stick out a little
            for x, y in item.points.values():
                assert 0 <= x < photo.size[1] and 0 <= y < photo.size[0]


def test_real_pascal_parts(data_root):
    source = open_source("pascal_part", data_root / "pascal_part", "all")
    photos = [source[i] for i in range(len(source))]
    objects = [item for photo in photos for item in photo.objects]
    assert len(objects) == 53
    names = {name for item in objects for name in item.parts}
    assert {"left front paw", "right upper arm", "wheel", "muzzle", "left wing"} <= names
    codes = {name for name in names if len(name) < 6}
    assert codes <= {"head", "hair", "neck", "nose", "mouth", "torso", "tail", "door", "wheel", "beak", "body", "stern",
                     "front", "back", "cap"}  # fmt: skip


def test_every_pascal_part_is_written_of_in_every_style(data_root):
    source = open_source("pascal_part", data_root / "pascal_part", "all")
    tasks = [task for i in range(len(source)) for task in prepare_from(source, i, PreparationOptions()).tasks]
    one_of_each = {task.part: task for task in tasks}
    assert {"left upper arm", "right front lower leg"} <= set(one_of_each)
    for part, task in one_of_each.items():
        for style in STYLES:
            assert rule_texts(task, {style: 1.0}, 4, seed=0), (part, style)


def test_every_layout_has_a_test_here():
    text = Path(__file__).read_text()
    assert all(f'"{layout}"' in text for layout in LAYOUTS)
