"""Many photos at once: answers as one by one, in order, each photo read once, and memory for one batch only."""

import weakref
from pathlib import Path

import pytest
from PIL import Image

from talkingpoints import EncodedPhoto, Point, TalkingPoints
from talkingpoints.photo_batches import PhotoQuestions, in_batches
from tests.helpers.tiny import photo

pytestmark = pytest.mark.usefixtures("short_texts")


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = [str(tmp_path / f"{seed}.png") for seed in range(5)]
    for seed, name in enumerate(names):
        photo(seed=seed).save(name)
    return names


def test_answers_are_those_of_single_calls_in_order(tp: TalkingPoints, files: list[str]) -> None:
    images = [files[i] for i in (0, 3, 1, 0, 2, 4, 3, 0)]
    points = [(10.0 + 9 * i, 5.0 + 6 * i) for i in range(8)]
    described = tp.describe_batch(images, points, photos_at_once=3, progress=False)
    assert described == [tp.describe(*both) for both in zip(images, points, strict=True)]
    units = [one.point for one in described]
    assert [one.text for one in tp.describe_batch(images, points=units)] == [one.text for one in described]
    texts = [one.text or "a dog" for one in described]
    found = tp.localize_batch(images, texts, photos_at_once=3, progress=False)
    for one, image, text in zip(found, images, texts, strict=True):
        single = tp.localize(image, text)
        assert one.unit == pytest.approx(single.unit, abs=1e-5)
        assert one.presence == pytest.approx(single.presence, abs=1e-5)


def test_every_photo_is_read_once_and_only_a_batch_is_held(
    tp: TalkingPoints, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[EncodedPhoto]] = []
    alive: list[int] = []
    original = EncodedPhoto.__init__

    def counted(self: EncodedPhoto, image: Image.Image) -> None:
        original(self, image)
        held.append(weakref.ref(self))
        alive.append(sum(one() is not None for one in held))

    monkeypatch.setattr(EncodedPhoto, "__init__", counted)
    tp.describe_batch(files * 3, [(1, 2)] * 15, photos_at_once=2, progress=False)
    assert len(held) == 5 and max(alive) <= 4  # of the batch at hand and the one before


def test_batches_are_bounded_by_rows_and_photos() -> None:
    questions = [PhotoQuestions(photo(), [(1, 2)] * count) for count in (1, 1, 1, 20, 40, 2)]
    sizes = [[len(one.asked) for one in batch] for batch in in_batches(questions, 2)]
    assert sizes == [[1, 1], [1], [20], [40], [2]]


def test_an_endless_stream_is_read_as_needed(tp: TalkingPoints) -> None:
    def endless():
        while True:
            yield PhotoQuestions(photo(), [(3, 4), (5, 6)])

    stream = tp.describe_many(endless(), photos_at_once=2)
    assert [len(next(stream)) for _ in range(3)] == [2, 2, 2]


def test_wrong_questions_are_refused(tp: TalkingPoints) -> None:
    with pytest.raises(ValueError, match="2 images and 1 points"):
        tp.describe_batch([photo(), photo()], [(1, 2)])
    with pytest.raises(ValueError, match="give one of points_px and points"):
        tp.describe_batch([photo()])
    with pytest.raises(TypeError, match="images must be a sequence"):
        tp.describe_batch(photo(), [(1, 2)])
    with pytest.raises(TypeError, match="texts must be a sequence"):
        tp.localize_batch([photo()], "a dog")
    with pytest.raises(ValueError, match="outside the image"):
        tp.describe_batch([photo()], [Point(1000, 2, (0, 0))], progress=False)
    assert tp.describe_batch([], []) == []
