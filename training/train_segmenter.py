"""Train a small universal segmenter over a trained vision tower: which pixels are which thing, which background.

    python -m training.dataset.build_panoptic_masks --dataset DIR --output_dir runs/panoptic
    python -m training.train_segmenter --config training/configs/segmenter.yaml \\
        --base talkingpoints/checkpoints/localizer --annotations runs/panoptic/annotations --photos DIR/images \\
        --output_dir runs/segmenter

``--base`` is a vision tower of training/bundled/convert_efficientnet_lite.py, or a model whose tower is used (the
bundled localizer, a base of training/bundled/build_base.py); ``--stage_depths`` leaves out some of its blocks. The
decoder is new, unless the base is a segmenter. Photos are decoded once and kept in memory. Validation measures panoptic
quality. ``--resume`` continues exactly from the last checkpoint.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if not __package__:
    import run_by_path  # noqa: F401

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoConfig, AutoImageProcessor, EvalPrediction, Trainer, TrainingArguments

from talkingpoints import PanopticSegmenter, PanopticSegmenterConfig, PanopticSegmenterImageProcessor
from talkingpoints.building import load_base
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_segmenter import TOWERS
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.data.examples.segment_examples import SegmentExample, SegmentExamples
from talkingpoints.data.readers.coco_panoptic import Category, PanopticPhotos
from talkingpoints.evaluation.metrics.panoptic_quality import PanopticEvaluation, compared
from talkingpoints.evaluation.segment_predictions import found_in, percentages
from talkingpoints.modeling_efficientnet_lite import EfficientNetLiteModel
from talkingpoints.modeling_vision_tower import ConvVisionModel
from talkingpoints.publishing import model_files, publish
from training.sft.arguments import DTYPES, AugmentationArguments, examples_of, parse_arguments
from training.sft.checkpoints import WholeCheckpoints
from training.sft.optimizer import build_optimizer
from training.sft.processes import one_pass, start_run
from training.sft.supervised import last_checkpoint, measure_and_save, taken_target


@dataclass(kw_only=True)
class SegmenterArguments(AugmentationArguments):
    """Model and data."""

    base: str = field(metadata={"help": "Hub id or folder of a vision tower, of a model with ours, or of a segmenter"})
    annotations: str = field(metadata={"help": "folder with train.json and val.json, COCO panoptic"})
    photos: str = field(metadata={"help": "folder of their photos"})
    stage_depths: list[int] | None = field(
        default=None, metadata={"help": "residual blocks at strides 4, 8 and 16 to keep; default: all"}
    )
    image_size: int | None = field(default=None, metadata={"help": "side of the photos; default: as the tower knows"})
    tower_layers: int | None = field(
        default=None, metadata={"help": "transformer layers of the tower to keep; default: all"}
    )
    decoder_width: int = field(default=64, metadata={"help": "channels of the decoder"})
    dice_weight: float = field(default=1.0, metadata={"help": "of the dice loss beside the cross-entropy"})
    average_mirrored: bool = field(default=False, metadata={"help": "look at the mirrored photo too, once trained"})
    alike: list[str] = field(
        default_factory=list, metadata={"help": "categories of which each connected piece becomes one segment"}
    )
    slow_lr_scale: float = field(default=0.3, metadata={"help": "the tower's share of the learning rate"})
    smallest_share: float = field(default=0.01, metadata={"help": "of the photo; smaller things are not reported"})
    score_threshold: float = field(default=0.5, metadata={"help": "segments with a lower score are not reported"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})
    limit: int = field(default=0, metadata={"help": "photos of each split; 0 takes all"})
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(default="float32", metadata={"help": f"of the final weights, one of {sorted(DTYPES)}"})

    def __post_init__(self) -> None:
        if self.save_dtype not in DTYPES:
            raise ValueError(f"save_dtype must be one of {sorted(DTYPES)}, got {self.save_dtype!r}")


ARGUMENTS = (SegmenterArguments, TrainingArguments)


def build_model(
    base: str,
    categories: Sequence[Category],
    stage_depths: Sequence[int] | None = None,
    image_size: int | None = None,
    tower_layers: int | None = None,
    **config: Any,
) -> PanopticSegmenter:
    """A segmenter over a trained tower: a new one, or one that is to be trained on.

    Args:
        base: Hub id or folder of a tower, or of a model with our vision tower; a segmenter's decoder is taken over too.
        categories: each is a label, in this order.
        stage_depths: blocks to keep of each stage of our tower, the first ones; None keeps all.
        image_size: side of the photos that it will see; None keeps the tower's.
        tower_layers: transformer layers of our tower to keep, the first ones; None keeps all.
        config: further values of :class:`PanopticSegmenterConfig`.

    Raises:
        ValueError: If the base has another tower or fewer blocks, or is a segmenter with other labels.
    """
    kind = AutoConfig.from_pretrained(base).model_type
    whole = None
    if kind == PanopticSegmenterConfig.model_type:
        whole = PanopticSegmenter.from_pretrained(base, dtype=torch.float32)
        tower = whole.vision_tower
    elif kind == EfficientNetLiteConfig.model_type:
        tower = EfficientNetLiteModel.from_pretrained(base, dtype=torch.float32)
    else:
        tower = load_base(base).vlm.model.vision_tower
    if tower.config.model_type not in TOWERS:
        raise ValueError(f"{base} has a vision tower of type {tower.config.model_type!r}, not one of {TOWERS}")
    vision_config, weights = tower.config.to_dict(), tower.state_dict()
    if isinstance(tower.config, ConvVisionConfig):
        vision_config, weights = fitted(tower, stage_depths, image_size, tower_layers)
    elif stage_depths is not None or tower_layers is not None:
        raise ValueError(f"stage_depths and tower_layers cut our tower only, not one of {tower.config.model_type!r}")
    else:
        vision_config["image_size"] = image_size or tower.config.image_size
    names = {i: category.name for i, category in enumerate(categories)}
    if whole is not None and whole.config.id2label != names:
        raise ValueError(f"{base} has the labels {whole.config.id2label}; the data have {names}")
    labels: dict[str, Any] = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    model = PanopticSegmenter(PanopticSegmenterConfig(vision_config=vision_config, **labels, **config))
    model.vision_tower.load_state_dict(weights)
    if whole is not None:
        model.decoder.load_state_dict(whole.decoder.state_dict())
        model.classifier.load_state_dict(whole.classifier.state_dict())
    return model


def fitted(
    tower: ConvVisionModel,
    stage_depths: Sequence[int] | None = None,
    image_size: int | None = None,
    layers: int | None = None,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The configuration and weights of our tower without the last blocks of its stages and its last layers, its places
    scaled to another grid. Arguments as for :func:`build_model`."""
    there = tower.config.stage_depths
    if stage_depths is not None and tower.config.backbone_config is not None:
        raise ValueError("stage_depths: the tower's convolutions are a backbone's, which is not cut")
    depths = list(stage_depths or there)
    if len(depths) != len(there) or any(not 0 < kept <= depth for kept, depth in zip(depths, there, strict=True)):
        raise ValueError(f"stage_depths: {depths}; the tower has {there} blocks, and each stage needs at least one")
    layers = tower.config.num_hidden_layers if layers is None else layers
    if not 0 <= layers <= tower.config.num_hidden_layers:
        raise ValueError(f"tower_layers: {layers}; the tower has {tower.config.num_hidden_layers}")
    image_size = image_size or tower.config.image_size
    changed = {"stage_depths": depths, "image_size": image_size, "num_hidden_layers": layers}
    kept: list[int] = []
    first = 0
    for depth, wanted in zip(there, depths, strict=True):
        kept += range(first, first + wanted)
        first += depth
    renamed = {f"blocks.{old}": f"blocks.{new}" for new, old in enumerate(kept)}
    weights = {}
    for name, weight in tower.state_dict().items():
        block = ".".join(name.split(".")[:2])
        if name.startswith("layers."):
            if int(name.split(".")[1]) < layers:
                weights[name] = weight
        elif not name.startswith("blocks."):
            weights[name] = weight
        elif block in renamed:
            weights[renamed[block] + name.removeprefix(block)] = weight
    grid, side = (size // tower.config.patch_size for size in (tower.config.image_size, image_size))
    if side != grid:
        places = weights["positions"].T.unflatten(1, (grid, grid))[None].float()
        places = torch.nn.functional.interpolate(places, size=(side, side), mode="bicubic", align_corners=False)
        weights["positions"] = places[0].flatten(1).T.contiguous()
    config = tower.config.to_dict() | changed
    if tower.config.backbone_config is not None:
        config["backbone_config"] = config["backbone_config"] | {"image_size": image_size}
    return config, weights


class SegmentCollator:
    """Examples -> pixel values and labels."""

    def __init__(self, processor: PanopticSegmenterImageProcessor):
        self.processor = processor

    def __call__(self, examples: Sequence[SegmentExample]) -> dict[str, torch.Tensor]:
        pixels = self.processor(images=[example["image"] for example in examples], return_tensors="pt")["pixel_values"]
        labels = np.stack([example["labels"] for example in examples]).astype(np.int64)
        return {"pixel_values": pixels, "labels": torch.from_numpy(labels)}


class QualityMetrics:
    """Panoptic quality over validation photos, percent."""

    def __init__(
        self, photos: PanopticPhotos, limit: int, processor: PanopticSegmenterImageProcessor, model: PanopticSegmenter
    ):
        self.photos, self.categories = photos[: limit or None], photos.categories
        self.processor = processor
        self.id2label: Any = model.config.id2label

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        evaluation = PanopticEvaluation(self.categories)
        outputs = SimpleNamespace(logits=torch.from_numpy(prediction.predictions))
        found = found_in(outputs, self.processor, self.photos, self.categories, self.id2label)
        for truth, (photo, ids) in zip(self.photos, found, strict=True):
            evaluation.add(compared(truth, photo.segments, ids), truth.image_id)
        return percentages(evaluation)


def main(argv: list[str]) -> Trainer:
    """Train; see the module docstring."""
    segmenter, training = parse_arguments(ARGUMENTS, argv)
    start_run(training, segmenter.threads)
    target = taken_target(training)
    train, val = (
        PanopticPhotos(Path(segmenter.annotations) / f"{split}.json", Path(segmenter.photos))
        for split in ("train", "val")
    )
    categories = [train.categories[i] for i in sorted(train.categories)]
    if strange := set(segmenter.alike) - {category.name for category in categories}:
        raise ValueError(f"alike: no category {sorted(strange)} in {segmenter.annotations}")
    model = build_model(
        segmenter.base, categories, segmenter.stage_depths, segmenter.image_size, segmenter.tower_layers,
        decoder_width=segmenter.decoder_width, dice_weight=segmenter.dice_weight,
        average_mirrored=segmenter.average_mirrored,
    )  # fmt: skip
    side = model.config.vision_config.image_size
    seen = AutoImageProcessor.from_pretrained(segmenter.base)
    processor = PanopticSegmenterImageProcessor(  # type: ignore[call-arg]  # its own arguments, by the decorator
        size={"height": side, "width": side},
        image_mean=seen.image_mean,
        image_std=seen.image_std,
        label_ids_to_fuse=[i for i, category in enumerate(categories) if not category.is_thing],
        label_ids_alike=[i for i, category in enumerate(categories) if category.name in segmenter.alike],
        smallest_share=segmenter.smallest_share,
        score_threshold=segmenter.score_threshold,
    )
    labels: Any
    labels, border, limit = model.config.label2id, model.config.border_id, segmenter.limit or None
    length = examples_of(training) if training.max_steps > 0 else int(training.num_train_epochs * len(train[:limit]))
    one_pass(training)
    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"  # the examples are drawn already
    training.label_names = ["labels"]
    trainer = WholeCheckpoints(
        model=model,
        args=training,
        data_collator=SegmentCollator(processor),
        train_dataset=SegmentExamples(
            train[:limit], labels, border, side, length, segmenter.augmentation, training.seed
        ),
        eval_dataset=SegmentExamples(val[:limit], labels, border, side),
        processing_class=processor,
        compute_metrics=QualityMetrics(val, segmenter.limit, processor, model),
        optimizers=(build_optimizer(model, training, ["vision_tower"], segmenter.slow_lr_scale), None),
    )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-arg]
    last = last_checkpoint(training, segmenter.resume)
    # on CPU the fused attention's backward takes longer than all else of so small a layer
    with sdpa_kernel(SDPBackend.MATH) if training.use_cpu else nullcontext():
        trainer.train(resume_from_checkpoint=last)
    trainer.save_model()  # before anything else can fail
    measure_and_save(trainer, segmenter.save_dtype)
    if target is not None and trainer.is_world_process_zero():
        publish(model_files(Path(str(training.output_dir))), target, "End of training")
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
