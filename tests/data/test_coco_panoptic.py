import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.readers.coco_panoptic import (
    PanopticPhotos,
    PanopticWriter,
    all_segments,
    measured,
    read_id_map,
    write_id_map,
)
from talkingpoints.data.readers.segment_filters import FilterCounts, SegmentFilters, filtered, is_refusal
from tests.helpers.drawn_panoptic import SIZE, drawn_panoptic


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("panoptic")
    return PanopticPhotos(drawn_panoptic(root), root / "val")


def test_reads_segments_with_their_pixels(photos):
    assert len(photos) == 3 and 2 in photos and 9 not in photos
    photo = photos[1]
    assert photo.image_id == 2 and photo.size == SIZE and photo.image.is_file()
    ids = photo.id_map()
    dog = next(segment for segment in photo.segments if segment.id == 1000)
    assert (dog.category, dog.category_id, dog.is_thing, dog.is_crowd) == ("dog", 1, True, False)
    assert dog.description == "The dog number 1000 of photo 2."
    assert dog.area == (ids == 1000).sum() and measured(dog, ids) == dog
    assert [s.is_crowd for s in photo.segments if s.id == 2000] == [True]
    assert not next(s for s in photo.segments if s.id == 70_001).is_thing
    assert len(list(all_segments(photos))) == 3 * len(photo.segments)
    assert photos.of_image(3).image_id == 3 and [p.image_id for p in photos[:2]] == [1, 2]
    with pytest.raises(ValueError, match="no annotation for image 9"):
        photos.of_image(9)


def test_id_map_and_its_inverse(tmp_path):
    ids = np.array([[0, 255, 256], [65_535, 65_536, 256**3 - 1]], dtype=np.int64)
    write_id_map(tmp_path / "ids.png", ids)
    assert (read_id_map(tmp_path / "ids.png") == ids).all()
    assert np.asarray(Image.open(tmp_path / "ids.png"))[1, 1].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="ids from 0 to 16777216"):
        write_id_map(tmp_path / "ids.png", ids + np.array([[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match="float64"):
        write_id_map(tmp_path / "ids.png", ids / 2)
    Image.new("L", (3, 2)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match="mode L"):
        read_id_map(tmp_path / "grey.png")
    with pytest.raises(ValueError, match="cannot read"):
        read_id_map(tmp_path / "none.png")


def test_written_files_read_alike(photos, tmp_path):
    with PanopticWriter(tmp_path / "out.json", photos.categories.values(), tmp_path / "maps") as writer:
        for photo in photos:
            writer.add(photo, photo.id_map())
    again = PanopticPhotos(tmp_path / "out.json", photos.photos, tmp_path / "maps")
    assert again.categories == photos.categories
    for one, other in zip(photos, again, strict=True):
        assert one.segments == other.segments and one.size == other.size
        assert (one.id_map() == other.id_map()).all()


def test_joined_by_image_and_segment(tmp_path):
    plain = drawn_panoptic(tmp_path / "plain", described=False)
    texts = PanopticPhotos(drawn_panoptic(tmp_path / "texts"), tmp_path / "texts" / "val").descriptions()
    photos = PanopticPhotos(plain, tmp_path / "plain" / "val")
    assert all(segment.description is None for _, segment in all_segments(photos))
    joined = [photo.with_descriptions(texts) for photo in photos]
    # The ids are the same in all photos: only with the image's they are unique.
    assert [next(s for s in p.segments if s.id == 1000).description[-2] for p in joined] == ["1", "2", "3"]
    partial = photos[0].with_descriptions({(1, 300): "grass"})
    assert [s.description for s in partial.segments if s.description] == ["grass"]


def test_predictions_have_captions_and_scores(photos, tmp_path):
    segments = tuple(replace(s, score=0.5) for s in photos[0].segments)
    with PanopticWriter(tmp_path / "p.json", photos.categories.values(), text_field="caption") as writer:
        writer.add(replace(photos[0], segments=segments))
    values = json.loads((tmp_path / "p.json").read_text())["annotations"][0]["segments_info"][0]
    assert values["caption"].startswith("The ") and "description" not in values and values["score"] == 0.5
    again = PanopticPhotos(tmp_path / "p.json", photos.photos, photos.id_maps)
    assert again[0].segments[0].score == 0.5 and again[0].segments[0].description == values["caption"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "has no list 'categories'"),
        (lambda c: c["annotations"][0].pop("segments_info"), "row 0: segments_info is missing"),
        (lambda c: c["annotations"].append(c["annotations"][0]), "two annotations for image 1"),
        (lambda c: c["images"].pop(0), "image 1 is annotated but not in images"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(category_id=5), "unknown category 5"),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(description=["a"]),
            "description: must be a valid",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(id=0),
            "id: must be greater than",
        ),
        (lambda c: c["annotations"][0]["segments_info"][0].update(id=1000), "has a segment twice"),
        (lambda c: c["categories"].append(c["categories"][0]), "comes twice"),
    ],
)
def test_other_layouts_are_refused(tmp_path, change, message):
    file = drawn_panoptic(tmp_path, n=1)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        list(PanopticPhotos(file, tmp_path / "val"))


def test_pixels_must_fit_the_json(photos, tmp_path):
    photo = photos[0]
    with pytest.raises(ValueError, match=r"in the PNG only: \[1001\], in the JSON only: \[\]"):
        replace(photo, segments=tuple(s for s in photo.segments if s.id != 1001)).id_map()
    with pytest.raises(ValueError, match="the JSON says"):
        replace(photo, size=(5, 5)).id_map()
    with pytest.raises(ValueError, match="no folder of PNGs"):
        PanopticPhotos(photos.annotations.rename(tmp_path / "other.json"), photos.photos)
    (tmp_path / "other.json").rename(photos.annotations)


def test_filters_are_counted(photos):
    texts = photos.descriptions()
    texts[1, 1000], texts[2, 300], texts[3, 1001] = "", " A ", "Sorry, I cannot clearly identify the dog."
    changed = [photo.with_descriptions(texts) for photo in photos]
    every = sum(len(photo.segments) for photo in photos)

    def run(filters):
        counts = FilterCounts()
        return list(filtered(changed, filters, counts)), counts

    kept, counts = run(SegmentFilters())
    assert kept == changed and counts.photos_kept == 3 and counts.segments_kept == every == counts.described
    kept, counts = run(SegmentFilters.released())  # two photos have a text that is too short
    assert [p.image_id for p in kept] == [3] and (counts.short, counts.crowds) == (2, 3)
    assert counts.segments_kept == len(photos[2].segments) - 1
    kept, counts = run(SegmentFilters(shortest=3, refusals=True))
    assert len(kept) == 3 and (counts.short, counts.refusals) == (2, 1) and counts.segments_kept == every - 3
    assert next(s for s in kept[0].segments if s.id == 1000).description is None
    assert len(kept[0].segments) == len(photos[0].segments)
    kept, counts = run(SegmentFilters(shortest=3, refusals=True, whole_photos=True))
    assert kept == [] and counts.photos == 3
    bare = [photo.with_descriptions({}) for photo in photos]
    assert list(filtered(bare, SegmentFilters(shortest=1))) == [] and len(list(filtered(bare, SegmentFilters()))) == 3
    with pytest.raises(ValueError, match="shortest"):
        SegmentFilters(shortest=-1)


def test_refusals():
    for text in (
        "Sorry, but this is blurry.",
        "The object is not visible in the image.",
        "I cannot clearly identify the object.",
        "It is within the bounding box.",
        "The query object is small.",
    ):
        assert is_refusal(text), text
    for text in ("A dog that cannot reach the ball.", "A sign, visible above the visitors.", "A boxed lunch."):
        assert not is_refusal(text), text


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_official_segments(data_root, split):
    root = data_root / "coco_panoptic"
    photos = PanopticPhotos(root / "annotations" / f"panoptic_{split}.json", root / split)
    assert len(photos) == 100 and len(photos.categories) == 133
    assert sum(c.is_thing for c in photos.categories.values()) == 80
    for photo in photos:
        ids = photo.id_map()  # raises where PNG and JSON disagree
        assert photo.image.is_file()
        with Image.open(photo.image) as image:
            assert (image.height, image.width) == photo.size
        for segment in photo.segments:
            assert measured(segment, ids) == segment
    described = [p.with_descriptions({(p.image_id, s.id): f"A {s.category}." for s in p.segments}) for p in photos]
    counts = FilterCounts()
    crowds = sum(s.is_crowd for _, s in all_segments(photos))
    assert len(list(filtered(described, SegmentFilters.released(), counts))) == 100 and counts.crowds == crowds
