"""Calibrate the confidence and the presence of a trained localizer on validation data.

    python -m training.calibrate --localizer runs/localizer --datasets DIR [DIR ...]

Two numbers are fitted and written into the model's folder. The temperature of the heat map: of all points with
confidence c a share c should be within 0.1 of the image (Guo et al., 2017; the calibration error itself is minimised).
The shift of the presence: at 0.5 it should separate texts about this photo from texts about others best.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from datasets import concatenate_datasets

from talkingpoints import PointLocalizer, PointLocalizerProcessor
from talkingpoints.adapters import load_whole
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.evaluation.metrics import pck
from talkingpoints.localizer_heads import CONFIDENCE_RADIUS
from talkingpoints.vision_language import VISION_INPUTS
from training.sft.arguments import load_rows, parse_arguments
from training.sft.collators import LocalizerCollator

TEMPERATURES = np.round(np.arange(0.5, 2.01, 0.05), 2)
STYLES = {"full": 2.0, "canonical": 1.0, "semantic": 1.0}
NEGATIVES = 0.4


@dataclass(kw_only=True)
class CalibrationArguments:
    """Model and validation data."""

    localizer: str = field(metadata={"help": "folder of a trained localizer; it is changed in place"})
    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders with a split val"})
    points_per_photo: int = field(default=8, metadata={"help": "texts of each photo"})
    seed: int = field(default=0, metadata={"help": "seed of the texts"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and the figures before and after it.

    Attributes:
        temperature: of the heat map, to be multiplied with the model's own.
        presence_shift: to be added to the presence logits.
        ece: expected calibration error of the confidence (0..1), before and after.
        balanced_accuracy: of the presence at 0.5 (0..1), before and after.
    """

    temperature: float
    presence_shift: float
    ece: tuple[float, float]
    balanced_accuracy: tuple[float, float]


@torch.no_grad()
def calibrate(
    model: PointLocalizer, processor: PointLocalizerProcessor, examples: PointExamples, batch_size: int = 8
) -> Calibration:
    """Fit temperature and shift.

    Args:
        model: a localizer; its head must make heat maps.
        processor: its processor.
        examples: validation photos with texts, some of them about other photos.
        batch_size: photos at a time.

    Raises:
        ValueError: If the head makes no heat map, or the examples lack texts about their own or about other photos.
    """
    if model.config.head != "heatmap":
        raise ValueError(f"a {model.config.head} head has no confidence to calibrate")
    collator, own = LocalizerCollator(processor), model.config.heatmap_temperature
    model = model.eval()
    confidences: list[list[torch.Tensor]] = [[] for _ in TEMPERATURES]
    correct: list[list[torch.Tensor]] = [[] for _ in TEMPERATURES]
    logits: list[torch.Tensor] = []
    present: list[torch.Tensor] = []
    for start in range(0, len(examples), batch_size):
        batch = collator([examples[i] for i in range(start, min(start + batch_size, len(examples)))])
        truth, presence = batch.pop("points").flatten(0, 1), batch.pop("presence").flatten() > 0.5
        visual = model.encode_images(**batch)
        batch = {name: value for name, value in batch.items() if name not in VISION_INPUTS}
        query = model(**batch, visual=visual).query
        for i, temperature in enumerate(TEMPERATURES):
            model.config.heatmap_temperature = own * temperature
            output = model.answer(visual, query, len(query) // len(visual))
            assert output.confidence is not None and output.points is not None  # a heat map has both
            confidences[i].append(output.confidence[presence])
            errors = (output.points - truth).norm(dim=-1)
            correct[i].append(errors[presence] <= CONFIDENCE_RADIUS)
        model.config.heatmap_temperature = own
        assert output.presence_logits is not None
        logits.append(output.presence_logits)
        present.append(presence)
    here = torch.cat(present).numpy()
    if here.all() or not here.any():
        raise ValueError("the examples need texts of their own photos and of others")
    eces = [
        pck.expected_calibration_error(torch.cat(c).numpy(), torch.cat(hit).numpy())
        for c, hit in zip(confidences, correct, strict=True)
    ]
    best = int(np.argmin(eces))
    scores = torch.cat(logits).numpy().astype(np.float64)
    edges = np.sort(scores)
    shifts = np.array([0.0, *-(edges[1:] + edges[:-1]) / 2])
    accuracies = [balanced_accuracy(scores + shift, here) for shift in shifts]
    chosen = int(np.argmax(accuracies))
    return Calibration(
        float(TEMPERATURES[best]),
        float(shifts[chosen]),
        (eces[int(np.argmin(np.abs(TEMPERATURES - 1)))], eces[best]),
        (accuracies[0], accuracies[chosen]),
    )


def balanced_accuracy(logits: np.ndarray, here: np.ndarray) -> float:
    """Mean of the shares of present and absent texts that the sign of the logit tells right."""
    return float(((logits[here] > 0).mean() + (logits[~here] <= 0).mean()) / 2)


def apply(model: PointLocalizer, calibration: Calibration) -> None:
    """Write what was fitted into a model."""
    model.config.heatmap_temperature *= calibration.temperature
    with torch.no_grad():
        model.head.presence.bias.add_(calibration.presence_shift)


def main(argv: Sequence[str]) -> Calibration:
    """Run from the command line."""
    (arguments,) = parse_arguments((CalibrationArguments,), argv, __doc__)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model, processor = load_whole(arguments.localizer, PointLocalizer, dtype="auto")
    rows = [load_rows(folder, "val") for folder in arguments.datasets]
    fitted = calibrate(
        model,
        processor,
        PointExamples(
            concatenate_datasets(rows), arguments.points_per_photo, STYLES, negatives=NEGATIVES, seed=arguments.seed
        ),
    )
    apply(model, fitted)
    model.save_pretrained(arguments.localizer)
    print(
        f"temperature {fitted.temperature:g}: calibration error {fitted.ece[0]:.3f} -> {fitted.ece[1]:.3f}; presence "
        f"{fitted.presence_shift:+.2f}: balanced accuracy {fitted.balanced_accuracy[0]:.3f} -> "
        f"{fitted.balanced_accuracy[1]:.3f}"
    )
    return fitted


if __name__ == "__main__":
    main(sys.argv[1:])
