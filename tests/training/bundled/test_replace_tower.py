"""A localizer's tower with other convolutions: what it keeps, what it sees, and that it can be trained on."""

from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

from talkingpoints import PointDescriptor, PointLocalizer
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.data.readers.coco_panoptic import Category
from talkingpoints.modeling_efficientnet_lite import EfficientNetLiteModel
from talkingpoints.modeling_vision_tower import ConvVisionModel
from tests.helpers.drawn import drawn_dataset
from training import train_segmenter
from training.bundled import deepen_tower, pretrain_facts, replace_tower, take_tower
from training.bundled.convert_efficientnet_lite import MEAN, STD
from training.sft import supervised

NARROW = {"stem_width": 8, "stage_widths": [4, 8, 8, 12, 12, 16], "stage_depths": [1, 1, 2, 1, 1, 2]}


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Random convolutions down to stride 32, with statistics of batches that are not those of a new layer."""
    torch.manual_seed(0)
    model = EfficientNetLiteModel(EfficientNetLiteConfig(image_size=64, **NARROW)).train()
    for _ in range(60):
        model(torch.randn(4, 3, 64, 64))
    model.save_pretrained(tmp_path / "backbone")
    return tmp_path / "backbone"


def test_the_first_convolution_sees_photos_as_they_come(backbone: Path) -> None:
    published = EfficientNetLiteModel.from_pretrained(backbone).eval()
    other = replace_tower.down_to_16(published, 64).eval()
    mean, std = torch.tensor([0.48, 0.46, 0.41]), torch.tensor([0.27, 0.26, 0.28])
    replace_tower.see_as(other.stem, mean, std)
    photos = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        there = published.stem((photos - MEAN) / STD)
        here = other.stem((photos - mean[:, None, None]) / std[:, None, None])
    torch.testing.assert_close(here[..., :-1, :-1], there[..., :-1, :-1], rtol=1e-4, atol=1e-4)


def test_a_localizer_gets_other_convolutions_and_keeps_the_rest(
    backbone: Path, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    localizer, drawn = pair[1], drawn_dataset(tmp_path / "drawn", n=2)
    replace_tower.main(["--localizer", str(localizer), "--backbone", str(backbone), "--datasets", str(drawn),
                        "--output_dir", str(tmp_path / "new"), "--threads", "1"])  # fmt: skip
    assert "of the old tower's variance" in capsys.readouterr().out
    before, after = PointLocalizer.from_pretrained(localizer), PointLocalizer.from_pretrained(tmp_path / "new")
    old, new = before.vlm.model.vision_tower, after.vlm.model.vision_tower
    assert new.config.backbone_config.map_widths == [8, 8, 12] == new.config.stage_widths and new.backbone is not None
    assert torch.equal(new.positions, old.positions) and torch.equal(new.layers[0].qkv.weight, old.layers[0].qkv.weight)
    weights = before.state_dict()
    same = {name: weight for name, weight in after.state_dict().items() if "vision_tower" not in name}
    assert same and all(torch.equal(weight, weights[name]) for name, weight in same.items())
    pixels = torch.randn(2, 3, new.config.image_size, new.config.image_size)
    first = PointLocalizer.from_pretrained(tmp_path / "new").vlm.model.vision_tower.eval()
    with torch.inference_mode():
        assert torch.equal(first(pixels).last_hidden_state, new.eval()(pixels).last_hidden_state)
        assert [m.shape[1] for m in new.feature_maps(pixels)] == new.config.map_widths
    pretrain_facts.main(["--base", str(tmp_path / "new"), "--datasets", str(drawn), "--output_dir",
                         str(tmp_path / "facts"), "--max_steps", "1", "--use_cpu", "True", "--report_to", "none",
                         "--eval_strategy", "no", "--frozen_modules", "backbone.stem."])  # fmt: skip
    trained = PointLocalizer.from_pretrained(tmp_path / "facts").vlm.model.vision_tower
    assert torch.equal(trained.backbone.stem.conv.weight, new.backbone.stem.conv.weight)
    assert torch.equal(trained.backbone.stem.norm.running_mean, new.backbone.stem.norm.running_mean)
    assert not torch.equal(
        trained.backbone.stages[2][0].project.conv.weight, new.backbone.stages[2][0].project.conv.weight
    )
    assert not torch.equal(trained.project.weight, new.project.weight)
    labels = [Category(0, "background", False), Category(1, "cat", True)]
    segmenter = train_segmenter.build_model(str(tmp_path / "facts"), labels, image_size=2 * new.config.image_size)
    seen = segmenter.vision_tower
    assert seen.config.backbone_config.image_size == seen.config.image_size == 2 * new.config.image_size
    assert torch.equal(seen.backbone.stem.conv.weight, trained.backbone.stem.conv.weight)
    with pytest.raises(ValueError, match="which is not cut"):
        train_segmenter.build_model(str(tmp_path / "facts"), labels, [1, 1, 1])


def test_a_descriptor_takes_a_localizers_tower(backbone: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    drawn = drawn_dataset(tmp_path / "drawn", n=2)
    replace_tower.main(["--localizer", str(pair[1]), "--backbone", str(backbone), "--datasets", str(drawn),
                        "--output_dir", str(tmp_path / "localizer"), "--threads", "1"])  # fmt: skip
    localizer = PointLocalizer.from_pretrained(tmp_path / "localizer")
    words = ["--localizer", str(tmp_path / "localizer"), "--output_dir", str(tmp_path / "new")]
    take_tower.main(["--descriptor", str(pair[0]), *words])
    model = PointDescriptor.from_pretrained(tmp_path / "new")
    after, taken = model.state_dict(), localizer.state_dict()
    before = PointDescriptor.from_pretrained(pair[0]).state_dict()
    of_tower = [name for name in after if any(part in name for part in take_tower.PARTS)]
    assert any("backbone" in name for name in of_tower)
    assert all(torch.equal(after[name], (taken if name in of_tower else before)[name]) for name in after)
    assert model.config.vlm_config.vision_config.backbone_config is not None
    processor = AutoProcessor.from_pretrained(tmp_path / "localizer")
    processor.image_processor.image_mean = [0.0, 0.0, 0.0]
    processor.save_pretrained(tmp_path / "localizer")
    with pytest.raises(ValueError, match=r"see photos in different ways: image_mean$"):
        take_tower.main(["--descriptor", str(pair[0]), *words])
    descriptor = PointDescriptor.from_pretrained(pair[0])
    descriptor.vlm.config.vision_feature_layer = -2
    with pytest.raises(ValueError, match=r"differ in \['vision_feature_layer'\]"):
        take_tower.take_tower(descriptor, localizer)
    descriptor.vlm.config.text_config.hidden_size += 1
    with pytest.raises(ValueError, match="its tower does not fit"):
        take_tower.take_tower(descriptor, localizer)


def test_the_projection_is_the_best_linear_one() -> None:
    torch.manual_seed(0)
    sizes = {"image_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    convolutions = {name: values[:5] if isinstance(values, list) else values for name, values in NARROW.items()}
    config = EfficientNetLiteConfig(
        image_size=64, stage_kernels=(3, 3, 5, 3, 5), stage_strides=(1, 2, 2, 2, 1), stage_expansions=(1, 6, 6, 6, 6),
        **convolutions,
    )  # fmt: skip
    one, two = (ConvVisionModel(ConvVisionConfig(backbone_config=config, **sizes)).eval() for _ in range(2))
    two.backbone.load_state_dict(one.backbone.state_dict())
    pixels = [torch.randn(8, 3, 64, 64) for _ in range(4)]
    assert not torch.allclose(one.project.weight, two.project.weight)
    assert replace_tower.fit_projection(two, one, pixels) > 0.98  # the same convolutions: the same projection
    with torch.inference_mode():
        assert (one(pixels[0]).last_hidden_state - two(pixels[0]).last_hidden_state).abs().mean() < 0.1
    with pytest.raises(ValueError, match="image size must be 64 and stride 16 or 32, got 32 and 32"):
        ConvVisionConfig(backbone_config=EfficientNetLiteConfig(image_size=32, **NARROW), **sizes)


def test_a_deeper_tower_starts_as_the_one_before() -> None:
    torch.manual_seed(0)
    sizes = {"image_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    full = EfficientNetLiteConfig(image_size=64, **NARROW)
    published = EfficientNetLiteModel(full).eval()
    old = ConvVisionModel(
        ConvVisionConfig(backbone_config=replace_tower.down_to_16(published, 64).config, **sizes)
    ).eval()
    new = deepen_tower.deepened(old, published, 1)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(new(pixels).last_hidden_state, old(pixels).last_hidden_state)
        new.context.weight.normal_()
        assert not torch.allclose(new(pixels).last_hidden_state, old(pixels).last_hidden_state)
    torch.testing.assert_close(
        new.backbone.stages[5][0].depthwise.conv.weight, published.stages[5][0].depthwise.conv.weight
    )
    with pytest.raises(ValueError, match="down to stride 16"):
        deepen_tower.deepened(new, published, 1)


def test_frozen_modules_and_their_statistics_stay() -> None:
    model = torch.nn.Sequential()
    for name in ("first", "second"):
        model.add_module(name, torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3)))
    supervised.freeze(model, ["first."])
    model.train()(torch.randn(8, 3)).sum().backward()
    assert all(p.grad is None for p in model.first.parameters())
    assert all(p.grad is not None for p in model.second.parameters())
    assert not model.first[1].running_mean.any() and model.second[1].running_mean.any()
    with pytest.raises(ValueError, match=r"no parameter has \['third'\]"):
        supervised.freeze(model, ["third"])
