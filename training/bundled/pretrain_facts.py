"""Teach the localizer's vision tower and head to find points from facts, before the language model reads words.

    python -m training.bundled.pretrain_facts --config training/bundled/configs/facts.yaml \\
        --base runs/vision --datasets DIR [DIR ...] --output_dir runs/facts

The data are those of ``sft_localizer.py``. Instead of a text, the model gets the facts that the text mentions: the
hidden state of the query token is a sum of learned embeddings (fact_embeddings.py). The head learns to find facts in a
photo at a fraction of the cost of reading. The language model only has to turn words into such a sum later. The
embeddings are saved beside the model, for ``sft_facts.py --facts``.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from talkingpoints import PointLocalizer, PointLocalizerProcessor
from talkingpoints.data.examples.keypoint_examples import PointExample, PointExamples
from talkingpoints.modeling_localizer import PointLocalizerOutput
from training.bundled.fact_embeddings import FactEmbeddings, FactVocabulary
from training.bundled.sft_facts import FactCollator
from training.sft.arguments import parse_arguments
from training.sft.examples import build_examples
from training.sft.processes import start_run
from training.sft.sft_arguments import SftArguments, parse_weights
from training.sft.supervised import fit
from training.sft_localizer import HeadArguments, by_photo, localizer_metrics

_VOCABULARY_EXAMPLES = 1000
_READER_TEXTS = 4096
"""So many examples show nearly every value of every fact; one that they miss counts as unsaid."""


@dataclass
class StartArguments:
    """Where the embeddings start."""

    read_styles: list[str] = field(
        default_factory=list,
        metadata={
            "help": "styles that the base, a trained localizer, can read (style=weight pairs): the embeddings start "
            "from what its language model makes of such texts. Default: at random"
        },
    )
    read_photos: int = field(default=800, metadata={"help": "photos whose texts it reads for that"})


ARGUMENTS = (SftArguments, HeadArguments, StartArguments, TrainingArguments)
_READ_AT_ONCE = 8


class FactLocalizer(PointLocalizer):
    """A localizer that gets facts instead of a text; it shares the weights of the localizer it is made from."""

    _auto_class = None  # its checkpoints are for resuming, not for the Hub

    def __init__(self, localizer: PointLocalizer, embeddings: FactEmbeddings):
        super().__init__(localizer.config, localizer.vlm)  # type: ignore[arg-type]
        self.query_token, self.head = localizer.query_token, localizer.head
        self.embeddings = embeddings

    def forward(
        self, pixel_values: torch.Tensor, facts: torch.Tensor, points: torch.Tensor, presence: torch.Tensor
    ) -> PointLocalizerOutput:
        """pixel_values (B, C, H, W), facts (B, n, len(FACTS)), points (B, n, 2), presence (B, n)."""
        visual = self.encode_images(pixel_values=pixel_values)
        return self.answer(visual, self.embeddings(facts).flatten(0, 1), facts.shape[1], points, presence)


@torch.no_grad()
def what_is_read(
    localizer: PointLocalizer,
    processor: PointLocalizerProcessor,
    vocabulary: FactVocabulary,
    examples: Sequence[PointExample],
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a trained localizer makes of texts: hidden states of the query token (R, width), and their facts (R, F)."""
    collate = FactCollator(processor, False, vocabulary)
    localizer.eval()
    queries, facts = [], []
    for i in range(0, len(examples), _READ_AT_ONCE):
        batch = collate(examples[i : i + _READ_AT_ONCE])
        facts.append(batch.pop("facts").flatten(0, 1))
        queries.append(localizer(**batch).query)
    localizer.train()
    return torch.cat(queries), torch.cat(facts)


def main(argv: list[str]) -> Trainer:
    """Pretrain; see the module docstring."""
    sft, head, start, training = parse_arguments(ARGUMENTS, argv)
    if training.push_to_hub:
        raise ValueError("push_to_hub: this training pushes nothing")
    start_run(training, sft.threads)
    localizer, processor = PointLocalizer.from_base(sft.base, **head.config)
    train: Any
    train, val = build_examples(sft, training, head.negatives)
    first = min(_VOCABULARY_EXAMPLES, len(train.rows))  # of the first pass, however long the run is to be
    shown = [train[i] for i in range(first)]
    vocabulary = FactVocabulary.of(shown)
    told = torch.cat([vocabulary.encode(example) for example in shown])
    embeddings = FactEmbeddings(vocabulary, localizer.config.get_text_config().hidden_size)
    if start.read_styles:
        styles = parse_weights(start.read_styles)
        examples = PointExamples(train.dataset, sft.points_per_photo, styles, seed=training.seed)
        chosen = [examples[i] for i in range(min(start.read_photos, len(examples)))]
        embeddings.fit(*what_is_read(localizer, processor, vocabulary, chosen))
    model = FactLocalizer(localizer, embeddings)

    def collate(examples: Sequence[PointExample]) -> dict[str, torch.Tensor]:
        images = [example["image"] for example in examples]
        return {
            "pixel_values": processor.image_processor(images=images, return_tensors="pt")["pixel_values"],
            "facts": torch.stack([vocabulary.encode(example) for example in examples]),
            "points": torch.stack([torch.from_numpy(example["points"]) for example in examples]),
            "presence": torch.stack([torch.from_numpy(example["presence"]) for example in examples]),
        }

    training.label_names = ["points", "presence"]
    trainer = fit(
        model,
        sft,
        training,
        data_collator=collate,
        train_dataset=train,
        eval_dataset=val,
        compute_metrics=localizer_metrics,
        preprocess_logits_for_metrics=by_photo,
    )
    if trainer.is_world_process_zero():
        model.embeddings.fit_readers(told[:_READER_TEXTS].to(model.device))
        localizer.save_pretrained(training.output_dir)
        processor.save_pretrained(training.output_dir)
        model.embeddings.save(training.output_dir)
    trainer.log_metrics("eval", trainer.evaluate())
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
