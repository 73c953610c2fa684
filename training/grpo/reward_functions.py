"""The rewards as TRL's ``GRPOTrainer`` calls them: with a batch of completions and the columns of the dataset.

The formulas are in ``rewards.py``; the models that read the texts are in ``listeners.py``.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from training.grpo.grpo_arguments import GrpoArguments
from training.grpo.listeners import FluencyJudge, Listener, rows_of
from training.grpo.rewards import WORST_MSE, box_distances, closeness, is_fair, negative_mse, rarity, width_of

Completions = Sequence[Sequence[dict[str, str]]]


class Stopwatch:
    """Adds up the seconds spent inside ``with``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> "Stopwatch":
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started


class ListenerReward:
    """How near a frozen listener comes to the point that was described.

    Args:
        listener: Reads the texts.
        arguments: Which reward, and the listener's views.
        widths: Width of the reward for each part, see :func:`part_widths`.
        stopwatch: Adds up the seconds.
    """

    __name__ = "listener"  # in TRL's logs

    def __init__(self, listener: Listener, arguments: GrpoArguments, widths: dict[str, float], stopwatch: Stopwatch):
        self.listener, self.arguments, self.widths, self.stopwatch = listener, arguments, widths, stopwatch

    def __call__(
        self, completions: Completions, log_metric: Callable[[str, float], None], **columns: Sequence[Any]
    ) -> list[float | None]:
        """One reward for each completion; an unfair text gets the lowest possible reward.

        Args:
            completions: n conversations of one message each.
            log_metric: Logs a number under a name.
            columns: Of the n rows, see :class:`PointPrompts`; used are ``image``, ``view``, ``point``, ``box``,
                ``size``, ``part`` and ``example``.
        """
        with self.stopwatch:
            texts, fair = only_fair(completions, self.arguments)
            by_view = []
            for view in self.arguments.listener_views:
                found = self.listener.find(columns["image"], columns["view"], texts, view)
                if self.arguments.reward == "mse":
                    by_view.append(negative_mse(found, columns["point"]))
                else:
                    widths = [width_of(name, self.widths) for name in columns["part"]]
                    distances = box_distances(found, columns["point"], columns["box"], columns["size"])
                    by_view.append(closeness(distances, widths, self.arguments.tail))
            rewards = np.mean(by_view, axis=0)
            rewards[~np.array(fair)] = WORST_MSE if self.arguments.reward == "mse" else 0.0
        log_metric("unfair_rate", 1.0 - float(np.mean(fair)))
        log_metric("frac_listener_zero_std", share_without_spread(rewards, columns["example"]))
        return rewards.tolist()


class FluencyReward:
    """How likely a text is under the supervised descriptor. It keeps the policy from words that nobody uses.

    Args:
        judge: The supervised descriptor.
        stopwatch: Adds up the seconds.
    """

    __name__ = "fluency"  # in TRL's logs

    def __init__(self, judge: FluencyJudge, stopwatch: Stopwatch):
        self.judge, self.stopwatch = judge, stopwatch

    def __call__(self, completions: Completions, **columns: Sequence[Any]) -> list[float | None]:
        """Mean log-likelihood per token of each completion."""
        with self.stopwatch:
            texts = texts_of(completions)
            return self.judge.score(columns["image"], columns["view"], columns["point"], texts).tolist()


class VarietyReward:
    """How rare a completion's wording is among all completions that this process made for a step. It keeps the policy
    from the one wording that the listener likes best.

    Args:
        arguments: Which texts are fair.
        stopwatch: Adds up the seconds.
    """

    __name__ = "variety"  # in TRL's logs

    def __init__(self, arguments: GrpoArguments, stopwatch: Stopwatch):
        self.arguments, self.stopwatch = arguments, stopwatch

    def __call__(self, completions: Completions, **columns: Sequence[Any]) -> list[float | None]:
        """:func:`rarity` of each completion, 0 for an unfair one."""
        with self.stopwatch:
            return [*rarity(only_fair(completions, self.arguments)[0])]


def texts_of(completions: Completions) -> list[str]:
    """The texts of conversational completions."""
    return [messages[0]["content"].strip() for messages in completions]


def only_fair(completions: Completions, arguments: GrpoArguments) -> tuple[list[str], list[bool]]:
    """The texts of completions, empty where they are unfair, and which ones are fair (see :func:`is_fair`)."""
    texts = texts_of(completions)
    fair = [is_fair(text, arguments.min_words, arguments.max_words) for text in texts]
    return [text if ok else "" for text, ok in zip(texts, fair, strict=True)], fair


def share_without_spread(rewards: np.ndarray, examples: Sequence[int]) -> float:
    """Share of prompts whose completions all have the same reward. The policy learns nothing from them.

    TRL's own ``frac_reward_zero_std`` looks at the sum of all rewards, and with ``normalize_then_sum`` at the whole
    batch, where there always is some spread.
    """
    return float(np.mean([np.ptp(rewards[rows]) < 1e-6 for rows in rows_of(examples).values()]))
