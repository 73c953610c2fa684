"""From a dataset of parts to a dataset of photos, points and descriptions, with one command.

    python -m training.build_point_dataset --source coco_parts --data carparts --splits train test --label car \\
        --val_share 0.1 --output_dir runs/carparts

Every field of ``BuildArguments``, ``WriterArguments`` and ``CheckArguments`` is a flag, and a key of a yaml file
(``--config``). Photos are prepared first (points and skeletons, ``work/prepared.jsonl``); then points are balanced,
texts written (what models answered is in ``work/answers.jsonl``) and checked, and the dataset is laid out. The two
files only grow, and all else follows from them: a run that was cut is started again with the same command. See
training/README.md.
"""

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if not __package__:
    import run_by_path  # noqa: F401

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from talkingpoints import __version__
from talkingpoints.dataset_builder.output.dataset_output import FORMATS, DatasetOutput
from talkingpoints.dataset_builder.output.layouts import file_stem
from talkingpoints.dataset_builder.points.balance import allotments, balanced_keys, group_of
from talkingpoints.dataset_builder.points.preparation import (
    SPLITS,
    PreparationOptions,
    PreparedPhoto,
    prepare_from,
    role_of,
)
from talkingpoints.dataset_builder.points.prepared import PreparedPhotos
from talkingpoints.dataset_builder.points.ray_preparation import SourceAddress, prepare_on_ray
from talkingpoints.dataset_builder.points.tasks import PointTask
from talkingpoints.dataset_builder.sources.kinds import LAYOUTS
from talkingpoints.dataset_builder.sources.source import PartSource
from talkingpoints.dataset_builder.texts.rule_texts import rule_texts
from talkingpoints.publishing import Target, publish
from training.dataset.check_arguments import CheckArguments, TextsOfPhoto, checked_texts, told, write_checks
from training.dataset.writer_arguments import WriterArguments, check_losses, model_writer, photo_texts
from training.sft.arguments import parse_arguments
from training.sft.sft_arguments import parse_weights


@dataclass(kw_only=True)
class BuildArguments:
    """What is built from what."""

    source: str = field(metadata={"help": f"layout of the data, one of {sorted(LAYOUTS)}"})
    data: str = field(metadata={"help": "folder of the dataset, or URL of one in a bucket"})
    output_dir: str = field(metadata={"help": "where the dataset goes; work/ in it keeps what is done"})
    splits: list[str] = field(
        default_factory=lambda: ["train"],
        metadata={"help": "of the dataset; all: it has none; val2017=val: one that is named otherwise"},
    )
    label: str | None = field(default=None, metadata={"help": "owner of the parts, where the data do not name it"})
    name: str | None = field(default=None, metadata={"help": "name of the dataset; default: the folder's"})
    per_kind: int = field(default=1, metadata={"help": "candidate points of each kind and piece of a part"})
    max_points: int = field(default=0, metadata={"help": "points of a split that are kept, balanced; 0 keeps all"})
    val_share: float = field(default=0.0, metadata={"help": "share of train photos that go to val"})
    test_share: float = field(default=0.0, metadata={"help": "share of train photos that go to test"})
    skip_bad_photos: bool = field(
        default=False, metadata={"help": "go on without photos that cannot be read or do not fit their annotation"}
    )
    ray_workers: int = field(default=0, metadata={"help": "prepare photos on Ray, with so many workers; 0: without"})
    styles: list[str] = field(
        default_factory=lambda: ["full=2", "canonical=2", "reordered=1", "short=1", "colloquial=1", "semantic=1"],
        metadata={"help": "style=weight pairs of the rule-based writer"},
    )
    texts_per_point: int = field(default=3, metadata={"help": "texts of the rule-based writer for each point"})
    spot: float = field(default=0.3, metadata={"help": "share of placed texts that say where in its part a point lies"})
    formats: list[str] = field(
        default_factory=lambda: list(FORMATS), metadata={"help": f"what is laid out, of {FORMATS}"}
    )
    embed_images: bool = field(default=True, metadata={"help": "photos lie in the Parquet files; false: their paths"})
    rows_per_shard: int = 20_000
    license: str = field(default="other", metadata={"help": "of photos and annotations, for the card"})
    push_to_hub: str | None = field(default=None, metadata={"help": "dataset repository to push to, as me/carparts"})
    private: bool = False
    seed: int = 0


def split_names(flags: Sequence[str]) -> dict[str, str | None]:
    """The splits of the source, each with what it is said to be; None where its name says so.

    Args:
        flags: "NAME" or "NAME=WHAT".

    Raises:
        ValueError: If a split comes twice.

    Example:
        >>> split_names(["train", "val2017=val"])
        {'train': None, 'val2017': 'val'}
    """
    names: dict[str, str | None] = {}
    for flag in flags:
        name, said, role = flag.partition("=")
        if name in names:
            raise ValueError(f"splits: {name!r} comes twice in {list(flags)}")
        names[name] = role if said else None
    return names


def preparation_of(arguments: BuildArguments) -> PreparationOptions:
    """How points are chosen.

    Raises:
        ValueError: See `PreparationOptions` and `role_of`.
    """
    splits = split_names(arguments.splits)
    roles = {split: role for split, role in splits.items() if role is not None}
    options = PreparationOptions(arguments.per_kind, arguments.val_share, arguments.test_share, arguments.seed, roles)
    for split in splits:
        role_of(split, options)
    return options


def prepare(
    arguments: BuildArguments, addresses: Sequence[SourceAddress], sources: Sequence[PartSource], file: Path
) -> PreparedPhotos:
    """Prepare what is not prepared yet."""
    options = preparation_of(arguments)
    question: dict[str, Any] = {**asdict(options), "version": __version__}
    question |= {name: getattr(arguments, name) for name in ("source", "splits", "label", "name")}
    question["data"] = arguments.data if "://" in arguments.data else str(Path(arguments.data).resolve())
    prepared = PreparedPhotos(file, question)
    wanted = [(s, i) for s, source in enumerate(sources) for i in range(len(source)) if source.key(i) not in prepared]
    photos: Iterator[PreparedPhoto]
    if arguments.ray_workers:
        photos = prepare_on_ray(addresses, wanted, options, arguments.ray_workers, arguments.skip_bad_photos)
    else:
        photos = (prepare_from(sources[s], i, options, arguments.skip_bad_photos) for s, i in wanted)
    for photo in tqdm(photos, desc="points", unit="photo", total=len(wanted)):
        prepared.add(photo)
    return prepared


def check_names(sources: Sequence[PartSource], files: bool) -> None:
    """Refuse sources whose photos cannot be told apart by their keys, which have neither endings nor blanks.

    Args:
        sources: all of them.
        files: whether photos are laid out as files, which do not tell "/" from "_" either.

    Raises:
        ValueError: If two photos have one key.
    """
    seen: dict[str, str] = {}
    for source in sources:
        for index, photo in enumerate(source.photos):
            key = file_stem(source.key(index)) if files else source.key(index)
            if key in seen:
                raise ValueError(f"{key!r} would be the name of two photos, {seen[key]!r} and {photo!r}; rename one")
            seen[key] = photo


@contextlib.contextmanager
def file_lock(work: Path) -> Iterator[None]:
    """Hold a folder, which no other run may write into meanwhile.

    Raises:
        RuntimeError: If another run uses the folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work / "run.lock")  # the system frees it even after SIGKILL
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(f"{work} is in use by another run; wait for it or take another output_dir") from None
    try:
        yield
    finally:
        lock.release()


def kept_keys(prepared: PreparedPhotos, max_points: int, seed: int) -> set[str] | None:
    """The tasks that are kept, None for all."""
    if not max_points:
        return None
    kept: set[str] = set()
    for split in SPLITS:
        counts = Counter(group_of(task) for task in _tasks(prepared, split))
        kept |= balanced_keys(_tasks(prepared, split), allotments(counts, max_points), seed)
    return kept


def written(
    arguments: BuildArguments, writing: WriterArguments, prepared: PreparedPhotos, made: dict[str, Any]
) -> Generator[TextsOfPhoto]:
    """The photos with the texts for the points that are kept; a description of the writer is added to ``made``."""
    kept = kept_keys(prepared, arguments.max_points, arguments.seed)

    def tasks_of(photo: PreparedPhoto) -> list[PointTask]:
        return [task for task in photo.tasks if kept is None or task.key in kept]

    if writing.writer == "rules":
        styles = parse_weights(arguments.styles)
        made["writer"] = {"rules": styles, "texts_per_point": arguments.texts_per_point, "spot": arguments.spot}
        for photo in tqdm(prepared, desc="texts", unit="photo", total=len(prepared)):
            tasks = tasks_of(photo)
            texts = [
                rule_texts(task, styles, arguments.texts_per_point, arguments.seed, arguments.spot) for task in tasks
            ]
            yield photo, list(zip(tasks, texts, strict=True))
        return
    total = sum(len(tasks_of(photo)) for photo in prepared)
    with model_writer(writing, Path(arguments.output_dir) / "work") as writer:
        made["writer"] = writer.version
        for photo, answers in photo_texts(prepared, tasks_of, writer, total):
            yield photo, [(task, [] if answer.text is None else [("model", answer.text)]) for task, answer in answers]
        check_losses(total, list(writer.rejected.values()), writing.max_lost)


def main(argv: list[str]) -> None:
    """Build; see the module docstring."""
    arguments, writing, checks = parse_arguments((BuildArguments, WriterArguments, CheckArguments), argv)
    if arguments.push_to_hub and not ("parquet" in arguments.formats and arguments.embed_images):
        raise ValueError("push_to_hub: points to push are not laid out; it takes the format parquet and embed_images")
    preparation_of(arguments)
    if Path(arguments.output_dir).resolve() == Path(arguments.data).resolve():
        raise ValueError(f"output_dir: {arguments.output_dir} is the folder of the data, which would be written over")
    with file_lock(Path(arguments.output_dir) / "work"):
        build(arguments, writing, checks)


def build(arguments: BuildArguments, writing: WriterArguments, checks: CheckArguments) -> None:
    """All steps, in a folder of one's own."""
    output = Path(arguments.output_dir)
    work = output / "work"
    name = arguments.name or arguments.data.rstrip("/").rpartition("/")[2]
    addresses = [
        SourceAddress(arguments.source, arguments.data, split, name, arguments.label, work / "cache")
        for split in split_names(arguments.splits)
    ]
    sources = [address.open() for address in addresses]
    check_names(sources, files=bool({"folder", "keypoints"} & set(arguments.formats)))
    checker = checks.checker(arguments.seed)
    prepared = prepare(arguments, addresses, sources, work / "prepared.jsonl")
    skipped = {photo.key: photo.problem for photo in prepared if photo.problem}
    if skipped:
        (work / "skipped.json").write_text(json.dumps(skipped, indent=2, ensure_ascii=False), encoding="utf-8")
    made: dict[str, Any] = {
        "source": arguments.source,
        "splits": arguments.splits,
        "points": {"per_kind": arguments.per_kind, "max_points": arguments.max_points, "seed": arguments.seed},
        "talkingpoints": __version__,
    }
    if skipped:
        made["photos_skipped"] = len(skipped)
    with contextlib.closing(written(arguments, writing, prepared, made)) as photos:
        laid_out = DatasetOutput(
            output, arguments.formats, embed=arguments.embed_images, rows_per_shard=arguments.rows_per_shard
        )
        for photo, texts in checked_texts(photos, checker, sources):
            laid_out.add(photo, texts)
    made["checks"] = write_checks(checker, work, name)
    laid_out.close(name, made, arguments.license, arguments.push_to_hub)
    statistics = laid_out.statistics
    print(f"{statistics.photos.total()} photos, {statistics.points.total()} points, {statistics.texts.total()} texts")
    for line in told(made["checks"]):
        print(line)
    if skipped:
        print(f"{len(skipped)} photos skipped (work/skipped.json), the first: {next(iter(skipped.values()))}")
    if arguments.push_to_hub:
        push(output, arguments.push_to_hub, arguments.private)


def push(folder: Path, repository: str, private: bool) -> None:
    """Put card and Parquet files into a dataset repository, and take away the files of an earlier push."""
    files = [folder / "README.md", *sorted((folder / "data").glob("*.parquet"))]
    publish(
        {file.relative_to(folder).as_posix(): file for file in files},
        Target(repository, "dataset", private=private),
        "Points and descriptions",
        stale=["data/*.parquet"],
    )


def _tasks(prepared: PreparedPhotos, split: str) -> Iterator[PointTask]:
    return (task for photo in prepared if photo.split == split for task in photo.tasks)


if __name__ == "__main__":
    main(sys.argv[1:])
