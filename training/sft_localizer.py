"""Supervised training of the Point Localizer: photo + text -> point, and whether it is there.

    accelerate launch training/sft_localizer.py --config training/bundled/configs/localizer.yaml \\
        --base runs/base --datasets DIR [DIR ...] --output_dir runs/localizer

Every field of ``SftArguments``, ``LocalizerArguments``, ``RegionSetArguments`` and transformers' ``TrainingArguments``
is a key of the yaml file and a flag. ``--blind`` trains the control that never sees a photo. ``--region_sets`` adds
captions of regions, whose point is the deepest inside. Hardware and time: see training/README.md.
"""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import torch
from transformers import EvalPrediction, Trainer, TrainingArguments, set_seed

from talkingpoints import PointLocalizer
from talkingpoints.points import unit_distance
from training.bundled.fact_embeddings import FactEmbeddings
from training.sft.arguments import parse_arguments
from training.sft.collators import LocalizerCollator
from training.sft.processes import GlobalBatchTrainer
from training.sft.region_data import RegionSetArguments
from training.sft.supervised import SftArguments, run


@dataclass
class HeadArguments:
    """Head of the localizer, and who is absent."""

    head: str = field(default="heatmap", metadata={"help": "heatmap, or mlp (the paper's)"})
    head_size: int = 128
    subcells: int = field(default=2, metadata={"help": "heat-map cells per side of a vision cell"})
    target_sigma: float = field(default=0.02, metadata={"help": "of the Gaussian target, in shares of the image"})
    presence_weight: float = 0.2
    negatives: float = field(default=0.0, metadata={"help": "share of texts about other photos, to learn presence"})

    @property
    def config(self) -> dict[str, Any]:
        """The part that :class:`PointLocalizerConfig` knows."""
        return {
            name: getattr(self, name) for name in ("head", "head_size", "subcells", "target_sigma", "presence_weight")
        }


@dataclass
class LocalizerArguments(HeadArguments):
    """Head of the localizer, and what it learns from."""

    blind: bool = field(default=False, metadata={"help": "train on a constant grey image: the text-only control"})
    facts: str | None = field(
        default=None, metadata={"help": "folder of pretrain_facts.py: teach the language model to read its facts"}
    )
    fact_weight: float = field(default=1.0, metadata={"help": "weight of that loss"})
    point_weight: float = field(default=1.0, metadata={"help": "weight of finding the point; 0 to read only"})


ARGUMENTS = (SftArguments, LocalizerArguments, RegionSetArguments, TrainingArguments)


class FactReadingTrainer(GlobalBatchTrainer):
    """A trainer that also draws the query token's hidden state towards the facts that the text tells.

    With a head that knows the facts already, this tells the language model what to make of a text long before the
    points do: where a point lies says little about which word was misread.

    Args:
        embeddings: of the facts, from ``pretrain_facts.py``; they stay as they are. None for none.
        point_weight, fact_weight: of the model's own loss and of reading.
    """

    def __init__(self, embeddings: FactEmbeddings | None, point_weight: float, fact_weight: float, **options):
        super().__init__(**options)
        self.embeddings = None if embeddings is None else embeddings.requires_grad_(False).to(self.args.device)
        self.point_weight, self.fact_weight = point_weight, fact_weight

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        inputs = dict(inputs)
        facts = inputs.pop("facts", None)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if facts is not None:
            reading = self.embeddings.reading_loss(outputs.query, facts.flatten(0, 1))
            loss = self.point_weight * loss + self.fact_weight * reading
        return (loss, outputs) if return_outputs else loss


def localizer_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """mpck_img, PCK_img@0.05 and accuracy of presence over validation texts (percent)."""
    points, _, presence_logits = prediction.predictions
    truth, presence = prediction.label_ids
    here = presence > 0.5
    errors = unit_distance(points[here], truth[here])
    return {
        "mpck_img": 50 * float((errors <= 0.1).mean() + (errors <= 0.2).mean()),
        "pck_img_0.05": 100 * float((errors <= 0.05).mean()),
        "presence_accuracy": 100 * float(((presence_logits > 0) == here).mean()),
    }


def by_photo(outputs: tuple[torch.Tensor, ...], labels: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Rows (B * n, ...) -> (B, n, ...): the ``Trainer`` counts photos when it drops what pads the last batch."""
    return tuple(output.unflatten(0, labels[0].shape[:2]) for output in outputs)


def main(argv: list[str]) -> Trainer:
    """Train; see the module docstring."""
    sft, localizer, regions, training = parse_arguments(ARGUMENTS, argv)
    if sft.threads:
        torch.set_num_threads(sft.threads)
    set_seed(training.seed)  # new heads too
    model, processor = PointLocalizer.from_base(
        sft.base, **localizer.config, share_image_prefix=sft.share_image_prefix, **sft.base_options
    )
    embeddings = FactEmbeddings.load(localizer.facts) if localizer.facts else None
    if embeddings is None and (localizer.point_weight, localizer.fact_weight) != (1, 1):
        raise ValueError("point_weight and fact_weight weigh points against facts; they need --facts")
    training.label_names = ["points", "presence"]
    collator = LocalizerCollator(processor, localizer.blind, embeddings and embeddings.vocabulary)
    return run(
        model,
        processor,
        collator,
        sft,
        training,
        localizer.negatives,
        regions,
        trainer_class=partial(FactReadingTrainer, embeddings, localizer.point_weight, localizer.fact_weight),
        compute_metrics=localizer_metrics,
        preprocess_logits_for_metrics=by_photo,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
