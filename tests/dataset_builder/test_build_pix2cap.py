import asyncio
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.readers.coco_names import plain_name
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos, PanopticWriter, Segment
from talkingpoints.dataset_builder.texts.segment_marks import MOST_MARKS, SHEET_PX, marked, sheets_of
from talkingpoints.dataset_builder.texts.segment_rules import _which, segment_facts, segment_texts
from talkingpoints.dataset_builder.texts.segment_writer import SegmentChoice, SegmentWriter, captions_of
from talkingpoints.images import load_image
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Asker, Limits
from talkingpoints.llm.requests import Completion, RejectedError
from tests.conftest import ROOT
from tests.helpers.drawn_panoptic import drawn_panoptic
from tests.helpers.stand_in import stand_in
from training.build_pix2cap import main, writers
from training.reports.evaluate_segments import SegmentEvaluationArguments, evaluate

QUICK = Limits(concurrency=4, first_wait_s=0.01, longest_wait_s=0.05)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pix2cap")
    drawn_panoptic(folder, n=4, described=False)
    return folder


@pytest.fixture(scope="module")
def photos(root):
    return PanopticPhotos(root / "annotations" / "panoptic_val.json", root / "val")


# Marks.


def check_sheet(sheet, ids, segment_ids):
    """Every segment has its number, numbers are apart and on the sheet, and each leads into its segment."""
    assert [mark.segment_id for mark in sheet.marks] == list(segment_ids)
    assert [mark.number for mark in sheet.marks] == list(range(1, len(segment_ids) + 1))
    width, height = sheet.image.size
    assert max(width, height) == SHEET_PX
    for mark in sheet.marks:
        x0, y0, x1, y1 = mark.label
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        for other in sheet.marks:
            ox0, oy0, ox1, oy1 = other.label
            assert other is mark or x1 <= ox0 or ox1 <= x0 or y1 <= oy0 or oy1 <= y0
        x, y = ((x0 + x1) / 2, (y0 + y1) / 2) if mark.inside else mark.point
        row, column = int(y * ids.shape[0] / height), int(x * ids.shape[1] / width)
        around = ids[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]  # a smoothed edge moves by a pixel
        assert ids[row, column] == mark.segment_id or (mark.segment_id == around).any()


def test_sheets_share_segments_evenly():
    assert sheets_of([]) == [] and sheets_of([7]) == [(7,)]
    groups = sheets_of(list(range(50)), most=24)
    assert [len(group) for group in groups] == [17, 16, 17] and sum(groups, ()) == tuple(range(50))
    with pytest.raises(ValueError, match="most"):
        sheets_of([1], most=0)


def test_marks_lie_where_they_belong(photos):
    for photo in photos:
        ids = photo.id_map()
        segment_ids = [segment.id for segment in photo.segments]
        sheet = marked(load_image(photo.image), ids, segment_ids)
        check_sheet(sheet, ids, segment_ids)
        by_id = {mark.segment_id: mark for mark in sheet.marks}
        assert by_id[300].inside and by_id[70_001].inside
        assert not by_id[2001].inside  # six pixels: its number would hide it


def test_segments_are_outlined_not_filled(photos):
    photo = photos[0]
    ids = photo.id_map()
    image = load_image(photo.image)
    plain = np.asarray(marked(image, ids, []).image, dtype=int)
    sheet = marked(image, ids, [1000, 1001])
    changed = np.abs(np.asarray(sheet.image, dtype=int) - plain).sum(axis=-1) > 30
    scale = plain.shape[0] / ids.shape[0]
    rows, columns = (np.arange(n) / scale for n in plain.shape[:2])
    large = ids[rows.astype(int)][:, columns.astype(int)]
    for mark in sheet.marks:
        x0, y0, x1, y1 = mark.label
        changed[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = False
    inside = np.isin(large, (1000, 1001))
    assert 0.02 < changed[inside].mean() < 0.3 and changed[~inside].mean() < 0.002


def test_lines_keep_off_other_numbers():
    """Thin stripes side by side: every number has to stand beside its own."""
    ids = np.ones((60, 80), dtype=np.int32)
    for number in range(6):
        ids[20:40, 20 + 3 * number : 21 + 3 * number] = 10 + number
    sheet = marked(Image.new("RGB", (80, 60), "grey"), ids, [1, *range(10, 16)])
    check_sheet(sheet, ids, [1, *range(10, 16)])
    for mark in sheet.marks[1:]:
        assert not mark.inside
        x0, y0, x1, y1 = mark.label
        for share in np.linspace(0, 1, 50):
            x = (x0 + x1) / 2 * (1 - share) + mark.point[0] * share
            y = (y0 + y1) / 2 * (1 - share) + mark.point[1] * share
            for other in sheet.marks:
                if other is not mark:
                    left, top, right, bottom = other.label
                    assert not (left + 1 < x < right - 1 and top + 1 < y < bottom - 1)
                    assert other.inside or np.hypot(x - other.point[0], y - other.point[1]) > 5


@pytest.mark.parametrize("ground", ["black", "white", "noise"])
def test_outlines_show_on_any_ground(ground):
    rng = np.random.default_rng(0)
    pixels = {"black": np.zeros, "white": lambda s, d: np.full(s, 255, d)}.get(ground)
    image = pixels((60, 80, 3), np.uint8) if pixels else rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    ids = np.ones((60, 80), dtype=np.int32)
    ids[:, 40:] = 2
    sheet = marked(Image.fromarray(image), ids, [1, 2])
    before = np.asarray(Image.fromarray(image).resize(sheet.image.size, Image.Resampling.BICUBIC), dtype=int)
    after = np.asarray(sheet.image, dtype=int)
    row = 40
    strip = np.abs(after[row, 500:525] - before[row, 500:525]).sum(axis=-1)
    assert strip.max() > 250  # a line in the middle, where the two meet
    grey = after[row, 500:525] @ np.array([0.299, 0.587, 0.114])
    assert grey.max() - grey.min() > 90  # bright beside dark, whatever lies below


def test_bad_marks_are_refused(photos):
    image = load_image(photos[0].image)
    with pytest.raises(ValueError, match="no pixel of segment 5"):
        marked(image, photos[0].id_map(), [5])
    with pytest.raises(ValueError, match="id_map: shape"):
        marked(image, photos[0].id_map()[1:], [300])


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_marks_on_real_photos(data_root, split):
    folder = data_root / "coco_panoptic"
    real = PanopticPhotos(folder / "annotations" / f"panoptic_{split}.json", folder / split)
    crowded = sorted(real, key=lambda photo: -len(photo.segments))
    for photo in (*crowded[:3], *crowded[50:52]):
        ids = photo.id_map()
        for group in sheets_of([segment.id for segment in photo.segments]):
            assert len(group) <= MOST_MARKS
            check_sheet(marked(load_image(photo.image), ids, group), ids, group)


# Answers.


def test_captions_of_strict_json():
    good = '{"1": "A brown dog.", "2": "The green lawn."}'
    assert captions_of(good, ["1", "2"]) == ["A brown dog.", "The green lawn."]
    assert captions_of(f"<think>hm {{</think>\n```json\n{good}\n```", ["1", "2"]) == captions_of(good, ["1", "2"])
    assert captions_of('{"2": "The  green\\nlawn.", "1": "A dog."}', ["1", "2"]) == ["A dog.", "The green lawn."]


@pytest.mark.parametrize(
    "caption",
    [
        "A player with number 10 on the shirt.",
        "A bird outlined against the sky.",
        "A rider whose face is not visible.",
        "A sign with the label 5.",
    ],
)
def test_usual_words_are_captions(caption):
    assert captions_of(json.dumps({"1": caption}), ["1"]) == [caption]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("A dog.", "no JSON"),
        ('["A dog."]', "no object"),
        ('{"1": "A dog."}', r"missing \['2'\], not asked for \[\]"),
        ('{"1": "A dog.", "2": "Grass.", "3": "Sky."}', r"missing \[\], not asked for \['3'\]"),
        ('{"1": "A dog.", "1": "A cat.", "2": "Grass."}', "comes twice"),
        ('{"1": "A dog.", "2": ""}', "number 2: no words"),
        ('{"1": "A dog.", "2": ["Grass."]}', "number 2: list instead of a text"),
        ('{"1": "A dog.", "2": "Sorry, this is not visible."}', "number 2: a refusal"),
        ('{"1": "The dog left of object 2.", "2": "Grass."}', "number 1: speaks of the marks"),
        ('{"1": "A dog in a yellow outline.", "2": "Grass."}', "number 1: speaks of the marks"),
        (json.dumps({"1": "A dog.", "2": "grass " * 150}), "number 2: 899 characters"),
        ('{"1": "A dog.", "2": "Gra', "no JSON"),
    ],
)
def test_other_answers_are_no_captions(answer, message):
    with pytest.raises(ValueError, match=message):
        captions_of(answer, ["1", "2"])


class Scripted:
    """Answers each sheet's question well after some bad answers."""

    identity = "scripted"

    def __init__(self, *bad):
        self.bad, self.requests, self.sizes = list(bad), [], []

    async def complete(self, request):
        self.requests.append(request)
        self.sizes.append([image.size for image in request.images()])
        if self.bad:
            return Completion(self.bad.pop(0))
        return Completion(json.dumps({n: f"Caption {chr(96 + int(n))} here." for n in request.schema["required"]}))


def write(photo, chat, path, choice=None):
    with AnswerStore(path) as store:
        return asyncio.run(SegmentWriter(Asker(chat, store, QUICK), choice).write(photo))


def test_writer_asks_again_until_ids_match(photos, tmp_path):
    chat = Scripted("no", '{"1": "Only one."}')
    written = write(photos[0], chat, tmp_path / "a.jsonl")
    assert written.problems == () and len(chat.requests) == 3
    asked = [segment for segment in photos[0].segments if not segment.is_crowd]
    texts = {segment.id: segment.description for segment in written.photo.segments}
    assert texts[2000] is None and [texts[s.id] for s in asked][:2] == ["Caption a here.", "Caption b here."]
    assert f"1: {plain_name(asked[0].category)}; 2: " in chat.requests[0].text and "{" in chat.requests[0].text
    assert chat.sizes[0] == [(1024, 768)]
    again = Scripted("must not be asked")
    assert write(photos[0], again, tmp_path / "a.jsonl") == written and not again.requests


def test_photos_without_an_answer_are_told(photos, tmp_path):
    written = write(photos[0], Scripted(*["no"] * 9), tmp_path / "a.jsonl")
    assert len(written.problems) == 1 and "answers were of no use" in written.problems[0]

    class Refusing(Scripted):
        async def complete(self, request):
            raise RejectedError("content filter")

    assert write(photos[0], Refusing(), tmp_path / "b.jsonl").problems == ("content filter",)


def test_many_segments_make_several_sheets(photos, tmp_path):
    chat = Scripted()
    written = write(photos[0], chat, tmp_path / "a.jsonl", SegmentChoice(crowds=True, most_marks=3))
    assert len(chat.requests) == 3 and all(segment.description for segment in written.photo.segments)
    assert len({request.key for request in chat.requests}) == 3
    few = SegmentChoice(smallest=1000).of(photos[0])
    assert {segment.id for segment in few} == {70_001, 300}
    with pytest.raises(ValueError, match="most_marks"):
        SegmentChoice(most_marks=0)


# Rules.


def test_rules_tell_what_masks_show(photos):
    photo = photos[0]
    facts = segment_facts(photo, np.asarray(load_image(photo.image)), photo.id_map())
    left, right, cat = facts[1000], facts[1001], facts[1002]
    assert (left.name, left.n_same, left.which, left.column, left.row) == ("dog", 2, "left", 0, 1)
    assert (right.which, right.column) == ("right", 2)
    assert left.neighbours == (("the grass", "surrounded by"),)
    assert cat.neighbours == (("the sky", "surrounded by"),) and cat.n_same == 1
    assert facts[300].neighbours[0] == ("the sky", "below") and facts[70_001].colours == ("light blue",)
    texts = segment_texts(photo)
    assert texts[1, 1000].startswith("The left one of two dogs, ") and texts[1, 1000].endswith(
        "surrounded by the grass."
    )
    assert texts[1, 300].startswith("The grass, green, taking up much of the photo, ")
    assert texts[1, 1002].startswith("A cat, ")
    assert segment_texts(photo, 1) == segment_texts(photo, 1) != segment_texts(photo, 2)


def test_plain_names():
    names = {"wall-other-merged": "wall", "floor-wood": "wood floor", "door-stuff": "door",
             "window-blind": "window blind",
             "dining table": "dining table", "playingfield": "playing field", "wall-brick": "brick wall"}  # fmt: skip
    assert {name: plain_name(name) for name in names} == names


# The command.


def command(root, output, *more):
    files = ["--annotations", root / "annotations" / "panoptic_val.json", "--photos", root / "val"]
    return [str(part) for part in (*files, "--output_dir", output, *more)]


def through(url):
    return ["--writer", "server", "--model", "m", "--base_url", url, "--first_wait_s", "0.01", "--timeout_s", "60"]


def test_command_with_rules(root, tmp_path):
    main(command(root, tmp_path, "--review", "2"))
    photos = PanopticPhotos(tmp_path / "pix2cap.json", root / "val", root / "panoptic_val")
    assert len(photos) == 4 and all(
        (segment.description is None) == segment.is_crowd for photo in photos for segment in photo.segments
    )
    page = (tmp_path / "review.html").read_text()
    assert page.count("<section>") == 2 and "The left one of two dogs" in page
    with pytest.raises(ValueError, match="one folder for each of 2 files"):
        main(command(root, tmp_path, "--annotations", "a", "b"))
    with pytest.raises(ValueError, match="is in another file too"):
        twice = [str(root / "annotations" / "panoptic_val.json")] * 2
        main(command(root, tmp_path, "--annotations", *twice, "--photos", str(root / "val"), str(root / "val")))
    with pytest.raises(ValueError, match="merge_model"):
        main(command(root, tmp_path, "--writer", "server", "--model", "m", "--merge_model", "n"))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(x / 9, 0.5) for x in range(1, 9)],
         ["left", "second left", "third left", "fourth left", "fourth right", "third right", "second right", "right"]),
        ([(0.5, y / 5) for y in range(1, 5)], ["top", "second top", "second bottom", "bottom"]),
        ([(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)],
         ["upper-left", "upper-right", "lower-left", "lower-right"]),
        ([(0.5, 0.5), (0.51, 0.5)], [None, None]),
        ([(0.1, 0.5), (0.12, 0.5), (0.9, 0.5)], [None, None, "right"]),
    ],
)  # fmt: skip
def test_alike_segments_are_told_apart_by_place(points, said):
    segments = [Segment(i, 62, "chair", True, False, (0, 0, 1, 1), 100) for i in range(len(points))]
    middles = {i: (100 * x, 100 * y) for i, (x, y) in enumerate(points)}
    assert [_which(segment, segments, middles, (100, 100))[0] for segment in segments] == said


def test_two_files_are_two_files_again(tmp_path):
    """Photos and PNGs lie in folders of their own, one photo in a folder below; all are found again."""
    options, texts = [], {}
    for number, split in enumerate(("train", "val")):
        root = tmp_path / split
        drawn_panoptic(root, n=2, described=False)
        file = root / "annotations" / "panoptic_val.json"
        content = json.loads(file.read_text())
        for image, entry in zip(content["images"], content["annotations"], strict=True):
            image["id"] = entry["image_id"] = image["id"] + 10 * number
        (root / "val" / "below").mkdir()
        first = content["images"][0]
        (root / "val" / first["file_name"]).rename(root / "val" / "below" / first["file_name"])
        first["file_name"] = f"below/{first['file_name']}"
        file.unlink()
        file.with_stem(f"panoptic_{split}").write_text(json.dumps(content))
        options.append([root / "annotations" / f"panoptic_{split}.json", root / "val", root / "panoptic_val"])
    flags = zip(("--annotations", "--photos", "--id_maps"), zip(*options, strict=True), strict=True)
    main([str(word) for name, values in flags for word in (name, *values)]
         + ["--output_dir", str(tmp_path / "out"), "--review", "0"])  # fmt: skip
    for number, (_, folder, maps) in enumerate(options):
        split = ("train", "val")[number]
        built = tmp_path / "out" / f"pix2cap_panoptic_{split}.json"
        again = PanopticPhotos(built, folder)  # its PNGs lie beside it
        assert [photo.segments for photo in again] == [p.segments for p in PanopticPhotos(built, folder, maps)]
        measured = evaluate(
            SegmentEvaluationArguments(truth=str(built), predictions=str(built), output="", metrics=[], map_modes=[])
        )
        assert measured["quality"]["all"]["pq"] == 100
        assert [photo.image_id for photo in again] == [10 * number + 1, 10 * number + 2]
        for photo in again:
            assert photo.image.is_file() and photo.id_map().shape == photo.size
            texts[photo.image_id] = [segment.description for segment in photo.segments]
    assert len(texts) == 4 and all(any(own) for own in texts.values())
    with pytest.raises(ValueError, match="two files have one name"):
        writers(tmp_path, [again, again])
    writer = PanopticWriter(tmp_path / "x.json", again.categories.values())
    writer.add(again[1])
    with pytest.raises(ValueError, match="does not lie in"):
        writer.add(PanopticPhotos(tmp_path / "out" / "pix2cap_panoptic_train.json", *options[0][1:])[1])


def test_command_through_a_bad_server(root, tmp_path):
    troubles = ("500", "reset", "cut", "half_json", "html", "noise", "empty")
    with stand_in(failures=0.4, troubles=troubles) as server:
        main(command(root, tmp_path / "bad", *through(server.url), "--review", "0"))
        assert server.bodies[-1]["response_format"]["json_schema"]["strict"] is True
    with stand_in() as server:
        main(command(root, tmp_path / "good", *through(server.url), "--review", "0"))
    bad, good = ((tmp_path / name / "pix2cap.json").read_text() for name in ("bad", "good"))
    assert bad == good and json.loads((tmp_path / "good" / "counts.json").read_text())["counts"]["missing"] == 0


def test_killed_run_goes_on(tmp_path):
    root = tmp_path / "data"
    drawn_panoptic(root, n=12, described=False)
    with stand_in(slowness_s=1.0) as server:
        arguments = command(root, tmp_path / "out", *through(server.url), "--concurrency", "2", "--review", "0")
        process = subprocess.Popen([sys.executable, "-m", "training.build_pix2cap", *arguments], cwd=ROOT)
        answers = tmp_path / "out" / "work" / "answers.jsonl"
        end = time.monotonic() + 300
        while time.monotonic() < end and not (answers.exists() and answers.read_bytes().count(b"\n") >= 3):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = [json.loads(line) for line in answers.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        assert 3 <= len(kept) < 12 and not (tmp_path / "out" / "pix2cap.json").exists()
        while server.at_once:  # what was under way is counted when it is answered
            time.sleep(0.02)
        before = server.calls["answered"]
        main(arguments)
        # What the killed run had under way is asked anew, nothing that was kept; a call of its may have come late.
        assert 12 - len(kept) <= server.calls["answered"] - before <= 12 - len(kept) + 2
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(lines) == len({line["id"] for line in lines}) == 12 and lines[: len(kept)] == kept
    photos = PanopticPhotos(tmp_path / "out" / "pix2cap.json", root / "val", root / "panoptic_val")
    assert [photo.image_id for photo in photos] == list(range(1, 13))
    assert all(segment.description for photo in photos for segment in photo.segments if not segment.is_crowd)
    with stand_in() as server:
        main(command(root, tmp_path / "whole", *through(server.url), "--review", "0"))
    whole, resumed = ((tmp_path / name / "pix2cap.json").read_text() for name in ("whole", "out"))
    assert whole == resumed


def test_segments_without_texts_are_left_out(root, tmp_path):
    """A photo whose sheet gets no usable answer is not written; a run without any answer says so and fails."""
    photos = PanopticPhotos(root / "annotations" / "panoptic_val.json", root / "val")
    assert replace(photos[0], segments=()).with_descriptions({}).segments == ()
    nothing = pytest.raises(RuntimeError, match="1 of 1 texts have no usable answer")
    with stand_in(troubles=("empty",), failures=1.0) as server, nothing:
        main(command(root, tmp_path, *through(server.url), "--review", "0", "--limit", "1"))
    report = json.loads((tmp_path / "counts.json").read_text())
    assert list(report["photos_without_texts"]) == ["1"] and report["counts"]["photos_kept"] == 0
