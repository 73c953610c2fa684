"""Teach the localizer's vision tower and head to find points from facts, before the language model reads words.

    python -m training.pretrain_facts --config training/configs/facts.yaml \\
        --base runs/vision --datasets DIR [DIR ...] --output_dir runs/facts

The hidden state of the query token is replaced by a sum of learned embeddings, one for each fact that a text may tell:
label, part, fifths of the object, thirds of the photo; some are left out at random, as texts do. The head learns to
bring facts and photo together from twelve points a photo at a fraction of the cost of reading twelve texts; what is
left to the language model is to turn words into such a sum. The embeddings are thrown away.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed

from talkingpoints import PointLocalizer
from talkingpoints.building import build_localizer
from talkingpoints.data import Scene
from talkingpoints.data.examples import PointExamples
from talkingpoints.modeling_localizer import PointLocalizerOutput
from training.arguments import AugmentationArguments, parse_arguments
from training.sft import build_optimizer, load_split
from training.sft_localizer import LocalizerArguments, by_photo, localizer_metrics

UNSAID = 0
"""Value of a fact that is left out; known values start at 1."""

FACTS = ("label", "part", "column", "row", "image_column", "image_row")


@dataclass(kw_only=True)
class FactsArguments(AugmentationArguments):
    """Data of the pretraining."""

    base: str = field(metadata={"help": "folder of the base, its vision tower pretrained (pretrain_vision.py)"})
    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders with the splits train and val"})
    points_per_photo: int = 12
    unplaced: float = field(default=0.25, metadata={"help": "share of points told without any place"})
    unsaid: float = field(default=0.15, metadata={"help": "probability that any other fact is left out"})
    vision_lr_scale: float = 0.3
    threads: int = 0


class FactVocabulary:
    """Facts of a keypoint -> six integers, 0 where nothing is said."""

    def __init__(self, scenes: Sequence[Scene]):
        labels = sorted({item.label for scene in scenes for item in scene.objects})
        parts = sorted({k.name for scene in scenes for item in scene.objects for k in item.keypoints})
        self.labels = {label: i + 1 for i, label in enumerate(labels)}
        self.parts = {part: i + 1 for i, part in enumerate(parts)}

    @property
    def sizes(self) -> tuple[int, ...]:
        return len(self.labels) + 1, len(self.parts) + 1, 6, 6, 4, 4

    def facts(self, scene: Scene, index: int, part: int) -> np.ndarray:
        """(6,) in the order of ``FACTS``."""
        item = scene.objects[index]
        keypoint, (x0, y0, x1, y1) = item.keypoints[part], item.box
        across, down = (keypoint.x - x0) / (x1 - x0), (keypoint.y - y0) / (y1 - y0)
        return np.array(
            [
                self.labels[item.label],
                self.parts[keypoint.name],
                _cell(across, 5),
                _cell(down, 5),
                _cell((x0 + x1) / 2, 3),
                _cell((y0 + y1) / 2, 3),
            ]
        )


class FactExamples(torch.utils.data.Dataset):
    """Photos with the facts of some of their keypoints: (image, facts (n, 6), points (n, 2), presence (n,)).

    One of the points, in half of the photos, is told with a label that annotators looked for and did not find.
    """

    def __init__(self, examples: PointExamples, vocabulary: FactVocabulary, arguments: FactsArguments):
        self.examples, self.vocabulary, self.arguments = examples, vocabulary, arguments

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple:
        image, scene = self.examples.view(index)
        rng = np.random.default_rng((self.examples.seed, 2, index))
        pairs = [(o, k) for o, item in enumerate(scene.objects) for k in range(len(item.keypoints))]
        n = self.arguments.points_per_photo
        chosen = [pairs[i] for i in rng.permutation(np.resize(rng.permutation(len(pairs)), n))]
        facts = np.stack([self.vocabulary.facts(scene, o, k) for o, k in chosen])
        keypoints = [scene.objects[o].keypoints[k] for o, k in chosen]
        presence = np.ones(n, np.float32)
        facts[rng.random(facts.shape) < self.arguments.unsaid] = UNSAID
        facts[rng.random(n) < self.arguments.unplaced, 2:] = UNSAID
        known = self.examples.known_labels[self.examples.photo_of(index)] or frozenset()
        absent = sorted(self.vocabulary.labels[label] for label in known - {item.label for item in scene.objects})
        if absent and rng.random() < 0.5:
            facts[0, 0], presence[0] = rng.choice(absent), 0.0
        return image, facts, np.array([(k.x, k.y) for k in keypoints], np.float32), presence


class FactLocalizer(nn.Module):
    """A localizer that is told facts in place of a text."""

    def __init__(self, localizer: PointLocalizer, sizes: Sequence[int]):
        super().__init__()
        self.localizer = localizer
        self.config = localizer.config  # the Trainer reads there which outputs are no predictions
        width = localizer.config.get_text_config().hidden_size
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in sizes)

    def forward(
        self, pixel_values: torch.Tensor, facts: torch.Tensor, points: torch.Tensor, presence: torch.Tensor
    ) -> PointLocalizerOutput:
        """pixel_values (B, C, H, W), facts (B, n, 6), points (B, n, 2), presence (B, n)."""
        visual = self.localizer.encode_images(pixel_values=pixel_values)
        query = sum(embedding(facts[..., i]) for i, embedding in enumerate(self.embeddings)).flatten(0, 1)
        return self.localizer.answer(visual, query, facts.shape[1], points, presence)


def main(argv: list[str]) -> Trainer:
    """Pretrain; see the module docstring."""
    arguments, head, training = parse_arguments((FactsArguments, LocalizerArguments, TrainingArguments), argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    set_seed(training.seed)
    localizer, processor = build_localizer(
        arguments.base,
        head=head.head,
        head_size=head.head_size,
        subcells=head.subcells,
        target_sigma=head.target_sigma,
        presence_weight=head.presence_weight,
    )
    train, val = load_split(arguments.datasets, "train"), load_split(arguments.datasets, "val")
    photos = training.train_batch_size * training.gradient_accumulation_steps * training.world_size * training.max_steps
    views = PointExamples(
        train, passes=1 + photos // len(train) + 1, augmentation=arguments.augmentation, seed=training.seed
    )
    val_views = PointExamples(val, seed=training.seed)
    vocabulary = FactVocabulary([*views.scenes, *val_views.scenes])
    model = FactLocalizer(localizer, vocabulary.sizes)

    def collate(examples: Sequence[tuple]) -> dict[str, torch.Tensor]:
        images, facts, points, presence = zip(*examples, strict=True)
        pixels = processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        arrays = {"facts": facts, "points": points, "presence": presence}
        return {"pixel_values": pixels, **{name: torch.from_numpy(np.stack(a)) for name, a in arrays.items()}}

    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"
    training.label_names = ["points", "presence"]
    trainer = Trainer(
        model=model,
        args=training,
        data_collator=collate,
        train_dataset=FactExamples(views, vocabulary, arguments),
        eval_dataset=FactExamples(val_views, vocabulary, arguments),
        optimizers=(build_optimizer(model, training, ["vision_tower"], arguments.vision_lr_scale), None),
        compute_metrics=localizer_metrics,
        preprocess_logits_for_metrics=by_photo,
    )
    trainer.train()
    trainer.log_metrics("eval", trainer.evaluate())
    localizer.save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    return trainer


def _cell(fraction: float, cells: int) -> int:
    return 1 + min(cells - 1, max(0, int(fraction * cells)))


if __name__ == "__main__":
    main(sys.argv[1:])
