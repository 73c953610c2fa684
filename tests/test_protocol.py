import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.coco_keypoints import load_keypoints
from talkingpoints.evaluation import protocol
from tests.table_pair import HEIGHT, WIDTH, Answer, TablePair, Text, write_dataset


@pytest.fixture
def dataset(tmp_path):
    return load_keypoints(write_dataset(tmp_path / "animals"), "test")


def test_points_of_large_enough_boxes(dataset):
    points = protocol.labelled_points(dataset)
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
    rows = [point.row for point in protocol.labelled_points(dataset, limit=3)]
    assert rows == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert len(protocol.labelled_points(dataset, limit=100)) == 27
    with pytest.raises(ValueError, match="limit must be at least 1 photo; got 0"):
        protocol.labelled_points(dataset, limit=0)


def test_nothing_to_measure(dataset):
    with pytest.raises(ValueError, match="no labelled keypoint on an object of at least 500 px a side in 4 photos"):
        protocol.labelled_points(dataset, min_box_side_px=500)


def test_donors_come_from_other_photos(dataset):
    points = protocol.labelled_points(dataset)
    donors = protocol.shuffled_donors(points, seed=0)
    assert all(points[donor].row != point.row for donor, point in zip(donors, points, strict=True))
    assert donors == protocol.shuffled_donors(points, seed=0)
    assert donors != protocol.shuffled_donors(points, seed=1)
    with pytest.raises(ValueError, match="points in at least two photos"):
        protocol.shuffled_donors(points[:3], seed=0)


def test_written_texts_do_not_depend_on_what_else_is_measured(dataset):
    points = protocol.labelled_points(dataset)
    texts = protocol.written_texts(dataset, points, ("full", "semantic"), seed=0)
    alone = protocol.written_texts(dataset, points[4:5], ("semantic",), seed=0)
    assert alone["semantic"] == texts["semantic"][4:5]
    assert texts != protocol.written_texts(dataset, points, ("full", "semantic"), seed=1)
    assert all(len(of_style) == len(points) and all(of_style) for of_style in texts.values())


def test_a_perfect_pair(dataset):
    pair = TablePair(dataset, protocol.labelled_points(dataset))
    blind = TablePair(dataset)
    report = protocol.evaluate(pair, dataset, blind=blind, progress=False).report
    assert (report["n_images"], report["n_points"]) == (4, 12)
    assert list(report["rows"]) == list(protocol.ROW_ORDER)
    for name in ("descriptor", "reference", "semantic"):
        row = report["rows"][name]
        assert (row["mpck_img"], row["mpck_bbox"], row["ci95"]) == (100.0, 100.0, [100.0, 100.0])
        assert (row["auc"], row["median_error_px"]) == pytest.approx((100.0, 0.0))
    for name in ("shuffled", "blanked", "blind"):
        assert report["rows"][name]["mpck_img"] == 0.0
    assert report["differences"]["reference_minus_blind"] == {"mpck_img": 100.0, "ci95": [100.0, 100.0]}
    assert report["differences"]["descriptor_minus_reference"] == {"mpck_img": 0.0, "ci95": [0.0, 0.0]}
    assert report["calibration"] == {"reference": 0.0, "descriptor": 0.0}
    assert report["n_empty"]["descriptor"] == 0


def test_centre_rows(dataset):
    points = protocol.labelled_points(dataset)
    rows = protocol.centre_rows(points)
    assert rows["image_centre"].predictions.tolist() == [[0.5, 0.5]] * 12
    assert rows["box_centre"].predictions[0] == pytest.approx((36 / WIDTH, 20 / HEIGHT))
    assert rows["box_centre"].texts is None


def test_one_call_a_photo_and_what_the_controls_see(dataset):
    pair, blind = TablePair(dataset), TablePair(dataset)
    evaluation = protocol.evaluate(pair, dataset, blind=blind, progress=False)
    assert [len(points_px) for points_px in pair.described] == [3, 3, 3, 3]
    assert np.array(pair.described[0]) == pytest.approx(np.array([(12, 20), (30, 24), (18, 40)]))
    assert [len(texts) for texts in pair.localized] == [12] * 4 + [3] * 4  # four texts a point, then the blanked ones
    assert [len(texts) for texts in blind.localized] == [3] * 4
    assert evaluation.rows["blanked"].texts == evaluation.rows["blind"].texts == evaluation.rows["reference"].texts
    photos = [np.asarray(dataset[row]["image"]) for row in range(4)]
    for photo, image, blanked, grey in zip(photos, pair.seen[:4], pair.seen[4:], blind.seen, strict=True):
        assert np.array_equal(np.asarray(image), photo)
        assert np.array_equal(np.asarray(blanked), np.broadcast_to(np.round(photo.mean(axis=(0, 1))), photo.shape))
        assert np.array_equal(np.asarray(grey), np.full((64, 64, 3), 127))


def test_an_empty_description_is_a_miss_and_is_counted(dataset):
    class Silent(TablePair):
        def describe(self, image, points_px):
            return [Text(" "), *super().describe(image, points_px)[1:]]

        def localize(self, image, texts):
            assert all(text.strip() for text in texts)
            return super().localize(image, texts)

    evaluation = protocol.evaluate(Silent(dataset), dataset, progress=False)
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

    points = protocol.labelled_points(dataset)
    with pytest.raises(RuntimeError, match="to 'some text' on image 100; expected a finite point"):
        protocol.localized(Broken(dataset), dataset, points, {"row": ["some text"] * len(points)})


@pytest.mark.parametrize(("given", "kept"), [(float("nan"), float("nan")), (1.0 + 1e-6, 1.0), (0.25, 0.25)])
def test_confidence_that_is_missing_or_rounded(dataset, given, kept):
    class Listener(TablePair):
        def localize(self, image, texts):
            return [Answer((0.5, 0.5), confidence=given) for _ in texts]

    points = protocol.labelled_points(dataset)
    row = protocol.localized(Listener(dataset), dataset, points, {"row": ["some text"] * len(points)})["row"]
    assert row.confidence == pytest.approx(np.full(12, kept), nan_ok=True)


def test_a_row_needs_one_text_a_point(dataset):
    points = protocol.labelled_points(dataset)
    with pytest.raises(ValueError, match="row 'short' has 1 texts for 12 points"):
        protocol.localized(TablePair(dataset), dataset, points, {"short": ["one"]})


def test_a_photo_of_another_size_than_annotated(tmp_path):
    directory = write_dataset(tmp_path / "animals")
    Image.new("RGB", (60, 40)).save(directory / "images" / "0.png")
    dataset = load_keypoints(directory, "test")
    with pytest.raises(ValueError, match=r"0\.png is 60 x 40 px, but its annotation says 120 x 80"):
        protocol.described_texts(TablePair(dataset), dataset, protocol.labelled_points(dataset))
