"""Train the bundled descriptor on scenes of all sets: kinds, parts, sides, looks, or "something I do not know".

    python -m training.bundled.train_scene_descriptor --config training/bundled/configs/scene_descriptor.yaml \\
        --base talkingpoints/checkpoints/descriptor --tower runs/concepts --data DIR --cache runs/cache \\
        --output_dir runs/descriptor

The tower and projector come from a localizer; the language model and the keypoint encoder go on from the base, with a
tokenizer of the new texts. A belief head on the keypoint tokens learns kind, part and side beside the words.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from transformers import Trainer, TrainingArguments, set_seed

from talkingpoints import PointDescriptor, PointDescriptorConfig, PointDescriptorProcessor, PointLocalizer
from talkingpoints.adapters import load_whole
from talkingpoints.data.examples.scene_examples import IGNORED
from talkingpoints.modeling_descriptor import PointDescriptorOutput
from talkingpoints.points import LOCATION_TOKENS
from talkingpoints.processing_descriptor import POINT_TOKEN
from talkingpoints.writer.fluent.lexicon import lexicon
from training.bundled.build_base import build_tokenizer
from training.bundled.scene_data import SceneArguments, belief_targets, describing_examples, texts_of
from training.bundled.scene_trainer import SceneTrainer, freeze_convolutions, hold_statistics
from training.sft.arguments import parse_arguments
from training.sft.collators import DescriptorCollator

NOTHING, NO_PART = "nothing", "none"
"""Names of the classes behind the lexicon's kinds and "other", and behind its parts."""


@dataclass(kw_only=True)
class DescribingArguments(SceneArguments):
    """Model and tasks."""

    base: str = field(metadata={"help": "folder of a descriptor with our tower"})
    tower: str | None = field(default=None, metadata={"help": "folder of a localizer whose tower is taken"})
    vocab_size: int = field(default=0, metadata={"help": "of a new tokenizer, made of the training texts; 0 keeps it"})
    sigma: float = field(default=0.05, metadata={"help": "of the Gaussian window"})
    belief_weight: float = field(default=0.3, metadata={"help": "of the belief head's losses"})
    slow_lr_scale: float = field(default=0.3, metadata={"help": "of projector and grid layer, as a share of the rate"})
    val_examples: int = field(default=160, metadata={"help": "photos of val"})
    save_dtype: str = field(default="float32", metadata={"help": "of the final weights: float32 or bfloat16"})


ARGUMENTS = (DescribingArguments, TrainingArguments)


class BelievingDescriptor(PointDescriptor):
    """A descriptor that learns its belief beside its words."""

    _auto_class = None
    belief_weight = 0.3

    def train(self, mode: bool = True) -> "BelievingDescriptor":
        super().train(mode)
        hold_statistics(self)
        return self

    def forward(  # type: ignore[override]
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor,
        kinds: torch.Tensor,
        parts: torch.Tensor,
        sides: torch.Tensor,
        **inputs: Any,
    ) -> PointDescriptorOutput:
        """``kinds``, ``parts`` and ``sides`` (R,) beside the inputs of a descriptor."""
        visual = self.encode_images(pixel_values=pixel_values)
        output = super().forward(input_ids=input_ids, visual=visual, **inputs)
        belief = self.believe(input_ids, visual)
        guesses = []
        for logits, truth in ((belief.kinds, kinds), (belief.parts, parts), (belief.sides, sides)):
            losses = functional.cross_entropy(logits, truth, ignore_index=IGNORED, reduction="sum")
            output.loss = output.loss + self.belief_weight * losses / (truth != IGNORED).sum().clamp_min(1)
            guesses.append(logits.argmax(-1))
        return PointDescriptorOutput(loss=output.loss, logits=torch.stack(guesses, -1))


class BeliefCollator(DescriptorCollator):
    """Adds what is at the points."""

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {**super().__call__(examples), **belief_targets(examples)}


def belief_metrics(prediction: Any) -> dict[str, float]:
    """Share of right kinds, parts and sides, where they are known."""
    found = {}
    for column, (name, truth) in enumerate(zip(("kind", "part", "side"), prediction.label_ids, strict=True)):
        known = truth != IGNORED
        found[name] = float((prediction.predictions[..., column].ravel()[known] == truth[known]).mean())
    return found


def new_descriptor(
    arguments: DescribingArguments, examples: Any
) -> tuple[BelievingDescriptor, PointDescriptorProcessor]:
    """The base with the belief head, and with the tower and tokenizer that were asked for."""
    old, processor = load_whole(arguments.base, PointDescriptor)
    old.float()
    tokenizer = processor.tokenizer
    if arguments.vocab_size:
        tokenizer = build_tokenizer(texts_of(examples, min(4000, len(examples))), arguments.vocab_size)
        tokenizer.add_tokens([POINT_TOKEN, *LOCATION_TOKENS], special_tokens=True)
        renew_embeddings(old, processor.tokenizer, tokenizer)
        processor = PointDescriptorProcessor(
            image_processor=processor.image_processor, tokenizer=tokenizer, chat_template=processor.chat_template,
            base_processor_class=processor.base_processor_class, base_processor_kwargs=processor.base_processor_kwargs,
            num_keypoint_tokens=old.config.num_keypoint_tokens,
        )  # fmt: skip
    if arguments.tower is not None:
        source, _ = load_whole(arguments.tower, PointLocalizer)
        for name in ("vision_tower", "multi_modal_projector"):
            setattr(old.vlm.model, name, getattr(source.vlm.model, name).float())
        old.vlm.config.vision_config = source.vlm.config.vision_config
    point, first = tokenizer.convert_tokens_to_ids([POINT_TOKEN, LOCATION_TOKENS[0]])
    kinds, parts = lexicon().kind_ids, lexicon().part_ids
    config = PointDescriptorConfig(
        vlm_config=old.vlm.config, point_token_id=point, location_token_id=first, share_image_prefix=True,
        num_keypoint_tokens=old.config.num_keypoint_tokens, encoder_heads=old.config.encoder_heads,
        encoder_layers=old.config.encoder_layers, sigma=arguments.sigma,
        kinds=[NOTHING if name is None else name for name in kinds],
        parts=[NO_PART if name is None else name for name in parts],
    )  # fmt: skip
    model = BelievingDescriptor(config, old.vlm)
    model.keypoint_encoder.load_state_dict(old.keypoint_encoder.state_dict())
    if old.config.kinds == config.kinds and old.config.parts == config.parts:
        model.belief_head.load_state_dict(old.belief_head.state_dict())
    model.generation_config = old.generation_config
    model.belief_weight = arguments.belief_weight
    return model, processor


def renew_embeddings(model: PointDescriptor, old: Any, new: Any) -> None:
    """Change a descriptor's embeddings, in place, to a byte-level tokenizer with the same special tokens first."""
    before = model.get_input_embeddings().weight.data.clone()
    pieces, own = old.backend_tokenizer.model, {POINT_TOKEN, *LOCATION_TOKENS}
    vocabulary = {token: index for token, index in new.get_vocab().items() if token not in own}
    after = torch.empty(len(vocabulary), before.shape[1])
    for token, index in vocabulary.items():
        known = [index] if token in new.all_special_tokens else [piece.id for piece in pieces.tokenize(token)]
        after[index] = before[known].mean(0)
    model.vlm.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    model.get_input_embeddings().weight.data.copy_(after)


def main(argv: list[str]) -> Trainer:
    """Train; see the module docstring."""
    describing, training = parse_arguments(ARGUMENTS, argv)
    torch.set_num_threads(describing.threads)
    set_seed(training.seed)
    length = training.max_steps * training.per_device_train_batch_size
    train = describing_examples(describing, "train", length, training.seed)
    val = describing_examples(describing, "val", describing.val_examples, training.seed + 100)
    model, processor = new_descriptor(describing, train)
    freeze_convolutions(model)
    model.vlm.set_attn_implementation("eager")
    training.remove_unused_columns, training.label_names = False, ["kinds", "parts", "sides"]
    trainer = SceneTrainer(
        model=model, args=training, train_dataset=train, eval_dataset=val, data_collator=BeliefCollator(processor),
        compute_metrics=belief_metrics,
    )  # fmt: skip
    trainer.slow_lr_scale = describing.slow_lr_scale
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[describing.save_dtype]
    final = PointDescriptor(model.config, model.vlm)
    final.keypoint_encoder, final.belief_head = model.keypoint_encoder, model.belief_head
    final.generation_config = model.generation_config
    final.to(dtype).save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
