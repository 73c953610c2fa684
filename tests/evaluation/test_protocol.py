import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation import labelled_points as splits
from talkingpoints.evaluation import protocol
from talkingpoints.evaluation.labelled_points import labelled_points, shuffled_donors
from talkingpoints.evaluation.photo_store import PhotoStore
from talkingpoints.evaluation.predictions import localized, point_rows
from tests.helpers.table_pair import HEIGHT, WIDTH, Answer, TablePair, Text, all_texts, write_dataset


@pytest.fixture
def dataset(tmp_path):
    return load_keypoints(write_dataset(tmp_path / "animals"), "test")


def test_points_of_large_enough_boxes(dataset):
    points = labelled_points(dataset)
    assert [(point.row, point.name) for point in points[:4]] == [
        (0, "left eye"),
        (0, "right eye"),
        (0, "nose"),
        (1, "left eye"),
    ]
    assert len(points) == 12  # a side of 24 px counts, one of 23.9 does not; unlabelled points do not
    first = points[0]
    assert (first.image_id, first.object_index, first.label, first.size) == (100, 0, "dog", (HEIGHT, WIDTH))
    assert first.point == pytest.approx((12 / WIDTH, 20 / HEIGHT))
    assert first.box == pytest.approx((6 / WIDTH, 8 / HEIGHT, 66 / WIDTH, 32 / HEIGHT))
    assert points[3].photo_labels == {"cat", "dog"}


def test_limit_spreads_photos_evenly(tmp_path):
    dataset = load_keypoints(write_dataset(tmp_path / "nine", n_photos=9), "test")
    rows = [point.row for point in labelled_points(dataset, limit=3)]
    assert rows == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert len(labelled_points(dataset, limit=100)) == 27
    with pytest.raises(ValueError, match="limit must be at least 1 photo; got 0"):
        labelled_points(dataset, limit=0)


def test_nothing_to_measure(dataset):
    with pytest.raises(ValueError, match="no labelled keypoint on an object of at least 500 px a side in 4 photos"):
        labelled_points(dataset, min_box_side_px=500)


def test_donors_come_from_other_photos(dataset):
    points = labelled_points(dataset)
    donors = shuffled_donors(points, seed=0)
    assert all(points[donor].row != point.row for donor, point in zip(donors, points, strict=True))
    assert donors == shuffled_donors(points, seed=0)
    assert donors != shuffled_donors(points, seed=1)
    with pytest.raises(ValueError, match="points in at least two photos"):
        shuffled_donors(points[:3], seed=0)


def test_written_texts_do_not_depend_on_what_else_is_measured(dataset):
    points = labelled_points(dataset)
    texts = all_texts(dataset, points, ("full", "semantic"), seed=0)
    alone = all_texts(dataset, points[4:5], ("semantic",), seed=0)
    assert alone["semantic"] == texts["semantic"][4:5]
    assert texts != all_texts(dataset, points, ("full", "semantic"), seed=1)
    assert all(len(of_style) == len(points) and all(of_style) for of_style in texts.values())


def test_a_perfect_pair(dataset):
    pair = TablePair(dataset, labelled_points(dataset))
    blind = TablePair(dataset)
    systems = protocol.Systems(pair, blind, {"same": pair, "deaf": blind})
    report = protocol.evaluate(systems, dataset, progress=False).report
    assert (report["n_images"], report["n_points"]) == (4, 12)
    listened = [f"{source}@{name}" for name in ("same", "deaf") for source in protocol.LISTENED]
    assert list(report["rows"]) == [*protocol.ROW_ORDER, *listened]
    for name in ("descriptor", "reference", "semantic", "short", "colloquial", "guiding", "reference@same"):
        row = report["rows"][name]
        assert (row["mpck_img"], row["mpck_bbox"], row["ci95"]) == (100.0, 100.0, [100.0, 100.0])
        assert (row["auc"], row["median_error_px"]) == pytest.approx((100.0, 0.0))
    for name in ("shuffled", "blanked", "blind", "wrong_photo", "mirrored", "reference@deaf"):
        assert report["rows"][name]["mpck_img"] == 0.0
    assert report["listeners"]["same"]["ratio"] == 1.0
    assert (report["listeners"]["deaf"]["reference"], report["listeners"]["deaf"]["ratio"]) == (0.0, None)
    assert report["differences"]["reference_minus_blind"] == {"mpck_img": 100.0, "ci95": [100.0, 100.0]}
    assert report["differences"]["descriptor_minus_reference"] == {"mpck_img": 0.0, "ci95": [0.0, 0.0]}
    assert {name: figures["ece"] for name, figures in report["calibration"].items()} == {
        "reference": 0.0,
        "descriptor": 0.0,
    }
    assert report["n_empty"]["descriptor"] == 0


def test_rows_without_a_listener(dataset):
    points = labelled_points(dataset)
    rows = point_rows(points)
    # photo 0 has points (12, 20), (30, 24), (18, 40) of 120 x 80: in unit coordinates the second is the first's nearest
    assert rows["nearest_keypoint"].predictions[:3] * (WIDTH, HEIGHT) == pytest.approx(
        np.array([(30, 24), (12, 20), (30, 24)])
    )
    assert np.isnan(point_rows(points[:1])["nearest_keypoint"].predictions).all()
    assert rows["image_centre"].predictions.tolist() == [[0.5, 0.5]] * 12
    assert rows["box_centre"].predictions[0] == pytest.approx((36 / WIDTH, 20 / HEIGHT))
    assert rows["box_centre"].texts is None


def test_one_call_a_photo_and_what_the_controls_see(dataset):
    pair, blind = TablePair(dataset), TablePair(dataset)
    evaluation = protocol.evaluate(protocol.Systems(pair, blind), dataset, progress=False)
    assert [len(points_px) for points_px in pair.described] == [3] * 8  # each photo, and another one in its place
    assert np.array(pair.described[0]) == pytest.approx(np.array([(12, 20), (30, 24), (18, 40)]))
    n_texts = 3 * (len(protocol.WRITTEN) + 3)  # every style, and those of the descriptor, another point and photo
    assert [len(texts) for texts in pair.localized] == [n_texts, 3, 6] * 4  # the photo, blanked, mirrored
    assert [len(texts) for texts in blind.localized] == [3] * 4
    assert evaluation.rows["blanked"].texts == evaluation.rows["blind"].texts == evaluation.rows["reference"].texts
    for row in range(4):
        photo = np.asarray(dataset[row]["image"])
        image, blanked, mirrored = (np.asarray(seen) for seen in pair.seen[3 * row : 3 * row + 3])
        assert np.array_equal(image, photo)
        assert np.array_equal(blanked, np.broadcast_to(np.round(photo.mean(axis=(0, 1))), photo.shape))
        assert np.array_equal(mirrored, photo[:, ::-1])
        assert np.array_equal(np.asarray(blind.seen[row]), np.full((64, 64, 3), 127))


def test_barest_texts_and_mirrored_ones(dataset):
    points = labelled_points(dataset)
    texts = all_texts(dataset, points, ("part_only", "object_only", "full"), seed=0)
    assert texts["part_only"][:3] == ["the dog's left eye", "the dog's right eye", "the dog's nose"]
    assert set(texts["object_only"]) == {"the dog", "the cat"}
    mirrored = all_texts(dataset, points, (), seed=0)["mirrored"]
    assert "right eye" in mirrored[0] and "left eye" in texts["full"][0]
    swapped = {"left": "right", "right": "left"}
    for own, other in zip(texts["full"][::3], mirrored[::3], strict=True):  # the others lie between two fifths
        assert [swapped.get(w, w) for w in re.findall("[a-z]+", own)] == re.findall("[a-z]+", other)


def test_a_listener_that_looks_follows_the_mirrored_photo(dataset):
    """It finds the true place of whatever is written about, in a photo or a mirrored one."""

    class Looking(TablePair):
        def localize(self, image, texts):
            plain, turned = image.getpixel((0, 0))[0], image.getpixel((image.width - 1, 0))[0]
            mirrored = plain == 250
            here = [self.table.get((turned if mirrored else plain, text), (1.0, 1.0)) for text in texts]
            return [Answer((1 - x, y) if mirrored else (x, y)) for x, y in here]

    points = labelled_points(dataset)
    pair = Looking(dataset, points)
    for texts in all_texts(dataset, points, (), 0).values():
        for point, text in zip(points, texts, strict=True):
            pair.table[(10 * point.row, text)] = point.point
    report = protocol.evaluate(protocol.Systems(pair), dataset, progress=False).report
    assert report["mirroring"] == {"same_place": 1.0, "flips": 1.0}
    assert report["rows"]["mirrored"]["mpck_img"] == report["rows"]["mirrored_semantic"]["mpck_img"] == 100.0


def test_a_cut_run_goes_on_where_it_was(dataset, tmp_path):
    class Cut(Exception):
        pass

    class Breaking(TablePair):
        def describe(self, image, *, point):
            if len(self.described) == 5:  # two photos are done, each described twice
                raise Cut
            return super().describe(image, point=point)

    points = labelled_points(dataset)
    whole = protocol.evaluate(protocol.Systems(TablePair(dataset, points)), dataset, progress=False)
    with pytest.raises(Cut):
        systems = protocol.Systems(Breaking(dataset, points))
        protocol.evaluate(systems, dataset, progress=False, store=PhotoStore(tmp_path / "work", {"seed": 0}))
    with (tmp_path / "work" / "part_0.jsonl").open("a") as file:
        file.write('{"photo": 2, "ro')  # what a crash leaves
    pair = TablePair(dataset, points)
    store = PhotoStore(tmp_path / "work", {"seed": 0})
    again = protocol.evaluate(protocol.Systems(pair), dataset, progress=False, store=store)
    assert len(pair.described) == 4  # photos 2 and 3
    assert again.report == whole.report
    for name, row in whole.rows.items():
        assert np.array_equal(row.predictions, again.rows[name].predictions, equal_nan=True)
        assert row.texts == again.rows[name].texts
    with pytest.raises(ValueError, match="made with other options"):
        PhotoStore(tmp_path / "work", {"seed": 1})


def test_each_photo_is_opened_once_and_only_where_the_store_lacks_it(dataset, tmp_path, monkeypatch):
    opened = []
    load = splits.load_image
    monkeypatch.setattr(splits, "load_image", lambda image: opened.append(image.getpixel((0, 0))[0]) or load(image))
    systems, store = protocol.Systems(TablePair(dataset)), PhotoStore(tmp_path)
    whole = protocol.evaluate(systems, dataset, progress=False, store=store)
    assert sorted(opened) == [0, 10, 20, 30], "for texts, both views and as the wrong photo of another one"
    opened.clear()
    assert protocol.evaluate(systems, dataset, progress=False, store=PhotoStore(tmp_path)).report == whole.report
    assert not opened, "everything is in the store"
    own = {"dataset": dataset, "progress": False, "wanted": ("reference", "descriptor")}
    protocol.evaluate(systems, **own, store=PhotoStore(tmp_path / "own"))
    file = tmp_path / "own" / "part_0.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith('{"photo": 1,')))
    opened.clear()
    protocol.evaluate(systems, **own, store=PhotoStore(tmp_path / "own"))
    assert opened == [10], "no other photo lends a text"


def test_processes_share_the_photos(dataset, tmp_path):
    points = labelled_points(dataset)
    pairs = [TablePair(dataset, points) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        stores = [PhotoStore(tmp_path, {}, process, 2) for process in range(2)]
        both = [
            pool.submit(protocol.evaluate, protocol.Systems(pair), dataset, progress=False, store=store)
            for pair, store in zip(pairs, stores, strict=True)
        ]
        first, second = (each.result(timeout=60) for each in both)
    assert [len(pair.described) for pair in pairs] == [4, 4]
    alone = protocol.evaluate(protocol.Systems(TablePair(dataset, points)), dataset, progress=False).report
    assert (first.report, second) == (alone, None)
    with pytest.raises(ValueError, match="need a folder"):
        PhotoStore(processes=2)


def test_an_empty_description_is_a_miss_and_is_counted(dataset):
    class Silent(TablePair):
        def describe(self, image, *, point):
            return [Text(" "), *super().describe(image, point=point)[1:]]

        def localize(self, image, texts):
            assert all(text.strip() for text in texts)
            return super().localize(image, texts)

    evaluation = protocol.evaluate(protocol.Systems(Silent(dataset)), dataset, progress=False)
    assert evaluation.report["n_empty"]["descriptor"] == 4
    assert evaluation.report["rows"]["descriptor"]["mpck_img"] == pytest.approx(100 * 2 / 3)
    assert np.isnan(evaluation.rows["descriptor"].predictions[0]).all()


@pytest.mark.parametrize(
    "answer",
    [Answer((float("nan"), 0.5)), Answer((0.5, 0.5), confidence=1.5), Answer((0.5, 0.5), presence=-1.0)],
)
def test_an_answer_that_is_no_point(dataset, answer):
    class Broken(TablePair):
        def localize(self, image, texts):
            return [answer for _ in texts]

    points = labelled_points(dataset)
    with pytest.raises(RuntimeError, match="to 'some text' on image 100; expected a finite point"):
        localized(Broken(dataset), dataset[0]["image"], points, {"row": ["some text"] * len(points)})


@pytest.mark.parametrize("given", [float("nan"), 0.25])
def test_confidence_may_be_missing(dataset, given):
    class Listener(TablePair):
        def localize(self, image, texts):
            return [Answer((0.5, 0.5), confidence=given) for _ in texts]

    points = labelled_points(dataset)
    row = localized(Listener(dataset), dataset[0]["image"], points, {"row": ["some text"] * len(points)})["row"]
    assert row.confidence == pytest.approx(np.full(12, given), nan_ok=True)


def test_a_row_needs_one_text_a_point(dataset):
    points = labelled_points(dataset)
    with pytest.raises(ValueError, match="row 'short' has 1 texts for 12 points"):
        localized(TablePair(dataset), dataset[0]["image"], points, {"short": ["one"]})


def test_a_photo_of_another_size_than_annotated(tmp_path):
    directory = write_dataset(tmp_path / "animals")
    Image.new("RGB", (60, 40)).save(directory / "images" / "0.png")
    with pytest.raises(ValueError, match=r"'0\.png' is 60 x 40 pixels .*, but was annotated as 120 x 80"):
        load_keypoints(directory, "test")


def test_only_the_wanted_rows(dataset):
    pair = TablePair(dataset, labelled_points(dataset))
    systems = protocol.Systems(pair, blind=pair, listeners={"other": pair})
    whole = protocol.evaluate(systems, dataset, progress=False, resamples=10)
    some = protocol.evaluate(systems, dataset, progress=False, resamples=10, wanted=("reference", "box_centre"))
    assert set(some.rows) == {"reference", "image_centre", "box_centre", "nearest_keypoint", "reference@other"}
    assert some.report["rows"]["reference"] == whole.report["rows"]["reference"]
    assert some.report["presence_roc_auc"] is None
    assert "ratio" in whole.report["listeners"]["other"] and "ratio" not in some.report["listeners"]["other"]
    with pytest.raises(ValueError, match=r"no rows \['made_up'\]"):
        protocol.evaluate(systems, dataset, progress=False, wanted=("made_up",))
