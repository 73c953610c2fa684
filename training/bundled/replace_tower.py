"""Give a trained localizer a vision tower whose convolutions come trained on ImageNet.

    python -m training.bundled.replace_tower --localizer talkingpoints/checkpoints/localizer \\
        --backbone runs/efficientnet_lite0 --datasets DIR [DIR ...] --output_dir runs/tower

``--backbone`` is a folder of convert_efficientnet_lite.py, of which the stages down to stride 16 are taken. Language
model, head and the tower's layers over the grid stay; a projection between new convolutions and old layers starts as
the one that brings the new maps nearest to the old ones (ridge regression over the cells of some photos). The models go
on seeing photos as they did: what the published weights expect is worked into the first convolution. Then train tower
and head with ``pretrain_facts.py --read_styles``.
"""

import sys
from dataclasses import dataclass, field

import torch

from talkingpoints import PointLocalizer
from talkingpoints.adapters import load_whole
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.modeling_efficientnet_lite import ConvNorm, EfficientNetLiteModel
from talkingpoints.modeling_vision_tower import ConvVisionModel
from training.bundled.convert_efficientnet_lite import MEAN, STD
from training.sft.arguments import load_rows, parse_arguments

_STRIDE_16 = 5  # stages


@dataclass
class TowerArguments:
    """Which localizer, and which convolutions."""

    localizer: str = field(metadata={"help": "folder of a trained localizer with our vision tower"})
    backbone: str = field(metadata={"help": "folder of convert_efficientnet_lite.py"})
    datasets: list[str] = field(
        metadata={"help": "COCO-keypoints folders whose train photos the projection is fitted to"}
    )
    output_dir: str = field(metadata={"help": "folder to write"})
    photos: int = field(default=300, metadata={"help": "of each dataset"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})


ARGUMENTS = (TowerArguments,)


def down_to_16(model: EfficientNetLiteModel, image_size: int) -> EfficientNetLiteModel:
    """The stages of a published tower down to stride 16, for photos of another size."""
    config = model.config
    cut = {
        name: getattr(config, name)[:_STRIDE_16]
        for name in ("stage_widths", "stage_depths", "stage_kernels", "stage_strides", "stage_expansions")
    }
    shorter = EfficientNetLiteModel(EfficientNetLiteConfig(image_size=image_size, stem_width=config.stem_width, **cut))
    wanted = shorter.state_dict()
    shorter.load_state_dict({name: weight for name, weight in model.state_dict().items() if name in wanted})
    return shorter


@torch.no_grad()
def see_as(stem: ConvNorm, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Change the first convolution, in place, from photos normalised by `MEAN` and `STD` to others. What comes out is
    the same, except at the edge of the photo.

    Args:
        stem: the convolution with its normalisation.
        mean, std: (C,) of the other photos.
    """
    scale, shift = std / STD, (mean - MEAN) / STD  # published = scale * other + shift
    assert stem.norm.running_mean is not None
    stem.norm.running_mean -= (stem.conv.weight * shift[:, None, None]).sum((1, 2, 3))
    stem.conv.weight *= scale[:, None, None]


@torch.no_grad()
def fit_projection(tower: ConvVisionModel, old: ConvVisionModel, pixels: list[torch.Tensor]) -> float:
    """Set the projection to that which brings the new tower's cells nearest to the old one's.

    Args:
        tower: changed in place.
        old: of the same grid.
        pixels: (B, C, image_size, image_size) each.

    Returns:
        The share of the old cells' variance that it explains.
    """
    x = torch.cat([tower.stage_maps(batch)[-1].movedim(1, -1).flatten(0, 2) for batch in pixels]).double()
    y = torch.cat([old.project(old.stage_maps(batch)[-1]).movedim(1, -1).flatten(0, 2) for batch in pixels]).double()
    centred, target = x - x.mean(0), y - y.mean(0)
    ridge = 1e-3 * centred.square().sum(0).mean()
    weight = torch.linalg.solve(centred.T @ centred + ridge * torch.eye(x.shape[1]), centred.T @ target)
    tower.project.weight.copy_(weight.T[:, :, None, None])
    assert tower.project.bias is not None
    tower.project.bias.copy_(y.mean(0) - x.mean(0) @ weight)
    return float(1 - (target - centred @ weight).square().sum() / target.square().sum())


def replaced(
    localizer: PointLocalizer, published: EfficientNetLiteModel, mean: torch.Tensor, std: torch.Tensor
) -> tuple[ConvVisionModel, ConvVisionModel]:
    """A localizer's new tower, in its place, and the old one.

    Args:
        localizer: changed in place.
        published: convolutions of convert_efficientnet_lite.py.
        mean, std: (C,) how the localizer's photos are normalised.

    Raises:
        ValueError: If the localizer has another kind of tower.
    """
    old = localizer.vlm.model.vision_tower
    if not isinstance(old.config, ConvVisionConfig):
        raise ValueError(f"the localizer has a vision tower of type {old.config.model_type!r}, not ours")
    backbone = down_to_16(published, old.config.image_size)
    see_as(backbone.stem, mean, std)
    tower = ConvVisionModel(ConvVisionConfig(**{**old.config.to_dict(), "backbone_config": backbone.config}))
    assert tower.backbone is not None
    tower.backbone.load_state_dict(backbone.state_dict())
    same = ("positions", "layers.", "norm.")
    missing = tower.load_state_dict({n: w for n, w in old.state_dict().items() if n.startswith(same)}, strict=False)
    assert all(name.startswith(("backbone.", "project.")) for name in missing.missing_keys), missing
    localizer.vlm.model.vision_tower = tower
    localizer.vlm.config.vision_config = tower.config
    localizer.config.vlm_config = localizer.vlm.config
    return tower.eval(), old.eval()


def main(argv: list[str]) -> None:
    """Replace, fit and save; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model, processor = load_whole(arguments.localizer, PointLocalizer)
    model.float()
    seen = processor.image_processor
    published = EfficientNetLiteModel.from_pretrained(arguments.backbone, dtype=torch.float32)
    tower, old = replaced(model, published, torch.tensor(seen.image_mean), torch.tensor(seen.image_std))
    pixels = []
    for dataset in arguments.datasets:
        examples = PointExamples(load_rows(dataset, "train"), 1, {"full": 1.0})
        images = [examples[i]["image"] for i in range(min(arguments.photos, len(examples)))]
        pixels += [
            seen(images=images[i : i + 8], return_tensors="pt")["pixel_values"] for i in range(0, len(images), 8)
        ]
    explained = fit_projection(tower, old, pixels)
    model.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)
    print(f"the projection explains {100 * explained:.1f}% of the old tower's variance: {arguments.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
