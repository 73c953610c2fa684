"""The three pipelines: their bundled defaults, batches, lists, datasets, generators, options and wrong calls."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers import Pipeline, pipeline

import talkingpoints  # noqa: F401  (registers the tasks)
from tests.helpers.tiny import photo

POINTS = [(20, 30), (70, 10)]


class Photos(Dataset):
    """A dataset without an end of its own."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Image.Image:
        return photo(seed=index)


@pytest.fixture(scope="module")
def describe() -> Pipeline:
    return pipeline("point-description", dtype=torch.float32)


@pytest.fixture(scope="module")
def localize() -> Pipeline:
    return pipeline("point-localization", dtype=torch.float32)


def test_without_a_model_the_bundled_ones_answer(describe: Pipeline, localize: Pipeline) -> None:
    assert len(describe(photo(), point=POINTS[0], max_new_tokens=4)["text"]) > 0
    found = localize(photo(), text="the dog's nose")
    assert 0 <= found["x"] <= 96 and 0 <= found["y"] <= 64 and isinstance(found["found"], bool)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_photos_come_in_lists_datasets_and_generators(describe: Pipeline, localize: Pipeline, batch_size: int) -> None:
    photos = [photo(seed=i) for i in range(3)]
    options = {"point": POINTS[0], "max_new_tokens": 6}
    alone = [describe(one, **options) for one in photos]
    for inputs in (photos, Photos(), (one for one in photos)):
        assert list(describe(inputs, batch_size=batch_size, **options)) == alone
    alone = [localize(one, texts=["nose", "the cat's tail"]) for one in photos]
    together = localize(photos, batch_size=batch_size, texts=["nose", "the cat's tail"])
    for rows, expected in zip(together, alone, strict=True):
        for row, single in zip(rows, expected, strict=True):
            assert row["x"] == pytest.approx(single["x"], abs=0.01)
            np.testing.assert_allclose(row["heatmap"], single["heatmap"], atol=1e-4)


def test_photos_bring_their_own_questions(describe: Pipeline, localize: Pipeline) -> None:
    asked = [{"image": photo(), "point": POINTS[0]}, {"image": photo(seed=1), "points": POINTS},
             {"image": photo(seed=2), "point": POINTS[1]}]  # fmt: skip
    one, two, three = describe(asked, batch_size=3, max_new_tokens=6)
    assert one == describe(photo(), point=POINTS[0], max_new_tokens=6)
    assert two == describe(photo(seed=1), points=POINTS, max_new_tokens=6) and len(two) == 2
    assert three["point"] == POINTS[1]
    (found,) = localize([{"image": photo(), "text": "nose"}])
    assert found["x"] == localize(photo(), text="nose")["x"]


def test_options_of_generate_are_taken(describe: Pipeline) -> None:
    long = describe(photo(), point=POINTS[0], generate_kwargs={"max_new_tokens": 12})
    assert long["text"].startswith(describe(photo(), point=POINTS[0], generate_kwargs={"max_new_tokens": 3})["text"])
    sampled = describe(photo(), points=POINTS, generate_kwargs={"do_sample": True, "num_return_sequences": 2})
    assert [row["point"] for row in sampled] == [POINTS[0], POINTS[0], POINTS[1], POINTS[1]]
    with pytest.raises(ValueError, match="not both"):
        describe(photo(), point=POINTS[0], max_new_tokens=3, generate_kwargs={"max_new_tokens": 3})


def test_wrong_calls_are_refused(describe: Pipeline, localize: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give either point"):
        describe(photo())
    with pytest.raises(TypeError, match="'pont'"):
        describe(photo(), pont=POINTS[0])
    with pytest.raises(TypeError, match=r"keys .* got \['pont'\]"):
        describe({"image": photo(), "pont": POINTS[0]})
    with pytest.raises(TypeError, match="give either text"):
        localize(photo(), texts="nose")
    for misspelt in ({"treshold": 0.5}, {"point": (1, 1)}):
        with pytest.raises(TypeError, match="unexpected keyword"):
            pipeline("panoptic-captioning", **misspelt)
    segment = pipeline("panoptic-captioning")
    with pytest.raises(TypeError, match="treshold"):
        segment(photo(), treshold=0.5)
    found: Iterator = segment([photo(), photo(seed=1)], batch_size=2)
    assert [set(one) for one in found] == [{"segments", "id_map"}] * 2


def test_threads_get_the_answers_of_one_thread(describe: Pipeline, localize: Pipeline) -> None:
    points = [(10 * i + 5, 6 * i + 5) for i in range(8)]
    alone = [describe(photo(), point=point, max_new_tokens=5) for point in points]
    with ThreadPoolExecutor(8) as pool:
        calls = [i % 8 for i in range(40)]
        together = list(pool.map(lambda i: describe(photo(), point=points[i], max_new_tokens=5), calls))
    assert together == [alone[i] for i in calls]
