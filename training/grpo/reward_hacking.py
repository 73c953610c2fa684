"""Metrics that detect reward hacking: gains of GRPO that do not come from better descriptions.

A policy can exploit errors of its listener, write coordinates as words, or lose its fluency. These metrics are measured
on val points during training: mpck_img through the rewarding listener and through independent ones, the share of texts
with numbers, whether the description of the mirrored photo leads to the mirrored point, mpck_img of descriptions of
another photo (it should be low), and how varied, long and fluent the texts are.
"""

import json
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image, ImageOps
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import GRPOTrainer

from talkingpoints import TalkingPoints
from talkingpoints.evaluation.metrics import pck
from talkingpoints.evaluation.protocol import LabelledPoint, labelled_points
from talkingpoints.images import load_image
from talkingpoints.points import flip_horizontal, to_pixels, unit_distance
from training.grpo.grpo_arguments import REWARDING, GrpoArguments
from training.grpo.listeners import FluencyJudge, Listener, rows_of
from training.grpo.reward_functions import Stopwatch
from training.grpo.rewards import distinct_2, has_coordinates

SAME_PLACE = 0.1
"""Points at most this far apart (in the unit square) count as the same place."""

FILE = "reward_hacking.json"
"""Name of the file with the metrics, in the output folder."""

_AVERAGED = ("reward", "kl", "entropy", "frac_listener_zero_std", "unfair_rate", "rewards/listener/mean")


class RewardHackingMetrics:
    """Measures a policy on some val points.

    Args:
        pair: The policy in training, and any localizer.
        listeners: Listeners by name; the first is the one that rewards.
        judge: The supervised descriptor.
        rows: Val photos. At least two need an object that is large enough (see :func:`labelled_points`).
        grpo: How many photos and points.
        seed: Seed of the choice of points.

    Raises:
        ValueError: If fewer than two photos can be used.
    """

    def __init__(
        self,
        pair: TalkingPoints,
        listeners: Mapping[str, Listener],
        judge: FluencyJudge,
        rows: Dataset,
        grpo: GrpoArguments,
        seed: int = 0,
    ):
        self.pair, self.listeners, self.judge, self.rows = pair, listeners, judge, rows
        rng = np.random.default_rng((seed, 3))
        self.points: list[LabelledPoint] = []
        everything = labelled_points(rows, limit=grpo.metric_photos)
        for indices in rows_of([point.row for point in everything]).values():
            chosen = rng.permutation(indices)[: grpo.metric_points]
            self.points += [everything[i] for i in sorted(chosen)]
        self.by_photo = rows_of([point.row for point in self.points])
        if len(self.by_photo) < 2:
            raise ValueError(
                "metrics of reward hacking need at least two val photos with keypoints (or metric_photos: 0)"
            )
        self.photos = {row: load_image(rows[row]["image"]) for row in self.by_photo}

    def measure(self) -> dict[str, Any]:
        """All metrics; see the module docstring.

        Returns:
            ``mpck_img`` by listener; ``digit_rate``, ``flip_consistency`` (share of points), ``mpck_img_other_photo``
            (texts about the same places of another photo, through the rewarding listener), ``distinct_2``, ``words``
            per text, ``fluency`` (mean log-likelihood per token under the supervised descriptor), ``empty_rate``.
        """
        truth = np.array([point.point for point in self.points])
        texts = self._describe(self.photos, truth)
        rewarding = next(iter(self.listeners.values()))
        mirrored = {row: ImageOps.mirror(photo) for row, photo in self.photos.items()}
        turned = self._find(rewarding, mirrored, self._describe(mirrored, flip_horizontal(truth)), "mirrored")
        plain = {name: self._find(listener, self.photos, texts) for name, listener in self.listeners.items()}
        own = next(iter(plain.values()))
        names = list(self.photos)
        others = {row: self.photos[names[(i + 1) % len(names)]] for i, row in enumerate(names)}
        elsewhere = self._find(rewarding, self.photos, self._describe(others, truth))
        answered = [i for i, text in enumerate(texts) if text]
        return {
            "mpck_img": {name: _mpck(found, truth) for name, found in plain.items()},
            "mpck_img_other_photo": _mpck(elsewhere, truth),
            "digit_rate": float(np.mean([has_coordinates(text) for text in texts])),
            "flip_consistency": float(np.mean(unit_distance(flip_horizontal(turned), own) <= SAME_PLACE)),
            "distinct_2": distinct_2(texts),
            "words": float(np.mean([len(text.split()) for text in texts])),
            "fluency": float(np.mean(self._fluency(texts, truth)[answered])) if answered else None,
            "empty_rate": 1.0 - len(answered) / len(texts),
        }

    def _describe(self, photos: Mapping[Hashable, Image.Image], points: np.ndarray) -> list[str]:
        """The policy's text for each unit point (n, 2), given the photo of each row."""
        texts = [""] * len(points)
        for row, indices in self.by_photo.items():
            photo = photos[row]
            points_px = to_pixels(points[indices], (photo.height, photo.width))
            described = self.pair.describe(photo, [(float(x), float(y)) for x, y in points_px])
            for i, description in zip(indices, described, strict=True):
                texts[i] = description.text
        return texts

    def _find(
        self, listener: Listener, photos: Mapping[Hashable, Image.Image], texts: Sequence[str], name: str = ""
    ) -> np.ndarray:
        rows = [point.row for point in self.points]
        return listener.find([photos[row] for row in rows], [("val", name, row) for row in rows], texts)

    def _fluency(self, texts: Sequence[str], points: np.ndarray) -> np.ndarray:
        rows = [point.row for point in self.points]
        return self.judge.score(
            [self.photos[row] for row in rows], [("val", row) for row in rows], points.tolist(), texts
        )


class RewardHackingCallback(TrainerCallback):
    """Measures before the first step, every ``steps`` steps and at the end, logs the metrics, and writes them to
    ``reward_hacking.json``. Also measures the share of time that the rewards take.

    Args:
        trainer: The trainer of the policy.
        metrics: What is measured; None measures time only.
        stopwatch: Seconds of the rewards.
        steps: Steps between two measurements.
    """

    def __init__(self, trainer: GRPOTrainer, metrics: RewardHackingMetrics | None, stopwatch: Stopwatch, steps: int):
        self.trainer, self.metrics, self.stopwatch, self.steps = trainer, metrics, stopwatch, steps
        self.file = Path(str(trainer.args.output_dir)) / FILE
        self.readings: list[dict[str, Any]] = []
        self._step_started = self._before = 0.0
        self._seconds = [0.0, 0.0]  # of rewards, of steps
        self._logged = 0  # entries of the trainer's log that earlier measurements include

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.file.is_file() and state.global_step:
            kept = json.loads(self.file.read_text(encoding="utf-8"))["readings"]
            self.readings = [reading for reading in kept if reading["step"] <= state.global_step]
        self._logged = len(state.log_history)
        if not self.readings:
            self._measure(state, control)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._step_started, self._before = time.perf_counter(), self.stopwatch.seconds

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._seconds[0] += self.stopwatch.seconds - self._before
        self._seconds[1] += time.perf_counter() - self._step_started
        if state.global_step % self.steps == 0 and state.global_step < state.max_steps:
            self._measure(state, control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.readings and self.readings[-1]["step"] < state.global_step:
            self._measure(state, control)

    def _measure(self, state: TrainerState, control: TrainerControl) -> None:
        """Measure once, in the main process only."""
        if not state.is_world_process_zero:
            return
        model: torch.nn.Module = self.trainer.model  # type: ignore[assignment]  # there is one once training begins
        mode = model.training
        model.eval()  # also: TRL then leaves the train metrics that wait to be logged alone
        reading = {} if self.metrics is None else self.metrics.measure()
        reading |= {"step": state.global_step, "training": self._averages(state)}
        if self._seconds[1]:
            reading["reward_share"] = self._seconds[0] / self._seconds[1]
        self.readings.append(reading)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(summary(self.readings), indent=1) + "\n", encoding="utf-8")
        waiting = control.should_log
        self.trainer.log(flat(reading))
        control.should_log = waiting  # logging takes back that the step itself is to be logged
        model.train(mode)

    def _averages(self, state: TrainerState) -> dict[str, float]:
        """Means of what TRL logged since the last measurement."""
        entries, self._logged = state.log_history[self._logged :], len(state.log_history)
        found = {name: [entry[name] for entry in entries if entry.get(name) is not None] for name in _AVERAGED}
        return {name: float(np.mean(values)) for name, values in found.items() if values}


def summary(readings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Content of ``reward_hacking.json``.

    Returns:
        ``readings``: all measurements. ``gain``: mpck_img of the last one minus the first, for each listener.
        ``confirmed``: the gain through each independent listener divided by the gain through the rewarding one, None
        where the latter is not above 0.
    """
    first, last = readings[0].get("mpck_img", {}), readings[-1].get("mpck_img", {})
    gain = {name: last[name] - first[name] for name in last if name in first}
    own = gain.get(REWARDING, 0.0)
    confirmed = {name: value / own if own > 0 else None for name, value in gain.items() if name != REWARDING}
    return {"gain": gain, "confirmed": confirmed, "readings": list(readings)}


def flat(reading: Mapping[str, Any]) -> dict[str, float]:
    """A measurement as metrics with one name each, ``reward_hacking/mpck_img/NAME`` and so on."""
    values = {key: value for key, value in reading.items() if key not in ("step", "training", "mpck_img")}
    values |= {f"mpck_img/{name}": value for name, value in reading.get("mpck_img", {}).items()}
    return {f"reward_hacking/{key}": value for key, value in values.items() if value is not None}


def _mpck(found: np.ndarray, truth: np.ndarray) -> float:
    return pck.mean_pck(pck.unit_errors(found, truth), pck.MPCK_IMG_THRESHOLDS)
