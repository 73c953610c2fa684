"""Many photos at once: several go through a model together, which is faster than one after the other.

Photos with about as many points (or texts) each are put together until their rows fill a batch. At any time only the
photos of one batch are decoded, so memory stays flat however many there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from tqdm.auto import tqdm

from .encoded_photo import MAX_NEW_TOKENS, EncodedPhoto, describe_places, encode, locate_texts, moved
from .images import ImageLike
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .places import one_of, points_of
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import PointLocalizerProcessor
from .results import Description, Localization, Point

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

ROWS_AT_ONCE = 32
"""Points of a batch, over all its photos. Every photo of a batch counts as many as the one with the most."""


@dataclass(frozen=True)
class PhotoQuestions(Generic[Asked]):
    """A photo with all that is asked about it: points in pixels or in [0, 1], or texts."""

    image: ImageLike | EncodedPhoto
    asked: Sequence[Asked]


@torch.inference_mode()
def describe_photos(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photos: Sequence[EncodedPhoto],
    points: Sequence[Sequence[tuple[float, float]]],
) -> list[list[str]]:
    """Describe points of several photos in one batch.

    Args:
        model, processor: the descriptor.
        photos: B of them.
        points: unit points of each photo, one or more.

    Returns:
        For each photo a text for each of its points.
    """
    most = max(map(len, points))
    if len(photos) == 1 or most > ROWS_AT_ONCE:
        return [
            describe_places(model, processor, photo, "points", some) for photo, some in zip(photos, points, strict=True)
        ]
    prepared, visual = encode(model, processor, photos)
    filled = [[*some, *[some[-1]] * (most - len(some))] for some in points]  # the processor wants as many for each
    inputs = moved(processor(images=prepared, points=filled), model)
    output = model.generate(**inputs, visual=visual, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    texts = processor.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [[text.strip() for text in texts[i * most : i * most + len(some)]] for i, some in enumerate(points)]


@torch.inference_mode()
def locate_in_photos(
    model: PointLocalizer,
    processor: PointLocalizerProcessor,
    photos: Sequence[EncodedPhoto],
    texts: Sequence[Sequence[str]],
) -> list[list[Localization]]:
    """Find texts in several photos in one batch; arguments and result as of :func:`describe_photos`.

    Raises:
        ValueError: If a text is empty.
    """
    most = max(map(len, texts))
    if len(photos) == 1 or most > ROWS_AT_ONCE:
        return [locate_texts(model, processor, photo, some) for photo, some in zip(photos, texts, strict=True)]
    prepared, visual = encode(model, processor, photos)
    filled = [[*some, *[some[-1]] * (most - len(some))] for some in texts]
    output = model(**moved(processor(images=prepared, text=filled), model), visual=visual)
    found = processor.post_process(output, [photo.size for photo in photos for _ in range(most)])
    return [found[i * most : i * most + len(some)] for i, some in enumerate(texts)]


def in_batches(
    questions: Iterable[PhotoQuestions[Asked]], photos_at_once: int
) -> Iterator[list[PhotoQuestions[Asked]]]:
    """Photos in their order, as many together as ``photos_at_once`` and ``ROWS_AT_ONCE`` allow."""
    batch: list[PhotoQuestions[Asked]] = []
    for one in questions:
        most = max(len(other.asked) for other in [*batch, one])
        if batch and (len(batch) >= photos_at_once or (len(batch) + 1) * most > ROWS_AT_ONCE):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


class PhotoBatches:
    """What :class:`TalkingPoints` does with many photos."""

    descriptor: PointDescriptor
    descriptor_processor: PointDescriptorProcessor
    localizer: PointLocalizer
    localizer_processor: PointLocalizerProcessor
    _turn: Callable[[str], AbstractContextManager[None]]

    def describe_many(
        self, questions: Iterable[PhotoQuestions[Any]], *, unit: bool = False, photos_at_once: int = 8
    ) -> Iterator[list[Description]]:
        """Describe points of many photos; yields each photo's answers, in order, as soon as its batch is done.

        Args:
            questions: photos with their points, in pixels; read as needed, so it may be endless.
            unit: the points are in [0, 1].
            photos_at_once: so many photos go through the model together, at most.

        Raises:
            ValueError: If a photo cannot be read, or a point lies outside.
        """
        for batch in in_batches(questions, photos_at_once):
            photos = [_encoded(one.image) for one in batch]
            points = [
                points_of(None if unit else one.asked, one.asked if unit else None, photo.size)[0]
                for one, photo in zip(batch, photos, strict=True)
            ]
            with self._turn("descriptor"):
                texts = describe_photos(
                    self.descriptor, self.descriptor_processor, photos, [[p.unit for p in some] for some in points]
                )
            for said, some in zip(texts, points, strict=True):
                yield [Description(*both) for both in zip(said, some, strict=True)]

    def localize_many(
        self, questions: Iterable[PhotoQuestions[str]], *, photos_at_once: int = 8
    ) -> Iterator[list[Localization]]:
        """Find texts in many photos; yields and errors as of :meth:`describe_many`."""
        for batch in in_batches(questions, photos_at_once):
            photos = [_encoded(one.image) for one in batch]
            with self._turn("localizer"):
                asked = [one.asked for one in batch]
                yield from locate_in_photos(self.localizer, self.localizer_processor, photos, asked)

    def describe_batch(
        self,
        images: Sequence[ImageLike | EncodedPhoto],
        points_px: Sequence[Any] | None = None,
        *,
        points: Sequence[Any] | None = None,
        photos_at_once: int = 8,
        progress: bool = True,
    ) -> list[Description]:
        """Describe one point of each image. An image that comes several times is encoded once.

        Args:
            images: n of them, as for :meth:`TalkingPoints.describe`.
            points_px: n points (x, y) in pixels.
            points: the same in [0, 1].
            photos_at_once: so many photos go through the model together, at most.
            progress: show a progress bar.

        Returns:
            n descriptions, in the order of ``images``.

        Raises:
            ValueError: If there are not as many points as images, an image cannot be read, or a point lies outside.

        Example:
            >>> tp.describe_batch(["dog.jpg", "cat.jpg", "dog.jpg"], [(120, 80), (33, 40), (200, 90)])
        """
        unit = one_of(points_px=points_px, points=points) == "points"
        asked = points if points_px is None else points_px
        asked = [(one.unit if unit else (one.x, one.y)) if isinstance(one, Point) else one for one in asked or ()]
        return _answered(
            images,
            asked,
            "points",
            lambda some: self.describe_many(some, unit=unit, photos_at_once=photos_at_once),
            progress,
        )

    def localize_batch(
        self,
        images: Sequence[ImageLike | EncodedPhoto],
        texts: Sequence[str],
        *,
        photos_at_once: int = 8,
        progress: bool = True,
    ) -> list[Localization]:
        """Find one text in each image; arguments, result and errors as of :meth:`describe_batch`."""
        if isinstance(texts, str):
            raise TypeError(f"texts must be a sequence with one text for each image, got {texts!r}")
        return _answered(
            images, texts, "texts", lambda some: self.localize_many(some, photos_at_once=photos_at_once), progress
        )


def _answered(
    images: Sequence[Any],
    asked: Sequence[Asked],
    name: str,
    answer: Callable[[Iterable[PhotoQuestions[Asked]]], Iterator[list[Answer]]],
    progress: bool,
) -> list[Answer]:
    """One answer to each question, photos grouped, in the order in which they were asked."""
    if isinstance(images, str | bytes | Path | Image.Image | EncodedPhoto):
        raise TypeError(
            f"images must be a sequence of images, got {type(images).__name__}; for one photo take describe or localize"
        )
    if len(images) != len(asked):
        raise ValueError(f"{len(images)} images and {len(asked)} {name}; give one of the {name} for each image")
    groups: dict[Any, list[int]] = {}
    for number, image in enumerate(images):
        key = str(image) if isinstance(image, str | Path) else id(image)
        groups.setdefault(key, []).append(number)
    order = sorted(groups.values(), key=len)  # those with as many rows together
    questions = [PhotoQuestions(images[numbers[0]], [asked[i] for i in numbers]) for numbers in order]
    answers: list[Any] = [None] * len(images)
    with tqdm(total=len(images), unit=name.removesuffix("s"), disable=not progress) as bar:
        for numbers, found in zip(order, answer(questions), strict=True):
            for i, one in zip(numbers, found, strict=True):
                answers[i] = one
            bar.update(len(numbers))
    return answers


def _encoded(image: ImageLike | EncodedPhoto) -> EncodedPhoto:
    return image if isinstance(image, EncodedPhoto) else EncodedPhoto(image)
