"""Supervised training of the bundled localizer with facts: the language model also learns to read what a text mentions.

    accelerate launch -m training.bundled.sft_facts --config training/bundled/configs/localizer.yaml \\
        --base runs/reading --facts runs/facts --datasets DIR [DIR ...] --output_dir runs/localizer

The arguments are those of ``sft_localizer.py`` and ``FactArguments``. The facts and their embeddings come from
``pretrain_facts.py``.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from transformers import Trainer, TrainingArguments

from talkingpoints import PointLocalizerProcessor
from talkingpoints.data.examples.keypoint_examples import PointExample
from talkingpoints.data.examples.region_examples import RegionExample
from training.bundled.fact_embeddings import FACTS, UNKNOWN, FactEmbeddings, FactVocabulary
from training.sft.arguments import parse_arguments
from training.sft.collators import LocalizerCollator
from training.sft.processes import GlobalBatchTrainer, start_run
from training.sft.region_data import RegionSetArguments
from training.sft.sft_arguments import SftArguments
from training.sft_localizer import LocalizerArguments, train


@dataclass(kw_only=True)
class FactArguments(LocalizerArguments):
    """Facts that the language model learns to read."""

    facts: str = field(metadata={"help": "output folder of pretrain_facts.py"})
    fact_weight: float = field(default=1.0, metadata={"help": "weight of reading the facts"})
    point_weight: float = field(default=1.0, metadata={"help": "weight of finding the point; 0 to read only"})


ARGUMENTS = (SftArguments, FactArguments, RegionSetArguments, TrainingArguments)


class FactCollator(LocalizerCollator):
    """As :class:`LocalizerCollator`; the batch also has ``facts`` (B, n, len(FACTS)), which each text mentions.

    The facts of a region's caption are unknown.

    Args:
        processor: The localizer's processor.
        blind: Show one constant grey image instead of the photos.
        vocabulary: Turns facts into integers.
    """

    def __init__(self, processor: PointLocalizerProcessor, blind: bool, vocabulary: FactVocabulary):
        super().__init__(processor, blind)
        self.vocabulary = vocabulary

    def __call__(self, examples: Sequence[PointExample | RegionExample]) -> dict[str, torch.Tensor]:
        batch = super().__call__(examples)
        unknown = torch.full((batch["points"].shape[1], len(FACTS)), UNKNOWN)
        facts = [
            self.vocabulary.encode(cast(PointExample, example)) if example.get("facts") else unknown
            for example in examples
        ]
        return {**batch, "facts": torch.stack(facts)}


class FactReadingTrainer(GlobalBatchTrainer):
    """A trainer that also draws the query token's hidden state to the facts that the text mentions.

    With a head that knows the facts already, this teaches the language model to read a text long before the points do:
    the position of a point says little about which word was misread.

    Args:
        embeddings: Embeddings of the facts, from ``pretrain_facts.py``; they are frozen.
        point_weight, fact_weight: Weights of the model's own loss and of reading.
    """

    def __init__(self, embeddings: FactEmbeddings, point_weight: float, fact_weight: float, **options: Any):
        super().__init__(**options)
        self.embeddings = embeddings.requires_grad_(False).to(self.args.device)
        self.point_weight, self.fact_weight = point_weight, fact_weight

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        inputs = dict(inputs)
        facts = inputs.pop("facts")
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        reading = self.embeddings.reading_loss(outputs.query, facts.flatten(0, 1))
        loss = self.point_weight * loss + self.fact_weight * reading
        return (loss, outputs) if return_outputs else loss


def main(argv: list[str]) -> Trainer | None:
    """Train; see the module docstring.

    Raises:
        ValueError: If ``--facts`` is not an output folder of ``pretrain_facts.py``.
    """
    sft, localizer, regions, training = parse_arguments(ARGUMENTS, argv, __doc__)
    start_run(training, sft.threads)
    embeddings = FactEmbeddings.load(localizer.facts)
    collator_class = partial(FactCollator, vocabulary=embeddings.vocabulary)
    trainer_class = partial(FactReadingTrainer, embeddings, localizer.point_weight, localizer.fact_weight)
    return train(sft, localizer, regions, training, collator_class, trainer_class)


if __name__ == "__main__":
    main(sys.argv[1:])
