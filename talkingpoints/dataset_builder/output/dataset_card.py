"""The dataset card: what is in the dataset, how it was made, and how to load it, with the figures counted."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from talkingpoints.dataset_builder.points.tasks import PointTask

LONGEST_TABLE = 40


@dataclass
class Statistics:
    """Counts over the rows; what they hold grows with the number of parts, not of rows.

    Attributes:
        photos, points, texts: by split.
        parts: (label, part) -> points.
        kinds: of point -> points.
        styles: style -> texts.
        words: words in a text -> texts.
        untold: points that have no text, because the writer gave none or no check let one through.
    """

    photos: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    parts: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    words: Counter[int] = field(default_factory=Counter)
    untold: int = 0

    def point(self, task: PointTask) -> None:
        """Count a point that has a text."""
        self.points[task.split] += 1
        self.parts[task.label, task.part] += 1
        self.kinds[task.kind] += 1

    def text(self, split: str, style: str, text: str) -> None:
        """Count one of its texts."""
        self.texts[split] += 1
        self.styles[style] += 1
        self.words[len(text.split())] += 1

    def median_words(self) -> int:
        """Of the texts; 0 if there are none."""
        half, seen = self.words.total() / 2, 0
        for words in sorted(self.words):
            seen += self.words[words]
            if seen >= half:
                return words
        return 0


def card(
    name: str, statistics: Statistics, made: Mapping[str, Any], *, embedded: bool, licence: str, address: str
) -> str:
    """The text of README.md.

    Args:
        name: title.
        statistics: of the rows.
        made: how: command, writer, versions, ...; JSON values.
        embedded: whether photos lie in the Parquet files.
        licence: identifier as the Hub knows it, of the photos and annotations.
    """
    splits = [split for split in ("train", "val", "test") if statistics.texts[split]]
    header = {
        "pretty_name": name,
        "license": licence,
        "language": ["en"],
        "task_categories": ["image-to-text"],
        "tags": ["keypoints", "pointing", "talkingpoints"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in splits]}
        ],
    }
    labels: Counter[str] = Counter()
    for (label, _), count in statistics.parts.items():
        labels[label] += count
    lines = [
        "---",
        yaml.safe_dump(header, sort_keys=False).rstrip(),
        "---",
        f"# {name}",
        "",
        "Photos, points and descriptions: each row says in words where one pixel of a photo is. Made from photos whose",
        "objects and parts are annotated, by the data engine of Talking Points.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'row = load_dataset("{address}", split="train")[0]',
        'print(row["image"].size, (row["x"], row["y"]), row["text"])',
        "```",
        "",
        "`x`, `y`, `object_box` and `part_box` are pixels of the photo. `skeleton` is what masks and pixels say about",
        "the point, `text` the description, `kind` how the point was chosen: the strongest SIFT response in the part,",
        "evenly on smooth places, on the middle line of thin parts, on the outline, or an annotated keypoint. Left and",
        'right of a part ("left door") are the object\'s own; other places are as seen in the photo.',
        "" if embedded else "Photos are referred to by path, not embedded.",
        "",
        *_table(
            ("split", "photos", "points", "texts"),
            [(s, statistics.photos[s], statistics.points[s], statistics.texts[s]) for s in splits],
        ),
        f"{len(labels)} categories, {len(statistics.parts)} parts; median text: {statistics.median_words()} words.",
        "",
        *_table(("category", "points"), labels.most_common(LONGEST_TABLE)),
        *_table(
            ("part", "points"),
            [(f"{label}: {part}", n) for (label, part), n in statistics.parts.most_common(LONGEST_TABLE)],
        ),
        *_table(("kind of point", "points"), statistics.kinds.most_common()),
        *_table(("style", "texts"), statistics.styles.most_common()),
        f"Points left out, because nothing that was written about them passed the checks: {statistics.untold}.",
        "",
        "## How it was made",
        "",
        "```json",
        json.dumps(dict(made), indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """A Markdown table and a blank line, nothing without rows."""
    if not rows:
        return []
    cells = [head, ("---",) * len(head), *rows]
    return [*(f"| {' | '.join(str(cell) for cell in row)} |" for row in cells), ""]
