"""Supervised training of the Point Localizer: photo + text -> point, and whether it is there.

    accelerate launch -m training.sft_localizer --config training/configs/finetune_localizer.yaml \\
        --base talkingpoints/checkpoints/localizer --datasets DIR [DIR ...] --output_dir runs/localizer

Every field of ``SftArguments``, ``LocalizerArguments``, ``RegionSetArguments`` and transformers' ``TrainingArguments``
is a key of the yaml file and a flag. ``--blind`` trains the control that never sees a photo. ``--region_sets`` adds
captions of regions; the point of a region is the one deepest inside. For hardware and time see training/README.md.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

if not __package__:
    import run_by_path  # noqa: F401

import numpy as np
import torch
from transformers import EvalPrediction, Trainer, TrainingArguments

from talkingpoints import PointLocalizer
from talkingpoints.points import unit_distance
from training.sft.arguments import given_names, parse_arguments
from training.sft.collators import LocalizerCollator
from training.sft.dry_run import prepare_data
from training.sft.example_pictures import draw_localizations
from training.sft.processes import GlobalBatchTrainer, start_run
from training.sft.region_data import RegionSetArguments
from training.sft.run_plan import derive_settings
from training.sft.sft_arguments import SftArguments
from training.sft.supervised import run


@dataclass
class HeadArguments:
    """Head of the localizer, and texts about other photos."""

    head: str = field(default="heatmap", metadata={"help": "heatmap, or mlp (the paper's)"})
    head_size: int = field(default=128, metadata={"help": "width of the head"})
    subcells: int = field(default=2, metadata={"help": "heat-map cells per side of a vision cell"})
    target_sigma: float = field(default=0.02, metadata={"help": "width of the Gaussian target, in shares of the image"})
    presence_weight: float = field(default=0.2, metadata={"help": "weight of the presence loss"})
    negatives: float = field(
        default=0.0, metadata={"help": "share of texts about other photos, from which presence is learned"}
    )

    @property
    def config(self) -> dict[str, Any]:
        """The fields that :class:`PointLocalizerConfig` knows."""
        return {
            name: getattr(self, name) for name in ("head", "head_size", "subcells", "target_sigma", "presence_weight")
        }


@dataclass
class LocalizerArguments(HeadArguments):
    """Head of the localizer, and what it learns from."""

    blind: bool = field(default=False, metadata={"help": "train on a constant grey image: the text-only control"})


ARGUMENTS = (SftArguments, LocalizerArguments, RegionSetArguments, TrainingArguments)


def localizer_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """mpck_img, PCK_img@0.05 and accuracy of presence over validation texts (percent)."""
    points, _, presence_logits = (np.asarray(array) for array in prediction.predictions)
    truth, presence = (np.asarray(array) for array in prediction.label_ids or ())
    here = presence > 0.5
    errors = unit_distance(points[here], truth[here])
    return {
        "mpck_img": 50 * float((errors <= 0.1).mean() + (errors <= 0.2).mean()),
        "pck_img_0.05": 100 * float((errors <= 0.05).mean()),
        "presence_accuracy": 100 * float(((presence_logits > 0) == here).mean()),
    }


def by_photo(outputs: tuple[torch.Tensor, ...], labels: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Rows (B * n, ...) -> (B, n, ...): the ``Trainer`` counts photos when it drops the padding of the last batch."""
    return tuple(output.unflatten(0, labels[0].shape[:2]) for output in outputs)


def train(
    sft: SftArguments,
    localizer: LocalizerArguments,
    regions: RegionSetArguments,
    training: TrainingArguments,
    collator_class: Callable[..., LocalizerCollator] = LocalizerCollator,
    trainer_class: Callable[..., Trainer] = GlobalBatchTrainer,
) -> Trainer | None:
    """Train a localizer.

    Args:
        sft, localizer, regions, training: The command line.
        collator_class: Makes the collator from a processor and ``blind``.
        trainer_class: Makes the trainer.

    Returns:
        The trainer after training, None after a dry run.
    """
    data = prepare_data(sft, training, localizer.negatives, regions)
    if sft.dry_run:
        return None
    model, processor = PointLocalizer.from_base(
        sft.base, **localizer.config, share_image_prefix=sft.share_image_prefix, **sft.base_options
    )
    training.label_names = ["points", "presence"]
    return run(
        model,
        sft,
        training,
        trainer_class,
        draw=None if localizer.blind else partial(draw_localizations, processor),
        data_collator=collator_class(processor, localizer.blind),
        processing_class=processor,
        compute_metrics=localizer_metrics,
        preprocess_logits_for_metrics=by_photo,
        **data,
    )


def main(argv: list[str]) -> Trainer | None:
    """Train; see the module docstring. A dry run returns None."""
    sft, localizer, regions, training = parse_arguments(ARGUMENTS, argv, __doc__)
    start_run(training, sft.threads)
    derive_settings(sft, training, given_names(argv))
    return train(sft, localizer, regions, training)


if __name__ == "__main__":
    main(sys.argv[1:])
