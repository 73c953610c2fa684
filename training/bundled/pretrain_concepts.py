"""Teach the localizer's vision tower, projector and head what stands where: kinds, parts and sides, before any words.

    python -m training.bundled.pretrain_concepts --base runs/tower --data DIR --output_dir runs/concepts

DIR holds the sets that ``concepts.py`` reads. Two tasks share the photos. At a point: its kind, part and own side, by
a small network over the image token there and the mean of all. From a kind, part and side, as a sum of embeddings in
place of a text: the heat map, with all matching points as its target, and whether they are there. "Background" of a
class mask says that a pixel is none of the mask's kinds, and is learned as just that.
"""

import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed
from transformers.modeling_outputs import ModelOutput

from talkingpoints import PointLocalizer, PointLocalizerProcessor
from talkingpoints.data.examples.augmentation import Augmentation, recoloured
from talkingpoints.keypoint_encoder import cell_centers
from talkingpoints.localizer_heads import gaussian_target, subcell_centers
from training.bundled.concepts import SIDES, UNKNOWN, VOC, ConceptPhoto, ConceptPoint, pixel_kinds, read_photos
from training.sft.arguments import parse_arguments

WEIGHTS = {
    "animalpose": 1.6, "people": 1.2, "birds": 1.2, "lspet": 1.5, "faces300w": 0.6, "celebamask": 0.6, "ccp": 1.2,
    "bikes": 2.0, "facades": 0.8, "carparts": 1.5, "camvid": 2.0, "tools": 0.8, "wildlife_boxes": 0.6, "coco": 4.0,
}  # fmt: skip
"""How often a pass shows the photos of a set."""
_POINTS, _PIXELS, _QUERIES = 14, 14, 8


@dataclass
class ConceptArguments:
    """Model and data of this pretraining."""

    base: str = field(metadata={"help": "folder of a localizer with our vision tower"})
    data: str = field(metadata={"help": "folder of the sets"})
    threads: int = field(default=1, metadata={"help": "torch threads"})
    smallest_crop: float = field(default=0.5, metadata={"help": "least share of a side that a crop keeps"})
    val_photos: int = field(default=480, metadata={"help": "photos of val, evenly spread over the sets"})
    slow_lr_scale: float = field(default=0.4, metadata={"help": "of the trained convolutions, as a share of the rate"})


ARGUMENTS = (ConceptArguments, TrainingArguments)


class Vocabulary(NamedTuple):
    """Names of kinds, parts and sides; the first part is "none"."""

    kinds: list[str]
    parts: list[str]

    @classmethod
    def of(cls, photos: Sequence[ConceptPhoto]) -> "Vocabulary":
        """All names of some photos; "background" is no kind."""
        kinds = {p.kind for photo in photos for p in photo.points} | {
            k for photo in photos for k in photo.kinds.values()
        }
        parts = {p.part for photo in photos for p in photo.points if p.part is not None}
        return cls(sorted(kinds - {"background"}), ["none", *sorted(parts)])


class ConceptExamples(torch.utils.data.Dataset):
    """Crops of photos with labelled points; example ``i`` is always the same.

    Args:
        sets: name -> photos.
        vocabulary: of the labels.
        length: how many examples.
        seed: of everything random.
        augment: whether photos are cropped, mirrored and coloured.
        smallest_crop: least share of a side that a crop keeps.
    """

    def __init__(
        self,
        sets: dict[str, list[ConceptPhoto]],
        vocabulary: Vocabulary,
        length: int,
        seed: int = 0,
        augment: bool = True,
        smallest_crop: float = 0.5,
    ):
        self.photos = [(name, photo) for name, photos in sets.items() for photo in photos]
        self.weights = np.cumsum([WEIGHTS[name] for name, _ in self.photos])
        self.vocabulary, self.length, self.seed = vocabulary, length, seed
        self.augment, self.smallest_crop = augment, smallest_crop
        self.kinds_of = {
            name: sorted({p.kind for photo in photos for p in photo.points}) for name, photos in sets.items()
        }
        self.triples = {
            name: sorted({_triple(p) for photo in photos for p in photo.points if p.side is not None and p.part})
            for name, photos in sets.items()
        }

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> dict[str, Any]:
        rng = random.Random(self.seed * 1_000_003 + i)
        if self.augment:
            index = int(np.searchsorted(self.weights, rng.random() * self.weights[-1], side="right"))
        else:
            index = i * len(self.photos) // self.length
        name, photo = self.photos[index]
        with Image.open(photo.path) as file:
            image = file.convert("RGB")
        box, flip = (0.0, 0.0, 1.0, 1.0), False
        if self.augment:
            width, height = (rng.uniform(self.smallest_crop, 1.0) if rng.random() < 0.8 else 1.0 for _ in range(2))
            left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
            box, flip = (left, top, left + width, top + height), rng.random() < 0.5
        sizes = (image.width, image.height) * 2
        image = image.crop(tuple(round(c * s) for c, s in zip(box, sizes, strict=True)))
        if flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.augment and rng.random() < 0.5:
            image = recoloured(image, Augmentation(), np.random.default_rng(rng.getrandbits(32)))
        points = [_moved(p, box, flip) for p in [*photo.points, *pixel_kinds(photo, _PIXELS, rng)]]
        points = [p for p in points if 0 <= p.x < 1 and 0 <= p.y < 1]
        named = [p for p in points if p.part is not None]
        return {"image": image, **self._labels(points, rng), **self._queries(name, named, rng)}

    def _labels(self, points: Sequence[ConceptPoint], rng: random.Random) -> dict[str, np.ndarray]:
        """The points' places (n, 2) and labels (n, 3); rows without labels fill up to n."""
        chosen = rng.sample(list(points), min(len(points), _POINTS + _PIXELS))
        places = np.zeros((_POINTS + _PIXELS, 2), dtype=np.float32)
        labels = np.full((_POINTS + _PIXELS, 3), UNKNOWN)
        kinds, parts = self.vocabulary
        for row, p in enumerate(chosen):
            places[row] = p.x, p.y
            # -1: none of the kinds of a VOC mask
            labels[row, 0] = -1 if p.kind == "background" else kinds.index(p.kind)
            labels[row, 1] = parts.index(p.part) if p.part else UNKNOWN
            labels[row, 2] = SIDES.index(p.side) if p.part and p.side else UNKNOWN
        return {"places": places, "labels": labels}

    def _queries(self, name: str, points: Sequence[ConceptPoint], rng: random.Random) -> dict[str, Any]:
        """Kinds, parts and sides to look for (q, 3), where they are (q lists of points), and whether (q,)."""
        kinds, parts = self.vocabulary
        found = Counter(_triple(p) for p in points if p.side is not None)
        asked = rng.sample(sorted(found), min(len(found), _QUERIES - 2))
        absent = [t for t in self.triples[name] if t[0] not in {p.kind for p in points}]
        other = [t for n, ts in self.triples.items() if n != name for t in ts if t[0] not in self.kinds_of[name]]
        pool = absent if absent and rng.random() < 0.7 else other
        queries = [*asked, *rng.choices(pool, k=_QUERIES - len(asked))]
        here = [[(p.x, p.y) for p in points if _triple(p) == query] for query in asked]
        return {
            "queries": np.array([[kinds.index(k), parts.index(p), SIDES.index(s)] for k, p, s in queries]),
            "targets": [*here, *([] for _ in range(_QUERIES - len(asked)))],
        }


def _triple(point: ConceptPoint) -> tuple[str, str, str]:
    return (point.kind, point.part or "none", point.side or "none")


def _moved(point: ConceptPoint, box: tuple[float, float, float, float], flip: bool) -> ConceptPoint:
    x, y = (point.x - box[0]) / (box[2] - box[0]), (point.y - box[1]) / (box[3] - box[1])
    swapped = {"left": "right", "right": "left"}.get(point.side or "", point.side)
    return ConceptPoint(1 - x if flip else x, y, point.kind, point.part, swapped if flip else point.side)


class ConceptModel(PreTrainedModel):
    """A localizer's tower, projector and head, whose weights it shares, with the networks of this pretraining."""

    config_class = PointLocalizer.config_class
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, localizer: PointLocalizer, vocabulary: Vocabulary):
        super().__init__(localizer.config)
        self.localizer, self.vocabulary = localizer, vocabulary
        width = localizer.config.get_text_config().hidden_size
        sizes = (len(vocabulary.kinds), len(vocabulary.parts), len(SIDES))
        self.trunk = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, 384), nn.GELU())
        self.readers = nn.ModuleList(nn.Linear(384, size) for size in sizes)
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        masked = [kind in VOC for kind in vocabulary.kinds]
        self.register_buffer("in_masks", torch.tensor(masked), persistent=False)

    def train(self, mode: bool = True) -> "ConceptModel":
        """As usual, but what is frozen keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def forward(
        self,
        pixel_values: torch.Tensor,
        places: torch.Tensor,
        labels: torch.Tensor,
        queries: torch.Tensor,
        targets: torch.Tensor,
        there: torch.Tensor,
    ) -> ModelOutput:
        """pixel_values (B, C, H, W), places (B, n, 2), labels (B, n, 3), queries (B, q, 3), targets (B, q, N, s * s)
        that sum to 1 where ``there`` (B, q) is 1."""
        visual = self.localizer.encode_images(pixel_values=pixel_values)
        (height, width) = visual.grids[0]
        grid = visual.tokens.mT.unflatten(2, (height, width))  # (B, D, h, w)
        sampled = functional.grid_sample(grid.float(), (places * 2 - 1)[:, :, None], align_corners=False)[..., 0].mT
        mean = visual.tokens.float().mean(1, keepdim=True).expand_as(sampled)
        states = self.trunk(torch.cat([sampled, mean], -1))  # (B, n, 384)
        read = [reader(states).flatten(0, 1).float() for reader in self.readers]
        kind, part, side = labels.flatten(0, 1).unbind(-1)
        loss = self._kind_loss(read[0], kind)
        loss = loss + _cross_entropy(read[1], part) + 0.5 * _cross_entropy(read[2], side)
        asked = sum(table(queries[..., i]) for i, table in enumerate(self.embeddings)).flatten(0, 1)
        scores, presence = self.localizer.head(
            visual.tokens, visual.valid, visual.centers, asked.to(visual.tokens.dtype), queries.shape[1]
        )
        here = there.flatten()
        errors = -(targets.flatten(0, 1).flatten(1) * scores.flatten(1).float().log_softmax(-1).clamp_min(-1e4)).sum(-1)
        loss = loss + 0.5 * (errors * here).sum() / here.sum().clamp_min(1)
        loss = loss + 0.3 * functional.binary_cross_entropy_with_logits(presence.float(), here)
        return ModelOutput(loss=loss, logits=tuple(r.argmax(-1) for r in read), presence=(presence > 0).float())

    def _kind_loss(self, logits: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
        """Cross-entropy; for pixels that are none of the masks' kinds, of the probability of all other kinds."""
        known, none = kind >= 0, kind == -1
        log_p = logits.log_softmax(-1)
        total = logits.sum() * 0.0
        total = total - log_p[known].gather(1, kind[known, None]).sum()
        others = log_p[none].masked_fill(self.in_masks, -torch.inf)
        total = total - others.logsumexp(-1).clamp_min(-20).sum()
        return total / (known.sum() + none.sum()).clamp_min(1)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="sum") / (
        labels >= 0
    ).sum().clamp_min(1)


class Collator:
    """Examples -> a batch."""

    def __init__(self, processor: PointLocalizerProcessor, config: Any, side: int):
        self.processor, self.sigma, self.subcells, self.side = (
            processor.image_processor,
            config.target_sigma,
            config.subcells,
            side,
        )

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        grid = cell_centers(self.side, self.side)[None]
        centers = subcell_centers(grid, [(self.side, self.side)], self.subcells)[0].flatten(0, 1)  # (N * s * s, 2)
        targets = torch.zeros(len(examples), len(examples[0]["targets"]), len(centers))
        for i, example in enumerate(examples):
            for j, points in enumerate(example["targets"]):
                if points:
                    places = torch.tensor(points, dtype=torch.float32)
                    targets[i, j] = gaussian_target(places, centers.expand(len(places), -1, -1), self.sigma).mean(0)
        return {
            "pixel_values": self.processor(images=[e["image"] for e in examples], return_tensors="pt")["pixel_values"],
            "places": torch.from_numpy(np.stack([e["places"] for e in examples])),
            "labels": torch.from_numpy(np.stack([e["labels"] for e in examples])),
            "queries": torch.from_numpy(np.stack([e["queries"] for e in examples])),
            "targets": targets,
            "there": torch.tensor([[float(bool(t)) for t in e["targets"]] for e in examples]),
        }


class ConceptTrainer(Trainer):
    """A Trainer whose convolutions that come trained learn more slowly."""

    slow_lr_scale = 1.0

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        slow = [p for n, p in self.model.named_parameters() if "backbone" in n and p.requires_grad]
        fast = [p for n, p in self.model.named_parameters() if "backbone" not in n and p.requires_grad]
        rate = self.args.learning_rate
        groups = [{"params": fast, "lr": rate}, {"params": slow, "lr": rate * self.slow_lr_scale}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=self.args.weight_decay, fused=True)
        return self.optimizer


def accuracies(prediction: Any) -> dict[str, float]:
    """Share of right kinds, parts and sides at val points, and of right presences."""
    (kinds, parts, sides), presence = prediction.predictions
    labels, there = prediction.label_ids
    found = {}
    for name, guess, column in zip(("kind", "part", "side"), (kinds, parts, sides), range(3), strict=True):
        truth = labels[..., column].ravel()
        known = truth >= 0
        found[name] = float((guess.ravel()[known] == truth[known]).mean())
    found["presence"] = float((presence.ravel() == there.ravel()).mean())
    return found


def main(argv: list[str]) -> Trainer:
    """Pretrain; see the module docstring."""
    concepts, training = parse_arguments(ARGUMENTS, argv)
    torch.set_num_threads(concepts.threads)
    set_seed(training.seed)
    localizer, processor = PointLocalizer.from_base(concepts.base)
    train, val = (read_photos(Path(concepts.data), split) for split in ("train", "val"))
    vocabulary = Vocabulary.of([photo for photos in (*train.values(), *val.values()) for photo in photos])
    length = training.max_steps * training.per_device_train_batch_size
    examples = ConceptExamples(train, vocabulary, length, training.seed, smallest_crop=concepts.smallest_crop)
    held = ConceptExamples(val, vocabulary, concepts.val_photos, augment=False)
    localizer.vlm.model.language_model.requires_grad_(False)
    localizer.vlm.lm_head.requires_grad_(False)
    backbone = localizer.vlm.model.vision_tower.backbone
    for early in (backbone.stem, backbone.stages[0], backbone.stages[1]):
        early.requires_grad_(False)
    tower = localizer.vlm.model.vision_tower.config
    model = ConceptModel(localizer, vocabulary)
    training.label_names, training.remove_unused_columns = ["labels", "there"], False
    trainer = ConceptTrainer(
        model=model, args=training, train_dataset=examples, eval_dataset=held,
        data_collator=Collator(processor, localizer.config, tower.image_size // tower.patch_size),
        compute_metrics=accuracies,
    )  # fmt: skip
    trainer.slow_lr_scale = concepts.slow_lr_scale
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    localizer.save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
