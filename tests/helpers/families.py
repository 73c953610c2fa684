"""Tiny random models of the nine base families, of their real architecture, with processors and chat templates."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast, ProcessorMixin

from talkingpoints.base_processor import processor_class
from tests.helpers.tiny import CORPUS

_IM = "<|im_start|>{{ message['role'] }}\n"
_IMAGES_FIRST = (
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}IMAGE{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
)
_IN_ORDER = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] TRIM }}"
    "{% endif %}{% endfor %}"
)


def _template(before: str, content: str, after: str, answer: str, image: str, start: str = "", trim: str = "") -> str:
    """As the families write theirs: what opens a turn, its content, what closes it, and what the answer starts with."""
    turns = "{% for message in messages %}" + before + content + after + "{% endfor %}"
    whole = f"{start}{turns}{{% if add_generation_prompt %}}{answer}{{% endif %}}"
    return whole.replace("IMAGE", image).replace("TRIM", trim)


_IDEFICS = (
    "<|im_start|>{{ message['role'] | capitalize }}:",
    _IN_ORDER,
    "<end_of_utterance>\n",
    "Assistant:",
    "<image>",
)
_QWEN = (_IM, _IN_ORDER, "<|im_end|>\n", "<|im_start|>assistant\n", "<|vision_start|><|image_pad|><|vision_end|>",
         "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")  # fmt: skip
_PADS = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "vision_bos_token": "<|vision_start|>",
         "vision_eos_token": "<|vision_end|>"}  # fmt: skip
_FAKE = {"fake_image_token": "<fake_token_around_image>", "image_token": "<image>",
         "end_of_utterance_token": "<end_of_utterance>", "global_image_token": "<global-img>"}  # fmt: skip

PROCESSORS = {
    "idefics3": "Idefics3Processor",
    "smolvlm": "SmolVLMProcessor",
    "llava": "LlavaProcessor",
    "llava_onevision": "LlavaOnevisionProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
    "internvl": "InternVLProcessor",
    "gemma3": "Gemma3Processor",
    "paligemma": "PaliGemmaProcessor",
}
FAMILIES = tuple(PROCESSORS)

_INTERNVL = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
             "video_token": "<video>"}  # fmt: skip
TOKENS = {
    "idefics3": _FAKE,
    "smolvlm": {**_FAKE, "video_token": "<video>"},
    "llava": {"image_token": "<image>"},
    "llava_onevision": {"image_token": "<image>", "video_token": "<video>"},
    "qwen2_5_vl": _PADS,
    "qwen3_vl": _PADS,
    "internvl": _INTERNVL,
    "gemma3": {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
    "paligemma": {"image_token": "<image>"},
}
_GEMMA = ("<start_of_turn>user\n", _IN_ORDER, "<end_of_turn>\n", "<start_of_turn>model\n", "<start_of_image>",
          "{{ bos_token }}", "| trim")  # fmt: skip
TEMPLATES = {
    "idefics3": _template(*_IDEFICS),
    "smolvlm": _template(*_IDEFICS),
    "llava": _template("{{ message['role'].upper() }}: ", _IMAGES_FIRST, " ", "ASSISTANT:", "<image>\n"),
    "llava_onevision": _template(_IM, _IMAGES_FIRST, "<|im_end|>", "<|im_start|>assistant\n", "<image>\n"),
    "qwen2_5_vl": _template(*_QWEN),
    "qwen3_vl": _template(*_QWEN),
    "internvl": _template(_IM, _IN_ORDER, "<|im_end|>\n", "<|im_start|>assistant\n", "<IMG_CONTEXT>\n"),
    "gemma3": _template(*_GEMMA),
    "paligemma": None,
}

_TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048}  # fmt: skip
_VIT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 56, "patch_size": 14}  # fmt: skip
_QWEN_VIT = {"hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64, "spatial_merge_size": 2}
_PINPOINTS = [[56, 56], [56, 112], [112, 56], [112, 112]]


def tokenizer_of(family: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the family's own special tokens; Gemma3's writes ``<bos>`` by itself, as it does."""
    special = ["<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>", *TOKENS[family].values()]
    if family in ("smolvlm", "idefics3"):
        special += [f"<row_{i + 1}_col_{j + 1}>" for i in range(4) for j in range(4)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS * 5,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if family == "gemma3":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<|im_end|>",
        extra_special_tokens=TOKENS[family],
        padding_side="left",
    )


def config_of(family: str, tokenizer: PreTrainedTokenizerFast) -> transformers.PreTrainedConfig:
    """The family's own configuration class, tiny."""
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in TOKENS[family].items()}
    image = ids.get("image_token", ids.get("context_image_token"))
    text = {"vocab_size": len(tokenizer), **_TEXT, "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}  # fmt: skip
    if family in ("smolvlm", "idefics3"):
        kind = transformers.SmolVLMConfig if family == "smolvlm" else transformers.Idefics3Config
        return kind(
            vision_config={**_VIT, "image_size": 64, "patch_size": 16},
            text_config={"model_type": "llama", **text},
            scale_factor=2, image_token_id=image, tie_word_embeddings=family == "smolvlm", pad_token_id=0,
        )  # fmt: skip
    if family == "llava":
        return transformers.LlavaConfig(
            vision_config={"model_type": "clip_vision_model", "projection_dim": 32, **_VIT},
            text_config={"model_type": "llama", **text},
            image_token_index=image, vision_feature_select_strategy="default", image_seq_length=16,
        )  # fmt: skip
    if family == "llava_onevision":
        return transformers.LlavaOnevisionConfig(
            vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **_VIT},
            text_config={"model_type": "qwen2", **text},
            image_token_index=image, video_token_index=ids["video_token"], image_grid_pinpoints=_PINPOINTS,
            vision_feature_select_strategy="full",
        )  # fmt: skip
    if family in ("qwen2_5_vl", "qwen3_vl"):
        named = {"image_token_id": image, "video_token_id": ids["video_token"],
                 "vision_start_token_id": ids["vision_bos_token"],
                 "vision_end_token_id": ids["vision_eos_token"]}  # fmt: skip
        rope = {"rope_type": "default", "rope_theta": 1e6}
        if family == "qwen2_5_vl":
            vision = {"depth": 2, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1], **_QWEN_VIT}
            rope["mrope_section"] = [2, 3, 3]
            text["rope_parameters"] = rope
            return transformers.Qwen2_5_VLConfig(vision_config=vision, text_config=text, **named)
        vision = {"depth": 3, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1],
                  **_QWEN_VIT}  # fmt: skip
        rope |= {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
        return transformers.Qwen3VLConfig(
            vision_config=vision, text_config={**text, "head_dim": 16, "rope_parameters": rope}, **named
        )
    if family == "internvl":
        return transformers.InternVLConfig(
            vision_config={**_VIT, "image_size": [56, 56], "patch_size": [14, 14]},
            text_config={"model_type": "qwen2", **text},
            image_token_id=image, image_seq_length=4, downsample_ratio=0.5,
        )  # fmt: skip
    if family == "gemma3":
        return transformers.Gemma3Config(
            vision_config=_VIT, text_config={"head_dim": 16, "sliding_window": 32, **text}, mm_tokens_per_image=4,
            boi_token_index=ids["boi_token"], eoi_token_index=ids["eoi_token"], image_token_index=image,
        )  # fmt: skip
    return transformers.PaliGemmaConfig(
        vision_config={"vision_use_head": False, "projection_dim": 64, **_VIT},
        text_config={"model_type": "gemma", "head_dim": 16, **text},
        image_token_index=image, projection_dim=64, hidden_size=64,
    )  # fmt: skip


def image_processor_of(family: str):
    """The family's own image processor with its usual options on: tiles, crops and splits."""
    square = {"height": 56, "width": 56}
    if family == "smolvlm":
        return transformers.SmolVLMImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    if family == "idefics3":
        return transformers.Idefics3ImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    if family == "llava":
        return transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=square, do_center_crop=True)
    if family == "llava_onevision":
        return transformers.LlavaOnevisionImageProcessorPil(size=square, image_grid_pinpoints=_PINPOINTS)
    if family in ("qwen2_5_vl", "qwen3_vl"):
        patch, edge = (14, 56) if family == "qwen2_5_vl" else (16, 64)
        return transformers.Qwen2VLImageProcessorPil(
            patch_size=patch, merge_size=2, size={"shortest_edge": edge**2, "longest_edge": (2 * edge) ** 2}
        )
    if family == "internvl":
        return transformers.GotOcr2ImageProcessorPil(size=square, crop_to_patches=True)
    if family == "gemma3":
        return transformers.Gemma3ImageProcessorPil(size=square)
    processor = transformers.SiglipImageProcessorPil(size=square)
    processor.image_seq_length = 16
    return processor


_PROCESSOR_OPTIONS = {
    "idefics3": {"image_seq_len": 4},
    "smolvlm": {"image_seq_len": 4},
    "llava": {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
    "llava_onevision": {"num_image_tokens": 16, "vision_feature_select_strategy": "full"},
    "internvl": {"image_seq_length": 4},
    "gemma3": {"image_seq_length": 4},
}


def family_processor(family: str, tokenizer: PreTrainedTokenizerFast) -> ProcessorMixin:
    """The family's own processor."""
    return processor_class(PROCESSORS[family])(
        image_processor=image_processor_of(family),
        tokenizer=tokenizer,
        chat_template=TEMPLATES[family],
        **_PROCESSOR_OPTIONS.get(family, {}),
    )


def family_base(family: str, folder: Path) -> Path:
    """An untrained base of a family, saved in ``folder`` as its Hub repository would be."""
    tokenizer = tokenizer_of(family)
    processor = family_processor(family, tokenizer)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config_of(family, tokenizer))
    if family == "gemma3":  # starts as zeros: it would not see photos
        torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
