"""Train the bundled localizer on scenes of all sets: to read what people type, and to say what is not there.

    python -m training.bundled.train_scene_localizer --config training/bundled/configs/scene_reading.yaml \\
        --base runs/concepts --data DIR --cache runs/cache --output_dir runs/reading
    python -m training.bundled.train_scene_localizer --config training/bundled/configs/scene_localizer.yaml \\
        --base runs/reading --data DIR --cache runs/cache --output_dir runs/localizer

The first run is blind: over one grey photo the language model learns to read places, and which kind, part and side a
text claims, by readers of the query token's state that are not kept. It also makes the tokenizer, which reads capitals
as small letters. In the second run words, photos and absence meet. The tower's convolutions stay as they are.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments, set_seed

from talkingpoints import PointLocalizer, PointLocalizerProcessor
from talkingpoints.adapters import load_whole
from talkingpoints.data.examples.scene_examples import IGNORED
from talkingpoints.modeling_localizer import PointLocalizerOutput
from talkingpoints.processing_localizer import LOCATE_TOKEN
from talkingpoints.writer.fluent.lexicon import SIDES, lexicon
from training.bundled.build_base import build_tokenizer
from training.bundled.renew_words import renew_words
from training.bundled.scene_data import SceneArguments, claimed, listening_examples, texts_of
from training.bundled.scene_trainer import SceneTrainer, freeze_convolutions, hold_statistics
from training.sft.arguments import parse_arguments
from training.sft.collators import LocalizerCollator


@dataclass(kw_only=True)
class ReadingArguments(SceneArguments):
    """Model and tasks."""

    base: str = field(metadata={"help": "folder of a localizer with our tower"})
    vocab_size: int = field(default=0, metadata={"help": "of a new tokenizer, made of the training texts; 0 keeps it"})
    blind: bool = field(default=False, metadata={"help": "one grey photo: learn to read only"})
    claim_weight: float = field(default=0.3, metadata={"help": "of the readers' losses"})
    presence_weight: float = field(default=1.0, metadata={"help": "of the loss of presence"})
    slow_lr_scale: float = field(default=0.3, metadata={"help": "of projector and grid layer, as a share of the rate"})
    val_examples: int = field(default=160, metadata={"help": "photos of val"})
    save_dtype: str = field(default="float32", metadata={"help": "of the final weights: float32 or bfloat16"})


ARGUMENTS = (ReadingArguments, TrainingArguments)


class ReadingLocalizer(PointLocalizer):
    """A localizer, whose weights it shares, whose query state also says what the text claims."""

    _auto_class = None

    def __init__(self, localizer: PointLocalizer, claim_weight: float):
        super().__init__(localizer.config, localizer.vlm)
        self.query_token, self.head = localizer.query_token, localizer.head
        width = self.config.get_text_config().hidden_size
        sizes = (len(lexicon().kind_ids), len(lexicon().part_ids), 1 + len(SIDES))
        self.readers = nn.ModuleList(nn.Linear(width, size) for size in sizes)
        self.claim_weight = claim_weight

    def train(self, mode: bool = True) -> "ReadingLocalizer":
        super().train(mode)
        hold_statistics(self)
        return self

    def forward(self, claims: torch.Tensor, **inputs: Any) -> PointLocalizerOutput:
        """``claims`` (R, 3), as :func:`claimed` gives them, beside the inputs of a localizer."""
        output = super().forward(**inputs)
        query = functional.layer_norm(output.query.float(), output.query.shape[-1:])
        for reader, column in zip(self.readers, claims.unbind(-1), strict=True):
            logits = reader(query).float()
            told = (column != IGNORED).sum().clamp_min(1)
            losses = functional.cross_entropy(logits, column, ignore_index=IGNORED, reduction="sum")
            output.loss = output.loss + self.claim_weight * losses / told
        return output


class ClaimCollator(LocalizerCollator):
    """Adds what the texts claim."""

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = super().__call__(examples)
        return {**batch, "claims": torch.cat([torch.from_numpy(claimed(example)) for example in examples])}


def localizer_metrics(prediction: Any) -> dict[str, float]:
    """PCK at 0.05 and 0.1 of present texts, and how well presence is told."""
    points, presence = prediction.predictions
    truth, present = prediction.label_ids[0].reshape(-1, 2), prediction.label_ids[1].reshape(-1) > 0.5
    errors = ((points.reshape(-1, 2) - truth) ** 2).sum(-1)[present] ** 0.5
    said = presence.reshape(-1) > 0
    return {
        "pck_05": float((errors <= 0.05).mean()),
        "pck_10": float((errors <= 0.1).mean()),
        "accepted": float(said[present].mean()),
        "refused": float((~said[~present]).mean()),
    }


def with_new_words(model: PointLocalizer, processor: Any, examples: Any, vocab_size: int) -> PointLocalizerProcessor:
    """Give the localizer a tokenizer of the texts of some examples that reads capitals as small letters."""
    tokenizer = build_tokenizer(texts_of(examples, min(4000, len(examples))), vocab_size, lowercase=True)
    tokenizer.add_tokens([LOCATE_TOKEN], special_tokens=True)
    renew_words(model, processor.tokenizer, tokenizer)
    return PointLocalizerProcessor(
        image_processor=processor.image_processor, tokenizer=tokenizer, chat_template=processor.chat_template,
        base_processor_class=processor.base_processor_class, base_processor_kwargs=processor.base_processor_kwargs,
        instruction=processor.instruction,
    )  # fmt: skip


def main(argv: list[str]) -> Trainer:
    """Train; see the module docstring."""
    reading, training = parse_arguments(ARGUMENTS, argv)
    torch.set_num_threads(reading.threads)
    set_seed(training.seed)
    localizer, processor = load_whole(reading.base, PointLocalizer)
    localizer.float()
    localizer.config.presence_weight = reading.presence_weight
    localizer.config.heatmap_temperature = 1.0  # calibrated anew afterwards
    length = training.max_steps * training.per_device_train_batch_size
    train = listening_examples(reading, "train", length, training.seed)
    val = listening_examples(reading, "val", reading.val_examples, training.seed + 100)
    if reading.vocab_size:
        processor = with_new_words(localizer, processor, train, reading.vocab_size)
    freeze_convolutions(localizer)
    if reading.blind:
        localizer.vlm.model.vision_tower.requires_grad_(False)
        localizer.vlm.model.multi_modal_projector.requires_grad_(False)
    localizer.vlm.set_attn_implementation("eager")
    model = ReadingLocalizer(localizer, reading.claim_weight)
    training.remove_unused_columns, training.label_names = False, ["points", "presence"]
    trainer = SceneTrainer(
        model=model, args=training, train_dataset=train, eval_dataset=val,
        data_collator=ClaimCollator(processor, blind=reading.blind), compute_metrics=localizer_metrics,
        preprocess_logits_for_metrics=lambda outputs, _: (outputs[0], outputs[2]),
    )  # fmt: skip
    trainer.slow_lr_scale = reading.slow_lr_scale
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[reading.save_dtype]
    localizer.to(dtype).save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
