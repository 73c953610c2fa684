"""What the trainings of the bundled pair on scenes share: frozen convolutions, and two learning rates."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, Trainer

SLOW = ("vision_tower", "multi_modal_projector")


class SceneTrainer(Trainer):
    """A Trainer whose vision side learns more slowly."""

    slow_lr_scale = 1.0

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        slow = [p for name, p in named if any(part in name for part in SLOW)]
        fast = [p for name, p in named if not any(part in name for part in SLOW)]
        rate = self.args.learning_rate
        groups = [{"params": fast, "lr": rate}, {"params": slow, "lr": rate * self.slow_lr_scale}]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], weight_decay=self.args.weight_decay, fused=True
        )
        return self.optimizer


def freeze_convolutions(model: PreTrainedModel) -> None:
    """Keep the tower's convolutions as they are; its layers over the grid learn on."""
    model.vlm.model.vision_tower.backbone.requires_grad_(False)


def hold_statistics(model: nn.Module) -> None:
    """Put what is frozen into evaluation mode, so that its statistics stay."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()
