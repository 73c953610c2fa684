"""Texts of the rule-based writer for tasks: no model, in several styles."""

import random
from collections.abc import Mapping

from talkingpoints.dataset_builder.points.skeleton import spot_phrase
from talkingpoints.dataset_builder.points.tasks import PointTask
from talkingpoints.writer.styles import CANONICAL, write

PLACED = ("full", "reordered", CANONICAL)
"""Styles that may say where in its part the point lies."""


def rule_texts(
    task: PointTask, styles: Mapping[str, float], count: int, seed: int, spot: float = 0.5
) -> list[tuple[str, str]]:
    """Several texts for one point.

    Args:
        task: with its skeleton.
        styles: style of the writer -> weight.
        count: how many; the same text does not come twice, so there may be fewer.
        seed: with the task's key the source of all chance.
        spot: share of the placed styles' texts that also say where in its part the point lies.

    Returns:
        (style, text) pairs.

    Raises:
        ValueError: an unknown style.
    """
    rng = random.Random(f"{seed} {task.key}")
    texts: dict[str, str] = {}
    for style in rng.choices(list(styles), weights=list(styles.values()), k=count):
        text = write(task.skeleton.facts, style, rng)
        column, row = task.skeleton.spot_column, task.skeleton.spot_row
        if style in PLACED and column is not None and row is not None and rng.random() < spot:
            text = f"{text} It is {spot_phrase(task.part, column, row, task.skeleton.edge)}."
        texts.setdefault(text, style)
    return [(style, text) for text, style in texts.items()]
