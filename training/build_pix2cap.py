"""From panoptic segments to Pix2Cap data: a caption for every segment of every photo, with one command.

    python -m training.build_pix2cap --annotations coco/annotations/panoptic_val2017.json --photos coco/val2017 \\
        --id_maps coco/panoptic_val2017 --writer server --model qwen --base_url http://localhost:8000/v1 \\
        --output_dir runs/pix2cap

Every field of ``PixArguments`` and ``SegmentWriterArguments`` is a flag, and a key of a yaml file (``--config``).
Each segment of a photo is marked with an outline and a number, and a model writes a caption for each number. The result
is COCO panoptic JSON with a ``description`` for each segment, and beside it a folder of its name with the PNGs (links
to the existing ones, or copies): ``pix2cap.json`` (or ``pix2cap_NAME.json`` for each of several annotation files), with
``counts.json`` and a page to look at, ``review.html``.
The models' answers are kept in ``work/answers.jsonl``; the same command continues an interrupted run.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

if not __package__:
    import run_by_path  # noqa: F401

from tqdm.auto import tqdm

from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, PanopticPhotos, PanopticWriter
from talkingpoints.data.readers.segment_filters import FilterCounts, SegmentFilters, filtered
from talkingpoints.dataset_builder.texts.segment_rules import segment_texts
from talkingpoints.dataset_builder.texts.segment_writer import PROMPT, SegmentChoice, SegmentWriter, WrittenSegments
from talkingpoints.llm.answer_store import AnswerStore
from training.dataset.segment_review import SegmentReview
from training.dataset.writer_arguments import WriterArguments, asker_of, check_losses
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class PixArguments:
    """What is built from what."""

    annotations: list[str] = field(metadata={"help": "COCO panoptic JSON files; several must have the same categories"})
    photos: list[str] = field(metadata={"help": "folder of the photos, one for each file"})
    id_maps: list[str] = field(
        default_factory=list, metadata={"help": "folders of the PNGs; default: as COCO names them"}
    )
    output_dir: str = field(metadata={"help": "where pix2cap.json goes; work/ in it keeps what is done"})
    segment_prompt: str = field(default=str(PROMPT), metadata={"help": "file with the question of a sheet"})
    most_marks: int = field(default=24, metadata={"help": "segments on a sheet; more of them make more sheets"})
    smallest: int = field(default=0, metadata={"help": "pixels of a segment; smaller ones get no text"})
    crowds: bool = field(default=False, metadata={"help": "crowd segments get a text too"})
    limit: int = field(default=0, metadata={"help": "photos of each file; 0 takes all"})
    rule_seed: int = field(default=0, metadata={"help": "rules: of the choice of words; -1 takes the first of each"})
    review: int = field(default=24, metadata={"help": "photos in review.html, spread evenly"})

    def __post_init__(self) -> None:
        if len(self.photos) != len(self.annotations) or len(self.id_maps) not in (0, len(self.annotations)):
            raise ValueError(
                f"--photos and --id_maps need one folder for each of {len(self.annotations)} files of --annotations, "
                f"got {len(self.photos)} and {len(self.id_maps)}"
            )
        if self.limit < 0 or self.review < 0:
            raise ValueError(f"limit and review must not be negative, got {self.limit} and {self.review}")


@dataclass(kw_only=True)
class SegmentWriterArguments(WriterArguments):
    """Who writes the captions. One model does it all: ``merge_model`` and ``prompts`` are of the point writer."""

    max_tokens: int = field(default=3000, metadata={"help": "of an answer: all captions of a sheet"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merge_model is not None:
            raise ValueError("merge_model: segments' captions are not merged; give --model alone")


ARGUMENTS = (PixArguments, SegmentWriterArguments)


def sources(arguments: PixArguments) -> list[PanopticPhotos]:
    """The files, opened.

    Raises:
        ValueError: If a file cannot be read, or the files have different categories or an image in common.
    """
    folders: list[str | None] = [*arguments.id_maps] or [None] * len(arguments.annotations)
    opened = [
        PanopticPhotos(Path(file), Path(photos), None if maps is None else Path(maps))
        for file, photos, maps in zip(arguments.annotations, arguments.photos, folders, strict=True)
    ]
    seen: set[int] = set()
    for source in opened:
        if source.categories != opened[0].categories:
            raise ValueError(f"{source.annotations} has other categories than {opened[0].annotations}")
        ids = set(source.image_ids)
        if ids & seen:
            raise ValueError(f"{source.annotations}: image {min(ids & seen)} is in another file too")
        seen |= ids
    return opened


def writers(output: Path, opened: list[PanopticPhotos]) -> dict[int, PanopticWriter]:
    """Who writes a photo, by its id: a JSON for each file, as its photos and PNGs lie in folders of their own.

    Raises:
        ValueError: If two files have the same name.
    """
    names = [f"pix2cap_{source.annotations.stem}.json" for source in opened] if len(opened) > 1 else ["pix2cap.json"]
    if len(set(names)) < len(names):
        raise ValueError(f"annotations: two files have one name, and would both be written as one of {names}")
    found: dict[int, PanopticWriter] = {}
    for name, source in zip(names, opened, strict=True):
        writer = PanopticWriter(
            output / name,
            source.categories.values(),
            output / Path(name).stem,
            photos=source.photos,
            photo_maps=source.id_maps,
        )
        found |= dict.fromkeys(source.image_ids, writer)
    return found


def written(
    arguments: PixArguments, writing: WriterArguments, photos: list[PanopticPhoto], choice: SegmentChoice
) -> Iterator[WrittenSegments]:
    """The photos with their texts, in order."""
    if writing.writer == "rules":
        for photo in tqdm(photos, desc="writing", unit="photo"):
            chosen = {(photo.image_id, segment.id) for segment in choice.of(photo)}
            texts = segment_texts(photo, None if arguments.rule_seed < 0 else arguments.rule_seed)
            yield WrittenSegments(photo.with_descriptions({key: texts[key] for key in chosen}))
        return
    work = Path(arguments.output_dir) / "work"
    with AnswerStore(work / "answers.jsonl") as store:
        asker = asker_of(writing, str(writing.model), store)
        writer = SegmentWriter(asker, choice, Path(arguments.segment_prompt))
        try:
            yield from writer.write_all(photos, len(photos))
        finally:
            report = {
                "version": writer.version,
                "usage": store.usage.__dict__,
                "cost": store.usage.cost(writing.prompt_price, writing.completion_price),
                "problems_of_this_run": dict(asker.problems),
            }
            (work / "writing.json").write_text(json.dumps(report, indent=2), encoding="utf-8")


def main(argv: list[str]) -> None:
    """Build; see the module docstring."""
    arguments, writing = parse_arguments(ARGUMENTS, argv)
    output = Path(arguments.output_dir)
    opened = sources(arguments)
    photos = [photo for source in opened for photo in source[: arguments.limit or None]]
    choice = SegmentChoice(arguments.crowds, arguments.smallest, arguments.most_marks)
    counts, problems = FilterCounts(), {}
    review = SegmentReview(output / "review.html", choice)
    step = max(1, len(photos) // arguments.review) if arguments.review else 0
    writer_of = writers(output, opened)
    for number, result in enumerate(written(arguments, writing, photos, choice)):
        if result.problems:
            problems[result.photo.image_id] = list(result.problems)
            continue
        for photo in filtered([result.photo], SegmentFilters(), counts):
            writer_of[photo.image_id].add(photo)
            if step and number % step == 0:
                review.add(photo)
    for writer in dict.fromkeys(writer_of.values()):
        writer.close()
    review.close()
    report = {"counts": counts.to_json(), "photos_without_texts": problems}
    (output / "counts.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(f"{counts.photos_kept} photos, {counts.segments_kept} captions; {len(problems)} photos without (counts.json)")
    reasons = [reason for all_of_photo in problems.values() for reason in all_of_photo[:1]]
    check_losses(len(photos), reasons, writing.max_lost)


if __name__ == "__main__":
    main(sys.argv[1:])
