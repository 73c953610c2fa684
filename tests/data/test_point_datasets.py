"""One's own points as ``datasets`` keep them, labels without texts, streams, and what is said of wrong rows."""

import io
import random
from pathlib import Path

import datasets
import fsspec
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from PIL import Image

from talkingpoints.data.examples.custom_examples import OwnExamples, StreamedExamples, label_text
from talkingpoints.data.readers import point_datasets
from talkingpoints.data.readers.custom_points import check_groups
from talkingpoints.data.readers.point_datasets import is_dataset_folder, open_dataset, read_dataset, stream_dataset
from talkingpoints.data.readers.point_folders import read_folder, stream_folder
from tests.data.test_point_folders import good_rows, write_folder
from training import sft_descriptor
from training.sft.arguments import parse_arguments
from training.sft.custom_data import holds_own_points
from training.sft.sft_arguments import SftArguments

FLAGS = ["--points_per_photo", "2", "--per_device_train_batch_size", "2", "--use_cpu", "true", "--report_to", "none"]
FLAGS += ["--disable_tqdm", "true"]


def png(i: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (10 * i, 50, 90)).save(file, "PNG")
    return file.getvalue()


def rows(n: int = 12) -> list[dict]:
    """Two rows a photo, the second without a text."""
    return [
        {
            "image": {"bytes": png(i), "path": None},
            "x": 10.0 + k,
            "y": 5.0,
            "text": None if k else f"a, {i}",
            "label": k,
        }
        for i in range(n)
        for k in range(2)
    ]


FEATURES = Features(
    {"image": datasets.Image(), "x": Value("float32"), "y": Value("float32"), "text": Value("string"),
     "label": ClassLabel(names=["nose", "ear"])}
)  # fmt: skip


def save(folder: Path, form: str) -> Path:
    """The rows as save_to_disk or as parquet files keep them, with or without a validation split."""
    whole = Dataset.from_list(rows(), features=FEATURES)
    if form == "saved":
        whole.save_to_disk(str(folder))
    elif form == "saved with splits":
        DatasetDict(train=whole, validation=Dataset.from_list(rows(2), features=FEATURES)).save_to_disk(str(folder))
    else:
        (folder / "data").mkdir(parents=True)
        whole.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("form", ["saved", "saved with splits", "parquet"])
def test_rows_of_a_dataset_become_points_of_photos(tmp_path: Path, form: str) -> None:
    folder = save(tmp_path / "own", form)
    assert is_dataset_folder(folder)
    own = read_dataset(str(folder))
    assert (len(own.train), len(own.val)) == ((12, 2) if form == "saved with splits" else (10, 2))
    photo = own.train[3]
    assert photo.points == pytest.approx(np.array([(k / 40, 5 / 20) for k in (10, 11)]))
    assert (photo.texts[1], photo.labels) == (None, ["nose", "ear"])
    examples = OwnExamples(own.train, points_per_photo=2, seed=1)
    for i in range(3):
        assert examples[i]["image"].size == (40, 20)
        assert any(text.startswith("a, ") for text in examples[i]["texts"])
        assert any("ear" in text.lower() for text in examples[i]["texts"])


def test_lists_in_a_row_are_points_of_its_photo(tmp_path: Path) -> None:
    values = [
        {"points": [[1, 2], [3, 4]], "text": ["one", "two"]},
        {"points": [[1, 2], [3, 400]], "text": ["one", "two"]},
        {"points": [[1, 2], [3, 4]], "text": ["one"]},
        {"points": [], "text": []},
        {"points": [[1, 2, 3]], "text": ["one"]},
    ]
    table = [{"image": {"bytes": png(i), "path": None}, **value} for i, value in enumerate(values)]
    features = Features(
        {"image": datasets.Image(), "points": List(List(Value("float32"))), "text": List(Value("string"))}
    )
    Dataset.from_list(table, features=features).save_to_disk(str(tmp_path / "own"))
    own = read_dataset(str(tmp_path / "own"))
    assert [len(photo.points) for photo in own.val + own.train] == [2, 1]
    with pytest.raises(ValueError, match="4 wrong rows") as caught:
        own.problems.settle(skip_bad_rows=False)
    words = ("row 1, point 2: point (3, 400) is outside", "row 2: lists of different lengths: x 2, y 2, text 1",
             "row 3: no points", "row 4: points must be a list of [x, y]")  # fmt: skip
    lines = str(caught.value).splitlines()
    assert "split train (its first row is 0)" in lines[0]
    for line, wanted in zip(lines[1:], words, strict=True):
        assert line.startswith(wanted)


def test_a_photo_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "own", good_rows())
    decoded: list[object] = []
    monkeypatch.setattr(
        "talkingpoints.data.readers.custom_points.load_image", lambda photo: decoded.append(photo) or Image.open(photo)
    )
    own = read_folder(folder)
    assert len(own.train) + len(own.val) == 12 and len(decoded) == 12


def test_broken_photos_and_wrong_columns_are_said(tmp_path: Path) -> None:
    table = rows(3)
    table[2]["image"] = {"bytes": png(1)[:60], "path": None}
    table[3]["image"] = None
    table[4] |= {"text": None, "label": None}
    Dataset.from_list(table, features=FEATURES).save_to_disk(str(tmp_path / "own"))
    (wrong,) = read_dataset(str(tmp_path / "own")).problems.values()
    assert [problem.row for problem in wrong] == [2, 3, 4]
    for problem, words in zip(wrong, ("cannot read the image", "no image", "neither a text nor a label"), strict=True):
        assert words in str(problem)
    Dataset.from_list([{"photo": 1, "x": 2}]).save_to_disk(str(tmp_path / "other"))
    with pytest.raises(ValueError, match="has no column image, y, text or label; its columns are photo, x"):
        read_dataset(str(tmp_path / "other"))
    DatasetDict(test=Dataset.from_list(rows(1), features=FEATURES)).save_to_disk(str(tmp_path / "test"))
    with pytest.raises(ValueError, match="has no split 'train'; it has test"):
        read_dataset(str(tmp_path / "test"))


def test_an_id_is_loaded_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in answers for the Hub: a folder of that name, which ``load_dataset`` takes for any id."""
    folder = save(tmp_path / "hub", "parquet")
    real, asked = datasets.load_dataset, []

    def stand_in(source: str, **options) -> DatasetDict:
        asked.append((source, options))
        return real(str(folder), **options)

    monkeypatch.setattr(point_datasets.datasets, "load_dataset", stand_in)
    assert holds_own_points(["me/points"])
    assert len(read_dataset("me/points").train) == 10
    assert len(list(stream_dataset(open_dataset("me/points", streaming=True)["train"], "me"))) == 12
    assert asked == [("me/points", {"streaming": False}), ("me/points", {"streaming": True})]
    monkeypatch.undo()
    with pytest.raises(ValueError, match="me/points: no such folder, and as a dataset of the Hub it cannot be loaded"):
        read_dataset("me/points")


def test_photos_that_are_files_elsewhere_are_fetched() -> None:
    """As in an image folder on the Hub that is streamed: rows hold addresses."""
    fsspec.filesystem("memory").pipe("/photo.png", png(5))
    table = [row | {"image": {"bytes": None, "path": f"memory://{name}.png"}}
             for row, name in zip(rows(1), ("photo", "none"), strict=True)]  # fmt: skip
    stream = stream_dataset(
        Dataset.from_list(table, features=FEATURES)
        .to_iterable_dataset()
        .cast_column("image", datasets.Image(decode=False)),
        "there",
    )
    photos, problems = check_groups(stream)
    assert [photo.points for photo in photos] == [[(0.25, 0.25)]]
    assert "cannot read memory://none.png" in str(problems["there"][0])


def test_datasets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere/ is not a folder, and no id"):
        holds_own_points(["nowhere/"])
    with pytest.raises(ValueError, match=r"holds no dataset: needs metadata\.csv"):
        holds_own_points([str(tmp_path)])


def test_metadata_without_its_columns(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "own", [])
    (folder / "metadata.csv").write_text("file_name,x,text\n0.png,1,a\n")
    with pytest.raises(
        ValueError, match=r"no column y; row 1 must name the columns, it is: \['file_name', 'x', 'text'\]"
    ):
        read_folder(folder)
    (folder / "metadata.csv").write_text("file_name,x,y,text,label\n0.png,1,2,a, b, c\n1.png,1,2,,\n2.png,1,2,,nose\n")
    own = read_folder(folder)
    assert [str(problem) for problem in next(iter(own.problems.values()))] == [
        "row 2: more values than columns, from ' c' on; quote what holds commas",
        "row 3: neither a text nor a label, from which one could be written",
    ]
    assert own.val[0].labels == ["nose"]


def test_texts_are_written_from_label_and_look() -> None:
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[:, :45] = (250, 250, 250)
    assert label_text("left ear", (0.1, 0.1), pixels) == "Left ear in the upper left of the photo. White, smooth."
    assert label_text("left ear", (0.9, 0.9), pixels) == "Left ear in the lower right of the photo. Black, smooth."
    rng = random.Random(0)
    varied = {label_text("left ear", (0.1, 0.1), pixels, rng) for _ in range(30)}
    assert len(varied) > 10 and all("left ear" in text.lower() and text.endswith(".") for text in varied)


def shown(examples: StreamedExamples, index: int) -> tuple[int, list[str]]:
    example = examples[index]
    return np.asarray(example["image"])[0, 0, 0] // 10, example["texts"]


def test_a_stream_is_the_same_for_everyone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "own", good_rows())
    options = {"length": 30, "points_per_photo": 2, "seed": 5, "shuffle_buffer": 4}
    whole = StreamedExamples(lambda: stream_folder(folder), "own", **options)
    order = [shown(whole, i) for i in range(30)]
    photos = [photo for photo, _ in order]
    assert sorted(photos[:12]) == sorted(photos[12:24]) == list(range(12)) and photos[:12] != photos[12:24]
    assert photos[:12] != list(range(12))
    part = StreamedExamples(lambda: stream_folder(folder), "own", **options)
    assert [shown(part, i) for i in range(7, 30, 3)] == order[7::3]  # another process, or resumed
    assert shown(part, 2) == order[2]


def test_a_stream_decodes_only_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "own", good_rows())
    decoded: list[Path] = []
    real = point_datasets.check_groups.__globals__["load_image"]
    monkeypatch.setattr(
        "talkingpoints.data.readers.custom_points.load_image", lambda photo: decoded.append(photo) or real(photo)
    )
    examples = StreamedExamples(lambda: stream_folder(folder), "own", 12, seed=0)
    _ = [examples[i] for i in (3, 4, 9)]
    assert sum(isinstance(photo, Path) for photo in decoded) == 3


def test_wrong_rows_of_a_stream_are_named_as_they_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wrong = [row | {"x": 99} if row["file_name"] == "3.png" else row for row in good_rows()]
    folder = write_folder(tmp_path / "own", wrong)
    (folder / "5.png").write_bytes(b"no image")
    strict = StreamedExamples(lambda: stream_folder(folder), "own", 12, shuffle_buffer=1)
    with pytest.raises(ValueError, match=r"metadata.csv: row 11: point \(99, 5\) is outside.*--skip_bad_rows leaves"):
        _ = [strict[i] for i in range(12)]
    options = {"skip_bad_rows": True, "shuffle_buffer": 1, "length": 24}
    lenient = StreamedExamples(lambda: stream_folder(folder), "own", **options)
    photos = [shown(lenient, i)[0] for i in range(12)]
    assert photos == [0, 1, 2, 4, 4, 6, 6, 7, 8, 9, 10, 11]  # the next one stands in
    assert shown(lenient, 15)[0] == 4
    for number in (11, 12, 13, 17, 18, 19):
        assert caplog.text.count(f"row {number}: ") == 1
    alone = StreamedExamples(lambda: stream_folder(folder), "own", **options)
    assert [shown(alone, i)[0] for i in (3, 5, 11)] == [4, 6, 11]
    nothing = StreamedExamples(lambda: iter(()), "own", **options)
    with pytest.raises(ValueError, match="own: no rows to train on"):
        _ = nothing[0]


def test_a_dataset_is_streamed_into_a_training(base: Path, tmp_path: Path) -> None:
    flags = ["--base", str(base), "--dataset", str(save(tmp_path / "own", "parquet")), *FLAGS, "--streaming"]
    with pytest.raises(ValueError, match="--streaming needs --max_steps"):
        sft_descriptor.main([*flags, "--output_dir", str(tmp_path / "x")])
    more = ["--output_dir", str(tmp_path / "run"), "--max_steps", "2", "--val_photos", "3"]
    trainer = sft_descriptor.main([*flags, *more])
    assert trainer.state.global_step == 2
    held = {photo.image for photo in trainer.eval_dataset.photos}
    train = {group.image() for group in trainer.train_dataset.stream()}
    assert len(held) == 3 and len(train) == 9 and held.isdisjoint(train)
    with pytest.raises(ValueError, match=r"12 photos, the first 64 of which are for validation.*smaller --val_photos"):
        sft_descriptor.main([*flags, "--output_dir", str(tmp_path / "x"), "--max_steps", "2"])


def test_the_one_command_is_understood() -> None:
    words = ["--dataset", "my_points/", "--base", "some/base", "--push_to_hub", "me/my-points"]
    sft, *_, training = parse_arguments(sft_descriptor.ARGUMENTS, [*words, "--use_cpu", "true"])
    assert (sft.datasets, training.push_to_hub, training.hub_model_id) == (["my_points/"], True, "me/my-points")
    for form, expected in (
        ([], (True, None)),
        (["false"], (False, None)),
        (["true", "--hub_model_id", "a/b"], (True, "a/b")),
    ):
        *_, training = parse_arguments(
            sft_descriptor.ARGUMENTS, ["--dataset", "x", "--base", "y", "--use_cpu", "true", "--push_to_hub", *form]
        )
        assert (training.push_to_hub, training.hub_model_id) == expected
    with pytest.raises(SystemExit):
        parse_arguments((SftArguments,), ["--datasets", "y"])
