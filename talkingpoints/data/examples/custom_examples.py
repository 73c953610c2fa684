"""One's own points -> training examples: a photo, several of its points, and a text for each.

Map-style datasets like :class:`PointExamples`, with the texts as they are: photos are neither cropped nor mirrored,
for texts may speak of places and sides. Example ``i`` is always the same, whatever process or worker asks for it, also
where the photos are streamed: that is what makes several processes do the work of one, and an interrupted training
resume exactly.
"""

import dataclasses
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from talkingpoints.data.examples.augmentation import Augmentation, augment
from talkingpoints.data.examples.keypoint_examples import PointExample
from talkingpoints.data.examples.photo_passes import PhotoPasses
from talkingpoints.data.readers.custom_points import PhotoPoints, RowGroup, check_group, read_photo
from talkingpoints.writer.facts import point_facts
from talkingpoints.writer.scene import Scene
from talkingpoints.writer.wording import Wording

_MAX_BAD_PHOTOS = 1000
_log = logging.getLogger(__name__)


class OwnExamples(PhotoPasses):
    """Views of one's own photos.

    Args:
        photos: as the readers give them.
        points_per_photo: n; photos with fewer points repeat theirs.
        passes: how often each photo is shown; each pass has another order.
        colour: probability of changed colours.
        seed: of everything random.
    """

    def __init__(
        self,
        photos: Sequence[PhotoPoints],
        points_per_photo: int = 8,
        passes: int = 1,
        colour: float = 0.0,
        seed: int = 0,
    ):
        super().__init__(range(len(photos)), passes, seed)
        self.photos = photos
        self.points_per_photo = points_per_photo
        self.colour = colour

    def __getitem__(self, index: int) -> PointExample:
        photo = self.photos[self.photo_of(index)]
        return own_example(photo, index, self.points_per_photo, self.colour, self.seed)


def own_example(photo: PhotoPoints, index: int, points_per_photo: int, colour: float, seed: int) -> PointExample:
    """Example ``index``, which shows this photo; arguments as of :class:`OwnExamples`."""
    rng = np.random.default_rng((seed, 1, index))
    image = read_photo(photo.image)
    changes = Augmentation(crop=0.0, flip=0.0, colour=colour)
    image, _ = augment(image, Scene((), (image.height, image.width)), changes, rng)
    chosen = np.resize(rng.permutation(len(photo.points)), points_per_photo)
    pixels = np.asarray(image)
    words = random.Random(int(rng.integers(2**31)))
    texts = [photo.texts[i] or label_text(photo.labels[i] or "", photo.points[i], pixels, words) for i in chosen]
    return PointExample(
        image=image,
        points=np.array([photo.points[i] for i in chosen], np.float32),
        texts=texts,
        presence=np.ones(points_per_photo, np.float32),
        facts=[],
        told=[],
    )


def label_text(label: str, point: tuple[float, float], pixels: np.ndarray, rng: random.Random | None = None) -> str:
    """A text for a point of which only the label is known: the label, the third of the photo, and the look.

    The writer's own texts say more, but need the object's box and parts.

    Args:
        label: what the point is on.
        point: unit (x, y).
        pixels: the photo, uint8 (height, width, 3).
        rng: source of the variation; None for the first wording of everything.

    Example:
        >>> label_text("scratch", (0.5, 0.5), pixels)
        'Scratch in the centre of the photo. Dark brown, smooth.'
    """
    height, width = pixels.shape[:2]
    facts = point_facts(Scene((), (height, width)), point, pixels, None)
    say = Wording(dataclasses.replace(facts, label=label), rng)
    place, look = say.place(), say.look()
    sentences = say.pick(
        ((f"{label} {place}", look), (place, label, look), (look, f"{label} {place}"), (f"{label}, {look}, {place}",))
    )
    return " ".join(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in sentences)


class StreamedExamples(torch.utils.data.Dataset):
    """Endless passes over photos that come one after the other, cut off after ``length`` examples.

    Example ``i`` shows the ``i``-th photo of the stream; where nothing is right with that photo, the next one with
    which something is. So processes agree on the examples without a word, and each decodes only what it is asked for.
    Examples are meant to be asked for in ascending order; for an earlier one the stream is read anew.

    Args:
        stream: begins a pass, and gives the photos' rows in their order.
        where: names the stream in reports.
        length: number of examples.
        points_per_photo, colour, seed: as of :class:`OwnExamples`.
        shuffle_buffer: each pass is in another order: a photo is drawn from so many that were read ahead.
        skip_bad_rows: log wrong rows and leave them out, instead of refusing the first.
    """

    def __init__(
        self,
        stream: Callable[[], Iterator[RowGroup]],
        where: str,
        length: int,
        points_per_photo: int = 8,
        colour: float = 0.0,
        seed: int = 0,
        shuffle_buffer: int = 128,
        skip_bad_rows: bool = False,
    ):
        self.stream = stream
        self.where = where
        self.length = length
        self.points_per_photo = points_per_photo
        self.colour = colour
        self.seed = seed
        self.shuffle_buffer = shuffle_buffer
        self.skip_bad_rows = skip_bad_rows
        self._groups: Iterator[RowGroup] | None = None
        self._ahead: list[RowGroup] = []  # read and not passed yet, from photo number _first on
        self._first = 0
        self._logged: set[str] = set()  # for every pass comes upon the same

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> PointExample:
        if self._groups is None or index < self._first:
            self._groups, self._ahead, self._first = self._passes(), [], 0
        while self._first < index:
            self._ahead.pop(0) if self._ahead else next(self._groups)
            self._first += 1
        for i in range(_MAX_BAD_PHOTOS):
            if i == len(self._ahead):
                self._ahead.append(next(self._groups))
            photo = self._checked(self._ahead[i], log=i == 0)
            if photo.points:
                return own_example(photo, index, self.points_per_photo, self.colour, self.seed)
        raise ValueError(f"{self.where}: {_MAX_BAD_PHOTOS} photos in a row without a point to train on")

    def _passes(self) -> Iterator[RowGroup]:
        """The photos of all passes, each pass in its own order."""
        number = 0
        while True:
            rng, groups = np.random.default_rng((self.seed, 0, number)), self.stream()
            buffer = list(islice(groups, max(1, self.shuffle_buffer)))
            if not buffer:
                raise ValueError(f"{self.where}: no rows to train on")
            for group in groups:
                place = int(rng.integers(len(buffer)))
                yield buffer[place]
                buffer[place] = group
            yield from (buffer[place] for place in rng.permutation(len(buffer)))
            number += 1

    def _checked(self, group: RowGroup, log: bool) -> PhotoPoints:
        photo, problems = check_group(group, decoded=True)
        if problems and not self.skip_bad_rows:
            raise ValueError(f"{group.where}: {problems[0]}; --skip_bad_rows leaves such rows out")
        lines = [f"{group.where}: {problem}; left out" for problem in problems] if log else []
        for line in lines:
            if line not in self._logged:
                _log.warning("%s", line)
        self._logged.update(lines)
        return photo
