"""Teach the base's vision tower what stands where, before any words: keypoints, labels, boxes and places in them.

    python -m training.bundled.pretrain_vision --config training/bundled/configs/vision.yaml \\
        --base runs/base --datasets DIR [DIR ...] --output_dir runs/vision

A photo's annotation supervises every cell at once, which a text about one point cannot, and without the language
model a step is several times cheaper. The heads used here are thrown away; the base is saved with its new tower.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, Trainer, TrainingArguments
from transformers.modeling_outputs import ModelOutput

from talkingpoints import PointDescriptorConfig  # noqa: F401  registers the vision tower
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.keypoint_encoder import cell_centers
from talkingpoints.localizer_heads import gaussian_target, subcell_centers
from talkingpoints.writer.scene import Scene
from training.sft.arguments import DataArguments, parse_arguments, passes_over, with_keypoints
from training.sft.checkpoints import WholeCheckpoints
from training.sft.processes import one_pass, start_run


@dataclass(kw_only=True)
class VisionArguments(DataArguments):
    """Data and targets of the pretraining."""

    subcells: int = field(default=2, metadata={"help": "keypoint heat-map cells per side of a vision cell"})
    target_sigma: float = field(default=0.03, metadata={"help": "of the keypoint targets, in shares of the image"})


ARGUMENTS = (VisionArguments, TrainingArguments)


@dataclass
class VisionOutput(ModelOutput):
    """``loss`` (), and ``errors`` (B, K): unit distance of each keypoint's heat-map peak, NaN where it is absent."""

    loss: torch.Tensor | None = None
    errors: torch.Tensor | None = None


class SceneTargets:
    """Scenes -> tensors: where each keypoint name is (one object per name, the largest), and each cell's object."""

    def __init__(self, names: Sequence[str], labels: Sequence[str], grid: int):
        self.names = {name: i for i, name in enumerate(names)}
        self.labels = {label: i for i, label in enumerate(labels)}
        self.centers = cell_centers(grid, grid).numpy()

    def __call__(self, scene: Scene) -> dict[str, np.ndarray]:
        """``keypoints`` (K, 2), NaN where absent; ``labels`` (N, L) 0/1; ``boxes`` (N, 4): distances from the cell to
        left, top, right and bottom of the smallest box over it, NaN outside of all; ``fifths`` (N, 2): column and row
        of the cell in that box, 0 to 4, the writer's finest places; -1 outside of all."""
        keypoints = np.full((len(self.names), 2), np.nan, np.float32)
        labels = np.zeros((len(self.centers), len(self.labels)), np.float32)
        boxes = np.full((len(self.centers), 4), np.nan, np.float32)
        for item in sorted(scene.objects, key=lambda item: _area(item.box)):
            for keypoint in item.keypoints:
                keypoints[self.names[keypoint.name]] = keypoint.x, keypoint.y
        for item in sorted(scene.objects, key=lambda item: -_area(item.box)):
            x0, y0, x1, y1 = item.box
            x, y = self.centers.T
            inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            labels[inside, self.labels[item.label]] = 1
            boxes[inside] = np.stack([x - x0, y - y0, x1 - x, y1 - y], axis=-1)[inside]
        across, down = boxes[:, 0] / (boxes[:, 0] + boxes[:, 2]), boxes[:, 1] / (boxes[:, 1] + boxes[:, 3])
        fifths = np.nan_to_num(np.stack([across, down], axis=-1) * 5, nan=-1.0).clip(max=4).astype(np.int64)
        return {"keypoints": keypoints, "labels": labels, "boxes": boxes, "fifths": fifths}


class SceneCollator:
    """Indices of examples -> pixel values and targets."""

    def __init__(self, image_processor, targets: SceneTargets):
        self.image_processor = image_processor
        self.targets = targets

    def __call__(self, views: Sequence[tuple]) -> dict[str, torch.Tensor]:
        pixels = self.image_processor(images=[image for image, _ in views], return_tensors="pt")["pixel_values"]
        rows = [self.targets(scene) for _, scene in views]
        return {"pixel_values": pixels, **{k: torch.from_numpy(np.stack([r[k] for r in rows])) for k in rows[0]}}


class Views(torch.utils.data.Dataset):
    """The augmented photos and scenes of examples, without points and texts."""

    def __init__(self, examples: PointExamples):
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple:
        return self.examples.view(index)


class VisionPretraining(nn.Module):
    """A vision tower with one linear head for keypoints, labels and boxes."""

    def __init__(self, tower: PreTrainedModel, n_keypoints: int, n_labels: int, subcells: int, target_sigma: float):
        super().__init__()
        self.tower, self.subcells, self.target_sigma = tower, subcells, target_sigma
        self.keypoint_head = nn.Linear(tower.config.hidden_size, n_keypoints * subcells**2)
        self.object_head = nn.Linear(tower.config.hidden_size, n_labels + 4 + 2 * 5)
        side = tower.config.image_size // tower.config.patch_size
        centers = subcell_centers(cell_centers(side, side)[None], [(side, side)], subcells).flatten(1, 2)
        self.centers: torch.Tensor
        self.register_buffer("centers", centers, persistent=False)

    def forward(
        self,
        pixel_values: torch.Tensor,
        keypoints: torch.Tensor,
        labels: torch.Tensor,
        boxes: torch.Tensor,
        fifths: torch.Tensor,
    ) -> VisionOutput:
        tokens = self.tower(pixel_values).last_hidden_state
        batch, cells = tokens.shape[:2]
        scores = self.keypoint_head(tokens).float().view(batch, cells, -1, self.subcells**2)
        scores = scores.permute(0, 2, 1, 3).flatten(2)  # (B, K, cells * s * s)
        here = ~keypoints.isnan().any(-1)
        chosen, truth = scores[here], keypoints[here]
        centers = self.centers.expand(len(truth), -1, -1)
        target = gaussian_target(truth, centers, self.target_sigma)
        keypoint_loss = -(target * chosen.log_softmax(-1)).sum(-1).mean()
        objects = self.object_head(tokens).float()
        n_labels = labels.shape[-1]
        label_loss = nn.functional.binary_cross_entropy_with_logits(objects[..., :n_labels], labels)
        covered = ~boxes.isnan().any(-1)
        box_loss = (objects[..., n_labels : n_labels + 4][covered].sigmoid() - boxes[covered]).abs().mean()
        places = objects[..., n_labels + 4 :].unflatten(-1, (2, 5))[covered]
        fifth_loss = nn.functional.cross_entropy(places.flatten(0, 1), fifths[covered].flatten())
        errors = torch.full(keypoints.shape[:2], math.nan, device=keypoints.device)
        errors[here] = (self.centers[0][chosen.argmax(-1)] - truth).norm(dim=-1).detach()
        return VisionOutput(loss=keypoint_loss + 2.0 * label_loss + 5.0 * box_loss + fifth_loss, errors=errors)


def keypoint_metrics(prediction) -> dict[str, float]:
    """Share of keypoints whose peak lies within 0.05 and 0.1 of the image (percent)."""
    errors = prediction.predictions[~np.isnan(prediction.predictions)]
    return {f"pck_img_{t}": 100 * float((errors <= t).mean()) for t in (0.05, 0.1)}


def main(argv: list[str]) -> Trainer:
    """Pretrain; see the module docstring."""
    vision, training = parse_arguments(ARGUMENTS, argv)
    if training.push_to_hub:
        raise ValueError("push_to_hub: this training pushes nothing")
    start_run(training, vision.threads)
    vlm, processor = (
        AutoModelForImageTextToText.from_pretrained(vision.base),
        AutoProcessor.from_pretrained(vision.base),
    )
    splits = {split: vision.load(split) for split in ("train", "val")}
    objects = [item for split in splits.values() for row in split["objects"] for item in row]
    names = sorted({k["name"] for item in objects for k in item["keypoints"]})
    labels = sorted({item["label"] for item in objects})
    tower = vlm.model.vision_tower
    model = VisionPretraining(tower, len(names), len(labels), vision.subcells, vision.target_sigma)
    passes = passes_over(with_keypoints(splits["train"]), training)
    one_pass(training)
    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"
    training.label_names = ["keypoints"]
    trainer = WholeCheckpoints(
        model=model,
        args=training,
        data_collator=SceneCollator(
            processor.image_processor, SceneTargets(names, labels, tower.config.image_size // tower.config.patch_size)
        ),
        train_dataset=Views(
            PointExamples(splits["train"], passes=passes, augmentation=vision.augmentation, seed=training.seed)
        ),
        eval_dataset=Views(PointExamples(splits["val"], seed=training.seed)),
        compute_metrics=keypoint_metrics,
    )
    trainer.train()
    trainer.log_metrics("eval", trainer.evaluate())
    vlm.save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    return trainer


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


if __name__ == "__main__":
    main(sys.argv[1:])
