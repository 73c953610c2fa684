"""From a dataset of parts to a dataset of photos, points and descriptions, with one command.

    python -m training.build_point_dataset --source coco_parts --data carparts --splits train test --label car \\
        --val_share 0.1 --output_dir runs/carparts

Every field of ``BuildArguments`` is a flag, and a key of a yaml file (``--config``). Stages, each of which goes on where
it was cut: photos are prepared (points and skeletons, ``work/prepared.jsonl``), points are balanced, texts are written,
and the dataset is laid out in ``output_dir``. See training/README.md.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from tqdm.auto import tqdm

from talkingpoints.engine.balance import allotments, balanced_keys, group_of
from talkingpoints.engine.coco_parts import coco_part_photos
from talkingpoints.engine.layouts import FolderLayout
from talkingpoints.engine.preparation import PreparationOptions, photo_key, prepare_photo
from talkingpoints.engine.prepared import PreparedPhotos
from talkingpoints.engine.rule_texts import rule_texts
from talkingpoints.engine.tasks import PartPhoto, PointTask
from training.arguments import parse_arguments
from training.sft import parse_weights

SOURCES = ("coco_parts",)
FORMATS = ("folder", "keypoints")


@dataclass(kw_only=True)
class BuildArguments:
    """What is built from what."""

    source: str = field(metadata={"help": f"layout of the data, one of {SOURCES}"})
    data: str = field(metadata={"help": "folder of the dataset"})
    output_dir: str = field(metadata={"help": "where the dataset goes; work/ in it keeps what is done"})
    splits: list[str] = field(default_factory=lambda: ["train"], metadata={"help": "splits of the dataset"})
    label: str | None = field(default=None, metadata={"help": "owner of the parts, where the data do not name it"})
    name: str | None = field(default=None, metadata={"help": "name of the dataset; default: the folder's"})
    per_kind: int = field(default=1, metadata={"help": "candidate points of each kind and piece of a part"})
    max_points: int = field(default=0, metadata={"help": "points of a split that are kept, balanced; 0 keeps all"})
    val_share: float = field(default=0.0, metadata={"help": "share of train photos that go to val"})
    test_share: float = field(default=0.0, metadata={"help": "share of train photos that go to test"})
    styles: list[str] = field(
        default_factory=lambda: ["full=2", "canonical=2", "reordered=1", "short=1", "colloquial=1", "semantic=1"],
        metadata={"help": "style=weight pairs of the rule-based writer"},
    )
    texts_per_point: int = field(default=3, metadata={"help": "texts of the rule-based writer for each point"})
    spot: float = field(default=0.3, metadata={"help": "share of placed texts that say where in its part a point lies"})
    formats: list[str] = field(
        default_factory=lambda: list(FORMATS), metadata={"help": f"what is laid out, of {FORMATS}"}
    )
    seed: int = 0


def photos_of(arguments: BuildArguments) -> Iterator[PartPhoto]:
    """The photos of all splits, one at a time."""
    for split in arguments.splits:
        yield from coco_part_photos(arguments.data, split, label=arguments.label, source=arguments.name)


def prepare(arguments: BuildArguments, work: Path) -> PreparedPhotos:
    """Prepare what is not prepared yet."""
    options = PreparationOptions(arguments.per_kind, arguments.val_share, arguments.test_share, arguments.seed)
    question: dict[str, Any] = asdict(options)
    question |= {name: getattr(arguments, name) for name in ("source", "splits", "label", "name")}
    prepared = PreparedPhotos(work / "prepared.jsonl", question)
    for photo in tqdm(photos_of(arguments), desc="points", unit="photo"):
        if photo_key(photo) not in prepared.keys:
            prepared.add(prepare_photo(photo, options))
    return prepared


def kept_keys(prepared: PreparedPhotos, split: str, max_points: int, seed: int) -> set[str] | None:
    """The tasks of a split that are kept, None for all."""
    if not max_points:
        return None

    def tasks() -> Iterator[PointTask]:
        return (task for photo in prepared if photo.split == split for task in photo.tasks)

    counts = Counter(group_of(task) for task in tasks())
    return balanced_keys(tasks(), allotments(counts, max_points), seed)


def main(argv: list[str]) -> None:
    """Build; see the module docstring."""
    (arguments,) = parse_arguments((BuildArguments,), argv)
    output = Path(arguments.output_dir)
    prepared = prepare(arguments, output / "work")
    styles = parse_weights(arguments.styles)
    kept = {s: kept_keys(prepared, s, arguments.max_points, arguments.seed) for s in ("train", "val", "test")}
    layout = FolderLayout(output, metadata="folder" in arguments.formats, keypoints="keypoints" in arguments.formats)
    for photo in tqdm(prepared, total=len(prepared), desc="texts", unit="photo"):
        texts = {
            task.key: rule_texts(task, styles, arguments.texts_per_point, arguments.seed, arguments.spot)
            for task in photo.tasks
            if (keys := kept[photo.split]) is None or task.key in keys
        }
        layout.add(photo, texts)
    layout.close()


if __name__ == "__main__":
    main(sys.argv[1:])
