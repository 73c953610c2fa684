"""The optimiser of the trainings: slower learning rates for pretrained modules, and frozen modules."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments


def build_optimizer(
    model: PreTrainedModel, training: TrainingArguments, slow_modules: list[str], slow_lr_scale: float
) -> torch.optim.Optimizer | None:
    """The optimiser that ``training`` asks for, with a lower learning rate for pretrained modules.

    The first gradients of a new module are noise, but Adam turns them into steps of full size. At the common learning
    rate the pretrained modules behind it would forget what they know.

    Args:
        model: The model to train.
        training: Learning rate, weight decay and optimiser.
        slow_modules: Parts of the names of the pretrained modules' parameters. If empty, the result is None, and the
            ``Trainer`` makes its own optimiser.
        slow_lr_scale: Their learning rate as a share of the common one; 0 freezes them.

    Raises:
        ValueError: If no parameter has such a name.
    """
    if not slow_modules:
        return None
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    unknown = [slow for slow in slow_modules if not any(slow in name for name in names)]
    if unknown:
        raise ValueError(f"slow_modules: no parameter has {unknown} in its name")
    optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(training, model)
    decayed = set(Trainer.get_decay_parameter_names(None, model))  # type: ignore[arg-type]  # it uses no self
    parameters = dict(model.named_parameters())
    if slow_lr_scale == 0:
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and any(slow in name for slow in slow_modules):
                module.momentum = 0.0  # a frozen module keeps its running statistics too
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name in names:
        is_slow = any(slow in name for slow in slow_modules)
        groups.setdefault((is_slow, name in decayed), []).append(parameters[name])
    return optimizer_class(
        [
            {
                "params": group,
                "lr": training.learning_rate * (slow_lr_scale if is_slow else 1.0),
                "weight_decay": training.weight_decay if decay else 0.0,
            }
            for (is_slow, decay), group in groups.items()
        ],
        **options,
    )


def freeze(model: torch.nn.Module, frozen_modules: Sequence[str], all_statistics: bool = False) -> None:
    """Freeze parameters by parts of their names, and the batch statistics of the same layers.

    The trainer sets the model to training mode before every step, so each frozen layer sets itself back to eval mode.

    Args:
        model: Changed in place.
        frozen_modules: Parts of the names.
        all_statistics: Freeze the batch statistics of every layer.

    Raises:
        ValueError: If no parameter has such a name.
    """
    names = [name for name, _ in model.named_parameters()]
    unknown = [frozen for frozen in frozen_modules if not any(frozen in name for name in names)]
    if unknown:
        raise ValueError(f"frozen_modules: no parameter has {unknown} in its name")
    for name, parameter in model.named_parameters():
        if any(frozen in name for frozen in frozen_modules):
            parameter.requires_grad_(False)
    for name, module in model.named_modules():
        # a layer's name ends where its parameters' names go on
        is_frozen = all_statistics or any(frozen in f"{name}." for frozen in frozen_modules)
        if is_frozen and isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda norm, _: norm.eval() and None)
