"""Make the untrained base of the bundled pair: a tokenizer from the writer's texts and a tiny random LLaVA.

    python -m training.bundled.build_base --config training/bundled/configs/base.yaml --datasets DIR [DIR ...] \\
        --output_dir runs/base

LLaVA with a convolutional vision tower and a Llama of a few layers; about a minute on a CPU. Leaves out training:
sft_localizer.py and sft_descriptor.py start from the folder written here.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from talkingpoints import PointDescriptorConfig  # noqa: F401  registers the vision tower
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.writer.styles import CANONICAL, FREE, STYLES
from training.sft.arguments import load_each, parse_arguments

SPECIAL_TOKENS = {"pad_token": "<pad>", "eos_token": "<eos>", "image_token": "<image>", "answer_token": "<answer>"}
CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% if message['role'] == 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)


@dataclass
class BaseArguments:
    """Sizes of the base model."""

    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders whose train split the tokenizer reads"})
    output_dir: str = field(metadata={"help": "folder to write"})
    half: str | None = field(default=None, metadata={"help": "read every other photo only, even or odd"})
    labels: list[str] | None = field(
        default=None, metadata={"help": "read only photos on which nothing but these categories is annotated"}
    )
    vocab_size: int = 1536
    hidden_size: int = 256
    intermediate_size: int = 640
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    initializer_range: float = field(default=0.06, metadata={"help": "about 1 / sqrt(hidden_size)"})
    image_size: int = 192
    vision_hidden_size: int = 192
    vision_widths: list[int] = field(default_factory=lambda: [48, 96, 192])
    vision_depths: list[int] = field(default_factory=lambda: [2, 2, 2])
    vision_layers: int = 1
    texts: int = 20000
    seed: int = 0


ARGUMENTS = (BaseArguments,)


def written_texts(arguments: BaseArguments) -> Iterator[str]:
    """Texts of every style over the train photos, for the tokenizer."""
    styles = dict.fromkeys((*STYLES, CANONICAL), 1.0)
    if not arguments.labels:
        styles[FREE] = 1.0  # what it makes up names animals that are to stay unknown where labels are chosen
    rng = random.Random(arguments.seed)
    parts = [rows for rows in load_each(arguments.datasets, "train", arguments.half, arguments.labels) if len(rows)]
    per_dataset = arguments.texts // len(parts)
    for rows in parts:
        examples = PointExamples(rows, 8, styles, passes=100, arbitrary=0.2, background=0.1, seed=arguments.seed)
        for _ in range(per_dataset // 8):
            yield from examples[rng.randrange(len(examples))]["texts"]


def build_tokenizer(texts: Iterator[str], vocab_size: int, lowercase: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text can be written with it, and texts like these are short.

    Args:
        texts: to learn pieces from.
        vocab_size: entries, special tokens included.
        lowercase: read capitals as small letters.
    """
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    named = {k: v for k, v in SPECIAL_TOKENS.items() if k in ("pad_token", "eos_token")}
    extra = {k: v for k, v in SPECIAL_TOKENS.items() if k not in named}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, extra_special_tokens=extra, padding_side="left", **named)


def build_model(arguments: BaseArguments, tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """A randomly initialised LLaVA of the given sizes."""
    ids = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    text_config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=arguments.hidden_size,
        intermediate_size=arguments.intermediate_size,
        num_hidden_layers=arguments.num_hidden_layers,
        num_attention_heads=arguments.num_attention_heads,
        num_key_value_heads=arguments.num_key_value_heads,
        max_position_embeddings=1024,
        initializer_range=arguments.initializer_range,
        tie_word_embeddings=True,
        **ids,
    )
    vision_config = ConvVisionConfig(
        image_size=arguments.image_size,
        hidden_size=arguments.vision_hidden_size,
        stage_widths=arguments.vision_widths,  # type: ignore[arg-type]  # from the command line, checked there
        stage_depths=arguments.vision_depths,  # type: ignore[arg-type]
        num_hidden_layers=arguments.vision_layers,
    )
    config = LlavaConfig(
        vision_config=vision_config,
        text_config=text_config,
        image_token_index=int(tokenizer.convert_tokens_to_ids(SPECIAL_TOKENS["image_token"])),  # type: ignore[arg-type]
        image_seq_length=(arguments.image_size // vision_config.patch_size) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model


def build_processor(arguments: BaseArguments, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The processor of that LLaVA: photos are squeezed to a square, not cropped, so that points stay where they are."""
    size = {"height": arguments.image_size, "width": arguments.image_size}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=size, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=ConvVisionConfig(image_size=arguments.image_size).patch_size,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
    )


def main(argv: list[str]) -> None:
    """Build and save; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    tokenizer = build_tokenizer(written_texts(arguments), arguments.vocab_size)
    model = build_model(arguments, tokenizer)
    processor = build_processor(arguments, tokenizer)
    model.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens: {arguments.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
