"""Readers, imports, codec and processors on whatever may come: only errors that are documented.

Each test changes valid files in a few places, or makes files up, so many times as TALKINGPOINTS_FUZZ says (default 40);
an hour's run: ``TALKINGPOINTS_FUZZ=20000 python -m pytest tests/test_fuzzing.py --timeout 0``.
"""

import copy
import json
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from space import kept
from space.photos import Photo
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.data.readers.coco_masks import check_segmentation, mask_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.data.readers.custom_points import check_group
from talkingpoints.data.readers.point_folders import read_folder, stream_folder
from talkingpoints.data.readers.region_captions import checked_photos, coco_regions, visual_genome_regions
from talkingpoints.data.validation.files import csv_rows, csv_text, json_line, json_rows
from talkingpoints.data.validation.findings import Findings
from talkingpoints.dataset_builder.sources.kinds import open_source
from talkingpoints.evaluation.benchmarks.region_tasks import vip_bench, visual_genome
from talkingpoints.evaluation.free_texts import read_free_texts
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER
from talkingpoints.llm.requests import without_reasoning
from talkingpoints.points import location_bins, location_tokens, read_location_tokens
from tests.helpers.drawn import drawn_dataset
from tests.helpers.drawn_cars import drawn_cars
from tests.helpers.drawn_panoptic import drawn_panoptic

EXAMPLES = int(os.environ.get("TALKINGPOINTS_FUZZ", "40"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 100, suppress_health_check=list(HealthCheck)
)
"""The same examples each time, but in long runs."""

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\ud800", "../../x.png", "/etc/passwd", "a\0b", "x" * 5000, "", " ", "\u2028", "=1+1", "nan"]),
)
NUMBERS = st.one_of(
    st.floats(width=64), st.integers(), st.sampled_from([0, -1, 10**400, 2**63, 1e308, -0.0, float("nan"), 2**31, True])
)
LEAVES = st.one_of(st.none(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
DOCUMENTED = (ValueError,)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths to everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in places(one, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, valid: Any) -> Any:
    """A JSON value with a few places changed, taken out, or doubled."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(value)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(VALUES)
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        kind = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        if kind == "replace":
            parent[path[-1]] = draw(VALUES)
        elif kind == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(parent[path[-1]])
    return value


def check(run: Callable[[], Any]) -> None:
    """Run what may raise documented errors only, with a message."""
    try:
        run()
    except DOCUMENTED as error:
        assert str(error)
        str(error).encode()  # can be printed


def fuzzed(file: Path, run: Callable[[], Any]) -> None:
    """Change a JSON file again and again, and read it."""
    valid = json.loads(file.read_text(encoding="utf-8"))

    @FUZZ
    @given(changed(valid))
    def attempt(value: Any) -> None:
        file.write_text(json.dumps(value), encoding="utf-8")
        check(run)

    attempt()


def test_coco_keypoints(tmp_path: Path) -> None:
    folder = drawn_dataset(tmp_path, n=2)

    def run() -> None:
        findings = Findings()
        rows = load_keypoints(folder, "train", findings)
        assert all(row["image"].size == (row["width"], row["height"]) for row in rows)
        load_keypoints(folder, "train")

    fuzzed(folder / "annotations" / "train.json", run)


def test_panoptic(tmp_path: Path) -> None:
    file = drawn_panoptic(tmp_path, n=1)
    fuzzed(file, lambda: [photo.id_map() for photo in PanopticPhotos(file, tmp_path / "val")])


def regions(tmp_path: Path) -> dict[str, Any]:
    Image.new("RGB", (30, 20)).save(tmp_path / "1.jpg")
    image = {"id": 1, "file_name": "1.jpg", "width": 30, "height": 20, "caption": "all"}
    annotations = [
        {"id": 1, "image_id": 1, "bbox": [1, 1, 9, 9], "caption": "a", "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {"id": 2, "image_id": 1, "bbox": [1, 1, 9, 9], "caption": "b",
         "segmentation": {"size": [20, 30], "counts": [21, 3, 576]}},
        {"id": 3, "image_id": 1, "bbox": [1, 1, 9, 9], "sentences": [{"raw": "c"}, {"sent": "d"}, "e"]},
    ]  # fmt: skip
    return {"images": [image], "annotations": annotations}


def test_captioned_regions_and_visual_genome_tasks(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps(regions(tmp_path)))

    def run() -> None:
        findings = Findings()
        for photo in checked_photos(coco_regions(file, tmp_path, findings), "r", findings):
            photo.masks(range(len(photo.regions)), (20, 30))
        check(lambda: visual_genome(file, tmp_path))

    fuzzed(file, run)


def test_region_descriptions(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "1.jpg")
    region = {"region_id": 1, "phrase": "a roof", "x": 1, "y": 2, "width": 3, "height": 4}
    (tmp_path / "g.json").write_text(json.dumps([{"id": 1, "regions": [region, region]}]))
    fuzzed(tmp_path / "g.json", lambda: visual_genome_regions(tmp_path / "g.json", tmp_path, Findings()))


def test_part_instances(tmp_path: Path) -> None:
    drawn_cars(tmp_path / "cars", 1)

    def run() -> None:
        source = open_source("coco_parts", tmp_path / "cars", "train")
        _ = [source[i] for i in range(len(source))]

    fuzzed(tmp_path / "cars" / "annotations" / "train.json", run)


def test_vip_bench(tmp_path: Path) -> None:
    meta = {"v1_0": {"question": "What is <obj>?", "answer": "x", "capability": ["rec"], "image_source": "0.png"}}
    for folder in ("bbox", "source_image"):
        (tmp_path / folder).mkdir()
    question = {"question_id": 0, "image": "0.png", "text": "What?"}
    (tmp_path / "bbox" / "questions.jsonl").write_text(json.dumps(question) + "\n")
    shape = {"label": "obj", "shape_type": "rectangle", "points": [[1, 2], [3, 4]]}
    for name, value in (("vip-bench-meta-data.json", meta), ("source_image/0.json", {"shapes": [shape]})):
        (tmp_path / name).write_text(json.dumps(value))
    for name, value in (("vip-bench-meta-data.json", meta), ("source_image/0.json", {"shapes": [shape]})):
        fuzzed(tmp_path / name, lambda: vip_bench(tmp_path))
        (tmp_path / name).write_text(json.dumps(value))


def test_free_texts(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps([{"image": "a.png", "text": "ear", "x": 1, "y": 2.5, "dataset": "d"}]))
    fuzzed(file, lambda: read_free_texts(file))


@FUZZ
@given(
    st.one_of(
        VALUES,
        st.fixed_dictionaries({"counts": st.one_of(st.text(string.printable), VALUES), "size": VALUES}),
        st.lists(st.lists(NUMBERS, max_size=8), max_size=2),
    )
)
def test_segmentations(segmentation: Any) -> None:
    check(lambda: check_segmentation(segmentation, (20, 30)))
    check(lambda: mask_of(segmentation, (20, 30), "here"))


CELLS = st.dictionaries(
    st.sampled_from(["file_name", "x", "y", "text", "label", "points", "other"]),
    st.one_of(VALUES, st.sampled_from(["0.png", "5", 5, [[1, 2]], ["a", "b"]])),
)
TABLES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(CELLS, max_size=4).map(lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode()),
    st.lists(st.lists(st.text(max_size=8), max_size=6), max_size=4).map(
        lambda rows: ("file_name,x,y,text\n" + "\n".join(map(",".join, rows))).encode("utf-8", "surrogatepass")
    ),
)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_tables_of_points(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "0.png")

    @FUZZ
    @given(TABLES)
    def attempt(content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        check(lambda: read_folder(tmp_path).problems.settle(skip_bad_rows=False))
        check(lambda: [check_group(group) for group in stream_folder(tmp_path)])

    attempt()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "txt"])
def test_imports_of_the_app(tmp_path: Path, suffix: str) -> None:
    photo = Photo(Image.new("RGB", (40, 20)), (20, 40), "0.png")

    @FUZZ
    @given(TABLES)
    def attempt(content: bytes) -> None:
        (tmp_path / f"a.{suffix}").write_bytes(content)
        check(lambda: kept.read_file(tmp_path / f"a.{suffix}", (), photo))

    attempt()


@FUZZ
@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_what_is_exported_is_read_back(rows: list[tuple[str, str]]) -> None:
    given_rows = [{"text": text, "label": label} for text, label in rows]
    assert [row for _, row in csv_rows(csv_text(["text", "label"], given_rows))[1]] == given_rows
    assert [row for _, row in json_rows("".join(map(json_line, given_rows)))] == given_rows


@FUZZ
@given(st.text(), st.lists(NUMBERS, min_size=2, max_size=2))
def test_the_codec(text: str, point: list[Any]) -> None:
    check(lambda: read_location_tokens(text))
    check(lambda: without_reasoning(text))
    check(lambda: location_bins(point))


@FUZZ
@given(st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_the_codec_inverts(point: tuple[float, float]) -> None:
    (found,) = read_location_tokens(location_tokens(point))
    assert np.abs(found - point).max() <= 0.5 / 1024 + 1e-9


@pytest.mark.parametrize("folder", [BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER], ids=["descriptor", "localizer"])
def test_processors(folder: Path) -> None:
    processor = AutoProcessor.from_pretrained(folder)
    image, name = Image.new("RGB", (40, 20)), "points" if folder == BUNDLED_DESCRIPTOR else "texts"

    @FUZZ
    @given(st.lists(st.lists(TEXTS if name == "texts" else st.lists(NUMBERS, max_size=3), max_size=3), max_size=2))
    def attempt(values: Any) -> None:
        try:
            processor(images=[image], **{name: values})
        except (ValueError, TypeError) as error:
            assert str(error)

    attempt()
