"""Region-caption sets: the formats, their mixture with points, and a training that sees both."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from talkingpoints import TalkingPoints
from talkingpoints.data.examples.region_examples import MixedExamples, RegionExamples
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.data.readers.region_captions import coco_regions, pix2cap, visual_genome_regions
from talkingpoints.data.readers.segment_filters import SegmentFilters
from talkingpoints.mask_pieces import deepest_point
from tests.helpers.drawn import drawn_dataset
from tests.helpers.drawn_panoptic import drawn_panoptic
from tests.helpers.tiny import photo
from training import sft_descriptor
from training.bundled import pretrain_facts, sft_facts
from training.bundled.fact_embeddings import FACTS, UNKNOWN, FactEmbeddings, FactVocabulary
from training.sft.region_data import read_set


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn Pix2Cap file of 12 photos."""
    return drawn_panoptic(tmp_path_factory.mktemp("captions"), n=12)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), n=6, seed=0)


def pairs(captions: Path, **more: object) -> str:
    """The file as a region set."""
    values = {"format": "pix2cap", "train": captions, "photos": captions.parent.parent / "val", **more}
    return " ".join(f"{key}={value}" for key, value in values.items())


def write(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_segments_of_pix2cap_have_their_masks_and_texts(captions: Path) -> None:
    photos = pix2cap(captions, captions.parent.parent / "val")
    assert len(photos) == 12
    truth = PanopticPhotos(captions, captions.parent.parent / "val")[0]
    kept = [segment for segment in truth.segments if not segment.is_crowd]  # as the released loader does
    assert [region.text for region in photos[0].regions] == [segment.description for segment in kept]
    for segment, mask in zip(kept, photos[0].masks(range(len(kept)), truth.size), strict=True):
        assert np.array_equal(mask, truth.id_map() == segment.id)
    everything = pix2cap(captions, captions.parent.parent / "val", filters=SegmentFilters())
    assert len(everything[0].regions) == len(truth.segments)
    with pytest.raises(ValueError, match="the photo has"):
        photos[0].masks([0], (10, 10))


def test_regions_of_visual_genome_are_boxes(tmp_path: Path) -> None:
    (tmp_path / "VG_100K_2").mkdir()
    photo().save(tmp_path / "VG_100K_2" / "7.jpg")
    region = {"region_id": 1, "image_id": 7, "phrase": " a red roof ", "x": 10, "y": 20, "width": 30, "height": 8}
    flat, silent = {**region, "width": 0}, {**region, "phrase": " "}
    file = write(tmp_path / "regions.json", [{"id": 7, "regions": [region, flat, silent]}, {"id": 8, "regions": []}])
    (found,) = visual_genome_regions(file, tmp_path)
    assert found.image.name == "7.jpg" and [r.text for r in found.regions] == ["a red roof"]
    (mask,) = found.masks([0], (64, 96))
    assert mask[20:28, 10:40].all() and mask.sum() == 8 * 30
    with pytest.raises(ValueError, match=r"no photo 9\.jpg"):
        visual_genome_regions(write(file, [{"id": 9, "regions": [region]}]), tmp_path)
    with pytest.raises(ValueError, match="row 0, image 7, region 0: phrase is missing"):
        visual_genome_regions(
            write(file, [{"id": 7, "regions": [{k: v for k, v in region.items() if k != "phrase"}]}]), tmp_path
        )
    with pytest.raises(ValueError, match="is no region_descriptions"):
        visual_genome_regions(write(file, {"images": []}), tmp_path)


def test_coco_style_texts_are_read_wherever_they_stand(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png", "caption": "the man on the left"}, {"id": 2, "file_name": "b.png"}]
    box = [4, 6, 20, 10]
    triangle = [[4, 6, 24, 6, 4, 16]]
    annotations = [
        {"id": 1, "image_id": 1, "bbox": box},  # its image's caption
        {"id": 2, "image_id": 1, "bbox": box},  # of which the second annotation is not the target
        {"id": 3, "image_id": 2, "bbox": box, "caption": "a kite", "segmentation": triangle},
        {"id": 4, "image_id": 2, "bbox": box, "sentences": [{"raw": "One."}, {"sent": "two"}, "three"]},
        {"id": 5, "image_id": 2, "bbox": [0, 0, 0, 3], "caption": "nothing"},
    ]
    file = write(tmp_path / "coco.json", {"images": images, "annotations": annotations})
    first, second = coco_regions(file, tmp_path)
    assert [region.text for region in first.regions] == ["the man on the left"]
    assert [region.text for region in second.regions] == ["a kite", "One.", "two", "three"]
    kite, filled = second.masks([0, 1], (64, 96))
    assert filled.sum() == 200 and 80 <= kite.sum() <= 140  # cv2 fills the edges too
    assert first.masks([0], (64, 96))[0].sum() == 200
    annotations[2]["caption"] = 3
    with pytest.raises(ValueError, match="row 2, id 3: caption: must be a valid string, got 3"):
        coco_regions(write(file, {"images": images, "annotations": annotations}), tmp_path)
    with pytest.raises(ValueError, match="image_id 2 is not in 'images'"):
        coco_regions(write(file, {"images": images[:1], "annotations": annotations[3:]}), tmp_path)


def test_examples_are_the_same_whoever_asks(captions: Path) -> None:
    photos = pix2cap(captions, captions.parent.parent / "val")
    one, other = (RegionExamples(photos, 9, passes=2, colour=0.5, seed=3) for _ in range(2))
    assert len(one) == 24
    late = other[13]
    assert one[13]["texts"] == late["texts"] and len(late["texts"]) == 9  # more than the photo has
    assert np.array_equal(np.asarray(one[13]["image"]), np.asarray(late["image"]))
    assert all(np.array_equal(a, b) for a, b in zip(one[13]["masks"], late["masks"], strict=True))
    with pytest.raises(ValueError, match="no photo has"):
        RegionExamples([])


def test_a_mixture_keeps_to_its_weights_and_each_part_to_its_order() -> None:
    parts = [([f"{name}{i}" for i in range(1000)], weight) for name, weight in (("a", 3.0), ("b", 1.0))]
    mixed = MixedExamples(parts, 1000, seed=1)
    found = [mixed[i] for i in range(1000)]
    of_a = [one for one in found if one.startswith("a")]
    assert 700 < len(of_a) < 800
    assert of_a == [f"a{i}" for i in range(len(of_a))]
    assert found == [MixedExamples(parts, 1000, seed=1)[i] for i in range(1000)]
    with pytest.raises(ValueError, match="must be above 0"):
        MixedExamples([([], 0.0)], 5)


def test_wrong_sets_are_refused(captions: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs format=, train= and photos="):
        read_set("format=pix2cap train=x")
    with pytest.raises(ValueError, match="needs format="):
        read_set(pairs(captions, style="x"))
    with pytest.raises(ValueError, match="known: pix2cap"):
        read_set("format=voc train=x photos=y")
    with pytest.raises(ValueError, match="id_maps belong to format=pix2cap"):
        read_set("format=coco train=x photos=y id_maps=z")
    with pytest.raises(ValueError, match=r"12 wrong rows\nrow 0: there is no file"):
        read_set(pairs(captions, photos=tmp_path))
    assert [len(photos) for photos in (read_set(pairs(captions)).train, read_set(pairs(captions)).val)] == [10, 2]
    assert read_set(pairs(captions, weight=0.25)).weight == 0.25


def test_typed_texts_are_regions_of_one_pixel(tmp_path: Path) -> None:
    (tmp_path / "pets" / "images").mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (40, 30)).save(tmp_path / "pets" / "images" / f"{name}.png")
    texts = [
        {"dataset": "pets", "image": f"{name}.png", "text": f"its {part} ", "x": x, "y": 12.2}
        for name, part, x in (("a", "ear", 7.6), ("b", "nose", 39.9), ("a", "paw", 0.0))
    ]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    found = read_set(f"format=free_texts train={tmp_path}/texts.json val={tmp_path}/texts.json photos={tmp_path}")
    assert [[region.text for region in photo.regions] for photo in found.train] == [
        ["its ear", "its paw"],
        ["its nose"],
    ]
    masks = RegionExamples(found.train, 2, seed=0)[0]["masks"] + RegionExamples(found.train, 2, seed=0)[1]["masks"]
    points = {tuple(np.round(np.multiply(deepest_point(mask), (40, 30)), 2)) for mask in masks}
    assert points == {(7.5, 12.5), (0.5, 12.5), (39.5, 12.5)}
    (tmp_path / "texts.json").write_text(json.dumps([{k: v for k, v in texts[0].items() if k != "dataset"}]))
    with pytest.raises(ValueError, match="free_texts are about points"):
        sft_descriptor.main(["--base", str(tmp_path), "--output_dir", str(tmp_path / "no"), "--report_to", "none",
                             "--region_sets", f"format=free_texts train=x photos={tmp_path}"])  # fmt: skip
    with pytest.raises(ValueError, match=r"texts\.json, entry 0: names no dataset"):
        read_set(f"format=free_texts train={tmp_path}/texts.json photos={tmp_path}")


def test_a_descriptor_learns_from_points_and_regions_together(
    base: Path, drawn: Path, captions: Path, tmp_path: Path
) -> None:
    flags = ["--base", str(base), "--output_dir", str(tmp_path / "out"), "--max_steps", "4", "--use_cpu", "true"]
    flags += ["--per_device_train_batch_size", "4", "--points_per_photo", "3", "--share_image_prefix", "true"]
    flags += ["--report_to", "none", "--region_sets", pairs(captions), pairs(captions, weight=0.5)]
    trainer = sft_descriptor.main([*flags, "--datasets", str(drawn), "--points_weight", "1.5"])
    kinds = ["masks" if "masks" in trainer.train_dataset[i] else "points" for i in range(16)]
    assert set(kinds) == {"masks", "points"}
    assert {"eval_points_loss", "eval_regions_loss"} <= set(
        json.loads((tmp_path / "out/eval_results.json").read_text())
    )
    tp = TalkingPoints.from_pretrained(descriptor=tmp_path / "out")
    mask = np.zeros((64, 96), dtype=bool)
    mask[10:30, 10:30] = True
    assert isinstance(tp.describe(photo(), mask=mask).text, str)
    alone = sft_descriptor.main(flags)
    assert all("masks" in alone.train_dataset[i] for i in range(16))
    with pytest.raises(ValueError, match="no data: give datasets or region_sets"):
        sft_descriptor.main(flags[:-3])


def test_a_localizer_learns_from_captions_of_regions(base: Path, drawn: Path, captions: Path, tmp_path: Path) -> None:
    flags = ["--datasets", str(drawn), "--max_steps", "4", "--use_cpu", "true", "--report_to", "none"]
    flags += ["--per_device_train_batch_size", "2", "--points_per_photo", "3", "--share_image_prefix", "true"]
    pretrain_facts.main([*flags, "--base", str(base), "--output_dir", str(tmp_path / "facts")])
    flags += ["--region_sets", pairs(captions), "--base", str(tmp_path / "facts"), "--facts", str(tmp_path / "facts")]
    trainer = sft_facts.main([*flags, "--output_dir", str(tmp_path / "out")])
    examples = [trainer.train_dataset[i] for i in range(8)]
    assert {"masks" in example for example in examples} == {True, False}
    batch = trainer.data_collator(examples)
    for example, points, facts in zip(examples, batch["points"], batch["facts"], strict=True):
        if "masks" in example:
            assert (facts == UNKNOWN).all()
            for mask, (x, y) in zip(example["masks"], points.tolist(), strict=True):
                assert mask[int(y * mask.shape[0]), int(x * mask.shape[1])]
    results = json.loads((tmp_path / "out/eval_results.json").read_text())
    assert {"eval_points_mpck_img", "eval_regions_mpck_img"} <= set(results)


def test_what_a_text_of_unknown_facts_tells_is_not_learned() -> None:
    embeddings = FactEmbeddings(FactVocabulary([["a", "b"]] * len(FACTS)), 8)
    query, facts = torch.randn(3, 8, requires_grad=True), torch.ones(3, len(FACTS), dtype=torch.long)
    facts[1] = UNKNOWN
    embeddings.reading_loss(query, facts).backward()
    assert query.grad[0].any() and query.grad[2].any() and not query.grad[1].any()
    assert embeddings.reading_loss(query, torch.full_like(facts, UNKNOWN)).item() == 0


def test_rules_may_take_the_first_words(captions: Path, tmp_path: Path) -> None:
    from training import build_pix2cap

    texts = []
    for seed in ("-1", "-1", "5"):
        out = tmp_path / f"out{len(texts)}"
        build_pix2cap.main(
            ["--annotations", str(captions), "--photos", str(captions.parent.parent / "val"), "--writer", "rules",
             "--id_maps", str(captions.parent.parent / "panoptic_val"), "--output_dir", str(out), "--rule_seed", seed,
             "--review", "0"]
        )  # fmt: skip
        texts.append(json.loads((out / "pix2cap.json").read_text())["annotations"][0]["segments_info"])
    assert texts[0] == texts[1] != texts[2]
    assert Image.open(captions.parent.parent / "val" / f"{1:012d}.png").size == (128, 96)
