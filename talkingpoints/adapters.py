"""LoRA adapters: a few megabytes beside a base that stays as it is, so that one base in memory serves both directions.

An adapter's folder holds what peft writes (the LoRA weights, and the new parts of the point model whole), the point
model's ``config.json`` and its processor. Needs peft, which is imported only when it is used; nothing here travels to
the Hub as remote code.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from huggingface_hub import snapshot_download, try_to_load_from_cache
from transformers import AutoConfig, AutoModel, AutoProcessor, PreTrainedModel, ProcessorMixin

from .building import Base, is_adapter, load_base
from .cards import is_hub_id
from .configuration_descriptor import PointDescriptorConfig
from .configuration_localizer import PointLocalizerConfig
from .configuration_point import nested_config
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel


ATTENTION = r".*\.(language_model|text_model)\..*\.(q_proj|k_proj|v_proj|o_proj)"
"""Attention projections of the language model, and of it alone, in all families."""

Model = TypeVar("Model", PointDescriptor, PointLocalizer)

_FOREIGN = re.compile(r"\.lora_\w+\.\w+\.weight$")  # of another adapter in a shared base: one's own have no name
_MODELS = {PointDescriptorConfig.model_type: PointDescriptor, PointLocalizerConfig.model_type: PointLocalizer}


def new_parts(model: PointDescriptor | PointLocalizer) -> list[str]:
    """Names of the modules that a point model adds to its base: adapters hold them whole (``modules_to_save``)."""
    if isinstance(model, PointDescriptor):
        return ["keypoint_encoder"]
    # child by child: peft compares the ends of names, and "head" would also take the base's lm_head
    return ["query_token", *(f"head.{name}" for name, _ in model.head.named_children())]


def lora_config(
    model: PointDescriptor | PointLocalizer,
    r: int = 16,
    alpha: int = 32,
    dropout: float = 0.0,
    target_modules: str | Sequence[str] = ATTENTION,
) -> "LoraConfig":
    """What peft has to know, for ``get_peft_model`` or a trainer's ``peft_config`` (TRL's ``GRPOTrainer``).

    Args:
        model: to be adapted.
        r, alpha, dropout: rank, scale (the update is multiplied by alpha / r) and dropout of LoRA.
        target_modules: a regular expression over whole names of modules, or ends of names.

    Raises:
        ValueError: a rank below 1.
    """
    from peft import LoraConfig

    if r < 1:
        raise ValueError(f"the rank r of LoRA must be at least 1, got {r}")
    targets = target_modules if isinstance(target_modules, str) else list(target_modules)
    return LoraConfig(
        r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, modules_to_save=new_parts(model)
    )


def save_point_config(model: "PeftModel", folder: str | Path) -> None:
    """Write the point model's configuration beside its adapter: :func:`load_adapter` rebuilds the model from it."""
    model.get_base_model().config.save_pretrained(folder)


def load_adapter(
    adapter: str | Path,
    base: str | Path | None = None,
    *,
    dtype: torch.dtype | str = torch.float32,
    load: dict[str, Any] | None = None,
    merge: bool = False,
) -> tuple[PointDescriptor | PointLocalizer, ProcessorMixin]:
    """A descriptor or localizer from an adapter and its base, in eval mode, and its processor.

    Args:
        adapter: Hub id or folder of the adapter.
        base: Hub id or folder of the base; None takes the one that the adapter names.
        dtype, load: of the base, as for ``from_base``.
        merge: fold the LoRA weights into the base's; gives an ordinary model, to be saved with ``save_pretrained``.

    Raises:
        ValueError: no adapter of a point model, or of another base.

    Example:
        >>> model, processor = load_adapter("runs/lora", merge=True)
        >>> model.save_pretrained("runs/merged"); processor.save_pretrained("runs/merged")
    """
    adapter = at_revision(adapter)
    config = _point_config(adapter)
    model = _over(_load_base(base or base_of(adapter), dtype, load), config)
    adapted = _adapted(model, adapter, "default")
    model = adapted.merge_and_unload() if merge else adapted.get_base_model()
    return model.eval(), AutoProcessor.from_pretrained(adapter)


def load_model(
    name: str | Path,
    kind: type[Model],
    *,
    dtype: torch.dtype | str = torch.float32,
    load: dict[str, Any] | None = None,
) -> tuple[Model, Any]:
    """A whole model, or one in the form of an adapter, and its processor.

    Args:
        name: folder or Hub id, this also with a tag or commit behind it (``me/points@v1``).
        kind: what it has to be.
        dtype, load: of ``from_pretrained``.

    Raises:
        ValueError: it is of the other kind, or its weights are not all there.
    """
    name = at_revision(name)
    if is_adapter(name):
        model, processor = load_adapter(name, dtype=dtype, load=load)
    else:
        model, loading = AutoModel.from_pretrained(name, dtype=dtype, output_loading_info=True, **(load or {}))
        if missing := sorted(loading["missing_keys"]):  # transformers makes them up
            raise ValueError(f"{name} lacks {len(missing)} tensors of its model: {', '.join(missing[:5])}")
        processor = AutoProcessor.from_pretrained(name)
    if not isinstance(model, kind):
        raise ValueError(f"{name} holds a {type(model).__name__}, not a {kind.__name__}")
    return model, processor


def load_whole(name: str | Path, kind: type[Model], *, dtype: torch.dtype | str = torch.float32) -> tuple[Model, Any]:
    """As :func:`load_model`, for what changes a model and saves it whole.

    Raises:
        ValueError: an adapter, or a model of the other kind.
    """
    if is_adapter(at_revision(name)):
        raise ValueError(
            f"{name} holds an adapter, and here a whole model is changed and saved: merge it first, with "
            "talkingpoints.adapters.load_adapter(..., merge=True)"
        )
    return load_model(name, kind, dtype=dtype)


def at_revision(name: str | Path) -> str | Path:
    """A folder or Hub id as it is; of an id with a tag or commit behind it (``me/points@v1``) its downloaded folder."""
    source, revision = _pinned(name)
    return snapshot_download(source, revision=revision) if revision else source


def base_of(adapter: str | Path) -> str:
    """The base that an adapter names; with the commit behind it (``org/base@3f2a...``) where it names that too.

    Raises:
        ValueError: it names none.
    """
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(adapter)
    name, revision = config.base_model_name_or_path, config.revision
    if not name:
        raise ValueError(f"the adapter {adapter} does not say what it belongs to: give base=")
    return f"{name}@{revision}" if revision else name


def commit_of(name: str | Path) -> str | None:
    """The commit of what was last loaded by a Hub id from ``main``; None for a folder."""
    if Path(name).exists() or not is_hub_id(str(name)):
        return None
    file = try_to_load_from_cache(str(name), "config.json")
    return Path(file).parent.name if isinstance(file, str) else None


def load_pair(
    descriptor_adapter: str | Path,
    localizer_adapter: str | Path,
    base: str | Path | None = None,
    *,
    dtype: torch.dtype | str = torch.float32,
    load: dict[str, Any] | None = None,
) -> list[PreTrainedModel | ProcessorMixin]:
    """Descriptor, its processor, localizer and its processor, over one base in memory.

    The adapters are called "descriptor" and "localizer"; before one of the models is run, its own has to be switched on
    with :func:`switch_on`.

    Raises:
        ValueError: adapters of different bases and no base given, or of other kinds.
    """
    adapters = {"descriptor": at_revision(descriptor_adapter), "localizer": at_revision(localizer_adapter)}
    configs = {kind: _point_config(adapter) for kind, adapter in adapters.items()}
    for kind, config in configs.items():
        if config.model_type != f"point_{kind}":
            raise ValueError(f"{adapters[kind]} is an adapter of a {config.model_type}, not of a point_{kind}")
    if base is None:
        named = {base_of(adapter) for adapter in adapters.values()}
        if len(named) > 1:
            raise ValueError(f"the adapters belong to different bases, {' and '.join(sorted(named))}: give base=")
        base = named.pop()
    shared = _load_base(base, dtype, load)
    # both before either adapter is in the base: a new model initialises what it does not know
    models = {kind: _over(shared, config) for kind, config in configs.items()}
    parts: list[PreTrainedModel | ProcessorMixin] = []
    for kind, adapter in adapters.items():
        parts += [_adapted(models[kind], adapter, kind).get_base_model().eval(), AutoProcessor.from_pretrained(adapter)]
    return parts


def switch_on(model: PreTrainedModel, name: str) -> None:
    """Let a model use one of the adapters in it: "descriptor" or "localizer" after :func:`load_pair`."""
    from peft.functional import set_adapter

    set_adapter(model, name, inference_mode=True)


def _pinned(name: str | Path) -> tuple[str | Path, str | None]:
    """Folder or Hub id, and the tag or commit behind an id's "@"."""
    if isinstance(name, Path) or Path(name).exists() or "@" not in name:
        return name, None
    source, _, revision = name.partition("@")
    return source, revision


def _load_base(name: str | Path, dtype: torch.dtype | str, load: dict[str, Any] | None) -> Base:
    source, revision = _pinned(name)
    return load_base(source, dtype, **{**({"revision": revision} if revision else {}), **(load or {})})


def _over(base: Base, config: PointDescriptorConfig | PointLocalizerConfig) -> PointDescriptor | PointLocalizer:
    """A point model over a base in memory; its new parts are random."""
    config.vlm_config = nested_config(base.vlm.config)
    model = _MODELS[config.model_type](config, base.vlm)
    if isinstance(model, PointDescriptor):
        model.generation_config = base.vlm.generation_config
    return model


def _adapted(model: PreTrainedModel, adapter: str | Path, name: str) -> "PeftModel":
    """The model with an adapter in it.

    Raises:
        ValueError: it does not fit: it is of another base, or not all of it is there.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    try:
        adapted = PeftModel.from_pretrained(model, adapter, adapter_name=name)
    except (RuntimeError, ValueError, KeyError) as error:  # other shapes, no such modules, or a tensor is missing
        raise ValueError(f"the adapter {adapter} does not fit this base: {error}") from error
    wanted = {key for key in get_peft_model_state_dict(adapted, adapter_name=name) if not _FOREIGN.search(key)}
    if wrong := sorted(wanted ^ set(load_peft_weights(str(adapter), device="cpu"))):
        raise ValueError(f"the adapter {adapter} does not fit this base: {len(wrong)} tensors are in one of them only, "
                         f"such as {', '.join(wrong[:3])}")  # fmt: skip
    return adapted


def _point_config(adapter: str | Path) -> PointDescriptorConfig | PointLocalizerConfig:
    try:
        config = AutoConfig.from_pretrained(adapter)
    except (OSError, ValueError) as error:
        raise ValueError(f"{adapter} holds no adapter of a point model: {error}") from error
    if config.model_type not in _MODELS:
        raise ValueError(f"{adapter} is no adapter of a point model, its config.json is of a {config.model_type!r}")
    return config
