"""The localizer as an annotator's pre-labeller: texts or names of classes in, points for Label Studio or CVAT out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from talkingpoints import EncodedPhoto, TalkingPoints
from talkingpoints.commands.work import photos_of
from talkingpoints.data.formats.conversion import write_annotations
from talkingpoints.data.formats.records import Losses, PhotoRecord, PointRecord
from talkingpoints.photo_batches import PhotoQuestions
from talkingpoints.results import PRESENT


def prelabel(
    tp: TalkingPoints,
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    threshold: float = PRESENT,
    image_prefix: str = "",
    progress: bool = True,
) -> list[PhotoRecord]:
    """Look for each text and each label in each photo.

    Args:
        tp: the localizer.
        folder: of photos.
        texts: become the points' texts.
        labels: names of classes, which become the points' labels.
        threshold: points of a lower presence are left out, 0..1.
        image_prefix: is put before each photo's name, for example ``/data/local-files/?d=photos/``.
        progress: show a bar.

    Returns:
        All photos, also those in which nothing was found.

    Raises:
        ValueError: If there is no photo or nothing to look for, or a photo cannot be read.
    """
    files = list(photos_of(folder))
    wanted = [(text, "") for text in texts] + [(label, label) for label in labels]
    if not files or not wanted:
        raise ValueError("give a text or a label" if files else f"{folder} holds no photo")
    root = folder if folder.is_dir() else folder.parent
    sizes: list[tuple[int, int]] = []

    def questions() -> Iterator[PhotoQuestions[str]]:
        for file in files:
            photo = EncodedPhoto(file)
            sizes.append(photo.size)
            yield PhotoQuestions(photo, [text for text, _ in wanted])

    photos = []
    answers = tqdm(tp.localize_many(questions()), total=len(files), unit="photo", disable=not progress)
    for number, found in enumerate(answers):
        points = []
        for one, (text, label) in zip(found, wanted, strict=True):
            if one.presence >= threshold:
                points.append(PointRecord(one.x, one.y, "" if label else text, label, score=one.presence))
        name = image_prefix + files[number].relative_to(root).as_posix()
        photos.append(PhotoRecord(name, sizes[number], points, path=files[number]))
    return photos


def write_prelabels(photos: Sequence[PhotoRecord], target: Path, to: str) -> tuple[dict[str, Any], Losses]:
    """Write them, and say how many there are."""
    losses = write_annotations(photos, target, to)
    return {"photos": len(photos), "points": sum(len(photo.points) for photo in photos)}, losses
