"""What differs between families of vision-language models, in one place.

Tested: Idefics3, SmolVLM, LLaVA, LLaVA-OneVision, Qwen2.5-VL, Qwen3-VL, InternVL, Gemma3 and PaliGemma. Any other
family of transformers works if it follows the common interface (:func:`check_interface`) and its image tokens divide
the whole photo into equal square cells, row by row; if not, it is refused with what is missing. The rest of the package
asks here and nowhere else.
"""

import inspect
import math

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.image_utils import SizeDict

_TILED = ("idefics3", "smolvlm")  # tiles, then one view of the whole photo
_BATCH_PADDING = ("idefics3", "smolvlm", "llava_onevision")  # their ``do_pad`` adds empty tiles, and moves nothing
_CAUSAL_IMAGES = ("idefics3", "smolvlm", "llava", "llava_onevision", "internvl", "gemma3", "qwen2_vl", "qwen2_5_vl",
                  "qwen3_vl")  # fmt: skip
TESTED = (*_CAUSAL_IMAGES, "paligemma")
"""Families whose bases are known to work; of another one, :func:`load_base` tries out how it sees photos."""
UNUSED_INPUTS = ("batch_num_images",)
"""What image processors give and nothing here needs, and TRL does not know: without it LLaVA-OneVision takes each image
for the only one of its row, as ours are."""
_MOVING = ("do_center_crop", "crop_to_patches", "do_pan_and_scan")

_PALIGEMMA = "PaliGemmaProcessor"
_PALIGEMMA_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def check_interface(vlm: PreTrainedModel) -> None:
    """Whether a model can be a base at all.

    Raises:
        ValueError: it lacks a part of the common interface; says which.
    """
    missing = []
    if not callable(getattr(vlm, "get_image_features", None)):
        missing.append("a method get_image_features(pixel_values, ...)")
    if "mm_encoder_outputs" not in inspect.signature(vlm.forward).parameters:
        missing.append("an argument mm_encoder_outputs of forward (images encoded beforehand)")
    if getattr(vlm.config, "image_token_id", None) is None:
        missing.append("config.image_token_id (the placeholder of image tokens)")
    if missing:
        raise ValueError(f"{vlm.config.model_type!r} models cannot be a base here, they lack {'; '.join(missing)}")


def image_grid(
    config: PreTrainedConfig,
    n_tokens: int,
    grid_thw: list[int] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[int, int, int]:
    """Which of an image's tokens lie on a grid over the whole photo.

    Of tiled families it is their view of the whole photo; the tiles the language model sees all the same.

    Args:
        config: of the base model.
        n_tokens: image tokens of this image.
        grid_thw: (frames, height, width) in patches, of families whose image processor says so.
        size: (height, width) in pixels of what the tower sees, for families whose tokens divide it into equal cells.

    Returns:
        Index of the first such token, and (height, width) of the grid, whose tokens follow row by row.

    Raises:
        ValueError: the tokens lie on no grid that is known for this family.
    """
    first = 0
    vision = config.vision_config
    if grid_thw is not None:
        height, width = (side // vision.spatial_merge_size for side in grid_thw[1:])
    elif config.model_type == "llava_onevision":  # the view of the whole photo, then tiles with line ends
        height = width = vision.image_size // vision.patch_size
    elif config.model_type in _TILED:
        height = width = vision.image_size // vision.patch_size // config.scale_factor
        first = n_tokens - height * width
    else:
        if size is None:
            raise ValueError(
                f"it is not known how the {n_tokens} image tokens of a {config.model_type!r} model lie on the photo: "
                "its image processor gives neither a grid nor pixels of one whole image"
            )
        height = round(math.sqrt(n_tokens * size[0] / size[1]))
        width = n_tokens // max(height, 1)
        if height * width != n_tokens or height * size[1] != width * size[0]:
            raise ValueError(
                f"{n_tokens} image tokens of a {config.model_type!r} model lie on no grid of square cells over an "
                f"image of {size[0]} x {size[1]} pixels (height x width), and where else they lie is not known for "
                "this family"
            )
    if first < 0 or first + height * width > n_tokens:
        raise ValueError(
            f"{n_tokens} image tokens of a {config.model_type!r} model are fewer than its grid of {height} x {width}"
        )
    return first, height, width


def keep_points_in_place(image_processor, config: PreTrainedConfig) -> list[str]:
    """Switch off, in an image processor, whatever moves points: the whole photo has to fill the input.

    Args:
        image_processor: of the base; changed in place.
        config: of the base.

    Returns:
        Names of the options that were on.

    Raises:
        ValueError: it cuts photos into tiles in a way that is not known.
    """
    settings, family = image_processor.to_dict(), config.model_type
    if settings.get("image_grid_pinpoints") and family != "llava_onevision":
        raise ValueError(
            f"the image processor of this {family!r} model cuts photos into tiles (image_grid_pinpoints), and where "
            "these lie is not known for this family"
        )
    moving = [name for name in _MOVING if settings.get(name)]
    if settings.get("do_pad") and family not in _BATCH_PADDING:
        moving.append("do_pad")
    if settings.get("do_image_splitting") and family not in _TILED:
        moving.append("do_image_splitting")
    for name in moving:
        setattr(image_processor, name, False)
    if settings.get("do_center_crop") or set(settings.get("size") or {}) == {"shortest_edge"}:
        side = config.vision_config.image_size  # what is not cropped must be squeezed into the model's square
        height, width = side if isinstance(side, list | tuple) else (side, side)
        image_processor.size = SizeDict(height=height, width=width)
    return moving


def image_options(image_processor) -> dict[str, bool]:
    """What has to be said in every call of the base's processor, whose own defaults are others."""
    return {name: False for name in ("crop_to_patches", "do_pan_and_scan") if name in image_processor.to_dict()}


def chat_template(processor_class: str) -> str | None:
    """Of families that are trained without one: what their prompts look like all the same."""
    return _PALIGEMMA_TEMPLATE if processor_class == _PALIGEMMA else None


def prompt_end(processor_class: str) -> str:
    """What the base's processor itself writes behind every prompt, so that it has to be moved behind the words."""
    return "\n" if processor_class == _PALIGEMMA else ""


def token_types(
    vlm: PreTrainedModel, input_ids: torch.Tensor, labels: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """What a family's ``forward`` needs to know of each token besides its id, by the argument's name.

    Qwen: 1 on image tokens, for their places. Gemma3: the same, image tokens see each other both ways. PaliGemma: 0 on
    the prompt, whose tokens all see each other, 1 on the answer.

    Args:
        vlm: the base model.
        input_ids: (R, S).
        labels: (R, S), -100 outside the answers, if there are any.
    """
    accepted = inspect.signature(vlm.forward).parameters
    is_image = (input_ids == vlm.config.image_token_id).long()
    if "mm_token_type_ids" in accepted:
        return {"mm_token_type_ids": is_image}
    if "token_type_ids" not in accepted:
        return {}
    if vlm.config.model_type == "paligemma":
        return {"token_type_ids": torch.zeros_like(input_ids) if labels is None else (labels != -100).long()}
    return {"token_type_ids": is_image}


def check_shared_prefix(config: PreTrainedConfig) -> None:
    """Whether the image's tokens can be run once for many rows of text, with the same result.

    Raises:
        ValueError: image tokens see the words behind them, or it is not known whether they do.
    """
    if config.model_type == "paligemma":
        raise ValueError(
            "share_image_prefix: PaliGemma's image tokens see the words behind them, so each text needs its own; "
            "use share_image_prefix=False"
        )
    if config.model_type not in _CAUSAL_IMAGES:
        raise ValueError(
            f"share_image_prefix: it is not known whether image tokens of {config.model_type!r} models see the words "
            "behind them; use share_image_prefix=False"
        )


def check_read_in_order(config: PreTrainedConfig) -> None:
    """Whether a row of prompt and answer is read from left to right even where nothing says where the answer begins:
    so TRL scores what was written.

    Raises:
        ValueError: the answer would see what follows in it.
    """
    if config.model_type == "paligemma":
        raise ValueError(
            "PaliGemma reads a row both ways up to where it is told that the answer begins, and TRL does not tell: "
            "GRPO would score each word with those behind it in sight; take a base of another family"
        )


def row_positions(
    vlm: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    types: dict[str, torch.Tensor],
    per_image: dict[str, torch.Tensor],
) -> torch.Tensor | None:
    """Position ids (3, R, S) of families that place tokens in space and time; None where they just count."""
    if "image_grid_thw" not in per_image:
        return None
    return vlm.base_model.get_rope_index(input_ids, attention_mask=attention_mask, **types, **per_image)[0]
