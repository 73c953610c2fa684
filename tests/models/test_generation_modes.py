"""A point is part of the input: every mode of ``generate`` writes the same greedy text for it.

    TALKINGPOINTS_MODE_POINTS=40 python -m pytest -q tests/test_generation_modes.py -k bundled -s

prints the bundled descriptor's table, mode by mode.
"""

import copy
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor, DynamicCache, GenerationConfig

from talkingpoints import PointDescriptor
from talkingpoints.inference import BUNDLED_DESCRIPTOR
from tests.helpers.families import FAMILIES, family_base
from tests.helpers.tiny import loud, photo, tiny_base, tiny_descriptor

N_POINTS = int(os.environ.get("TALKINGPOINTS_MODE_POINTS", "8"))
LENGTH = {"max_new_tokens": 24, "do_sample": False}


def by_hand(model: PointDescriptor, inputs: dict, cached: bool) -> torch.Tensor:
    """Greedy decoding with ``forward`` alone; unlike ``generate``, it has to leave out what is never written."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    with torch.inference_mode():
        output = model(**inputs, use_cache=cached)
        while True:
            scores = output.logits[:, -1]
            scores[:, [token for token in unwritten(model) if token < scores.shape[1]]] = -torch.inf
            ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], 1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
            if ids.shape[1] == inputs["input_ids"].shape[1] + LENGTH["max_new_tokens"]:
                return ids
            if cached:
                output = model(input_ids=ids[:, -1:], attention_mask=mask, past_key_values=output.past_key_values)
            else:
                output = model(**{**inputs, "input_ids": ids, "attention_mask": mask}, use_cache=False)


def unwritten(model: PointDescriptor) -> list[int]:
    first = model.config.location_token_id
    return [model.config.image_token_id, model.config.point_token_id, *range(first, first + 1024)]


def continued(model: PointDescriptor, inputs: dict) -> torch.Tensor:
    """A few words, and the others from the keys and values of those; the photo is not needed again."""
    first = model.generate(**inputs, max_new_tokens=5, do_sample=False, return_dict_in_generate=True)
    mask = inputs["attention_mask"]
    mask = torch.cat([mask, mask.new_ones(len(mask), first.sequences.shape[1] - mask.shape[1])], 1)
    rest = {**LENGTH, "max_new_tokens": LENGTH["max_new_tokens"] - 5}
    return model.generate(input_ids=first.sequences, attention_mask=mask, past_key_values=first.past_key_values, **rest)


def one_by_one(model: PointDescriptor, inputs: dict, **options) -> torch.Tensor:
    rows = []
    for i in range(len(inputs["input_ids"])):
        row = {name: value[i : i + 1] for name, value in inputs.items() if name in ("input_ids", "attention_mask")}
        rows.append(model.generate(**row, visual=model.encode_images(**inputs), **LENGTH, **options))
    return padded(rows)


def padded(rows: list[torch.Tensor]) -> torch.Tensor:
    longest = max(row.shape[1] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, longest - row.shape[1])) for row in rows])


MODES: dict[str, Callable[[PointDescriptor, dict], torch.Tensor]] = {
    "one by one": one_by_one,
    "no cache": lambda m, i: m.generate(**i, **LENGTH, use_cache=False),
    "no cache, by config": lambda m, i: m.generate(
        **i, generation_config=GenerationConfig(use_cache=False, eos_token_id=m.generation_config.eos_token_id,
                                                pad_token_id=m.generation_config.pad_token_id, **LENGTH)),
    "chunks of 1": lambda m, i: one_by_one(m, i, prefill_chunk_size=1),
    "chunks of 7": lambda m, i: one_by_one(m, i, prefill_chunk_size=7),
    "prompt look-up": lambda m, i: one_by_one(m, i, prompt_lookup_num_tokens=3),
    "assistant": lambda m, i: one_by_one(m, i, assistant_model=copy.deepcopy(m)),
    "static cache": lambda m, i: m.generate(**i, **LENGTH, cache_implementation="static"),
    "a cache given": lambda m, i: m.generate(**i, **LENGTH, past_key_values=DynamicCache(config=m.config)),
    "several sequences": lambda m, i: m.generate(
        **i, max_new_tokens=24, do_sample=True, top_k=1, num_return_sequences=2)[1::2],
    "inputs=": lambda m, i: m.generate(inputs=i["input_ids"], **{k: v for k, v in i.items() if k != "input_ids"},
                                       **LENGTH),
    "encoded before": lambda m, i: m.generate(
        input_ids=i["input_ids"], attention_mask=i["attention_mask"], visual=m.encode_images(**i), **LENGTH),
    "continued": continued,
    "forward, cached": lambda m, i: by_hand(m, i, True),
    "forward, no cache": lambda m, i: by_hand(m, i, False),
}  # fmt: skip


def answers(model: PointDescriptor, inputs: dict, ids: torch.Tensor) -> list[list[int]]:
    """What was written, through the first end."""
    end = model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])
    rows = []
    for row in ids[:, inputs["input_ids"].shape[1] :].tolist():
        stop = next((i for i, token in enumerate(row) if token in ends), len(row))
        rows.append(row[:stop])
    return rows


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[PointDescriptor, dict]:
    model, processor = tiny_descriptor(tiny_base(tmp_path_factory.mktemp("base")), share_image_prefix=True)
    return model, dict(processor(images=[photo()], points=[[(0.1, 0.2), (0.9, 0.8), (0.4, 0.5)]]))


@pytest.fixture(scope="module")
def bundled() -> tuple[PointDescriptor, list[dict], list[list[list[int]]]]:
    """The bundled descriptor, eight points a photo, and what it writes of them."""
    model = AutoModel.from_pretrained(BUNDLED_DESCRIPTOR, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(BUNDLED_DESCRIPTOR)
    rng = np.random.default_rng(0)
    batches = [
        dict(processor(images=[photo(320, 240, seed)], points=[rng.uniform(0.05, 0.95, (8, 2)).tolist()]))
        for seed in range(N_POINTS // 8)
    ]
    return model, batches, [answers(model, batch, model.generate(**batch, **LENGTH)) for batch in batches]


@pytest.mark.parametrize("mode", MODES)
def test_bundled_texts_are_the_same_in_every_mode(bundled, mode: str) -> None:
    model, batches, expected = bundled
    found = [answers(model, batch, MODES[mode](model, batch)) for batch in batches]
    pairs = [pair for one, other in zip(found, expected, strict=True) for pair in zip(one, other, strict=True)]
    equal = sum(one == other for one, other in pairs)
    print(f"{mode}: {equal} of {len(pairs)}")
    assert len({tuple(row) for rows in expected for row in rows}) > 1  # the point is heard at all
    assert equal == len(pairs)


@pytest.mark.parametrize("mode", MODES)
def test_tiny_texts_are_the_same_in_every_mode(tiny, mode: str) -> None:
    model, inputs = tiny
    expected = answers(model, inputs, model.generate(**inputs, **LENGTH))
    assert expected[0] != expected[1]
    assert answers(model, inputs, MODES[mode](model, inputs)) == expected


@pytest.mark.parametrize("mode", ["no cache", "chunks of 7", "assistant", "static cache", "several sequences",
                                  "continued", "forward, cached"])  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
def test_families_write_the_same_in_every_mode(family: str, mode: str, family_pair) -> None:
    if mode == "forward, cached" and family.startswith("qwen"):
        pytest.skip("transformers' own Qwen forward takes no attention mask of the past without position_ids")
    model, inputs = family_pair(family)
    expected = answers(model, inputs, model.generate(**inputs, **LENGTH))
    assert answers(model, inputs, MODES[mode](model, inputs)) == expected


@pytest.fixture(scope="module")
def family_pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[PointDescriptor, dict]]:
    built: dict[str, tuple[PointDescriptor, dict]] = {}

    def build(family: str) -> tuple[PointDescriptor, dict]:
        if family not in built:
            model, processor = PointDescriptor.from_base(family_base(family, tmp_path_factory.mktemp(family)))
            built[family] = (loud(model), dict(processor(images=[photo()], points=[[(0.2, 0.3), (0.8, 0.6)]])))
        return built[family]

    return build


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}])
def test_beams_are_the_same_with_and_without_a_cache(bundled, options: dict) -> None:
    model, batches, _ = bundled
    first = {"input_ids": batches[0]["input_ids"][:3], "attention_mask": batches[0]["attention_mask"][:3]}
    first["visual"] = model.encode_images(**batches[0])
    cached = model.generate(**first, **LENGTH, **options)
    assert torch.equal(cached, model.generate(**first, **LENGTH, **options, use_cache=False))


def test_a_second_question_may_name_another_point(tiny) -> None:
    """Keys and values of the first turn, and a second turn with a point of its own that looks at the same photo."""
    model, inputs = tiny
    one = {name: value[:1] for name, value in inputs.items()}
    visual = model.encode_images(**inputs)
    first = model.generate(**one, max_new_tokens=4, do_sample=False, return_dict_in_generate=True)
    image = (one["input_ids"][0] == model.config.image_token_id).nonzero().max() + 1
    written = []
    for row in (1, 2):
        turn = torch.cat([first.sequences, inputs["input_ids"][row : row + 1, image:]], 1)
        cache = copy.deepcopy(first.past_key_values)
        with pytest.raises(ValueError, match="carries a point but no image came with it"):
            model.generate(input_ids=turn, past_key_values=cache, max_new_tokens=6)
        written.append(model.generate(input_ids=turn, past_key_values=cache, visual=visual, max_new_tokens=6,
                                      do_sample=False, min_new_tokens=6)[0, turn.shape[1] :])  # fmt: skip
    assert not torch.equal(*written)


def test_modes_that_cannot_work_are_refused(tiny) -> None:
    model, inputs = tiny
    one = {name: value[:1] for name, value in inputs.items()}
    with pytest.raises(ValueError, match="assistant_model must be a Point Descriptor too, got a LlavaFor"):
        model.generate(**one, assistant_model=model.vlm, max_new_tokens=3)
    first = model.generate(**one, max_new_tokens=4, do_sample=False, return_dict_in_generate=True)
    with pytest.raises(ValueError, match="cannot go on from past_key_values"):
        model.generate(input_ids=first.sequences, past_key_values=first.past_key_values, prompt_lookup_num_tokens=2)
    with pytest.raises(ValueError, match="inputs or as input_ids, not as both"):
        model.generate(one["input_ids"], **one)


def test_processors_of_logits_see_words_only(tiny) -> None:
    """Location ids lie beyond the vocabulary: a repetition penalty would look them up there."""
    model, inputs = tiny
    assert model.config.location_token_id >= model.config.get_text_config().vocab_size
    options = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}
    written = model.generate(**inputs, **LENGTH, **options)
    assert torch.equal(written, model.generate(**inputs, **LENGTH, **options, use_cache=False))


def test_threads_write_what_one_thread_writes(bundled) -> None:
    """One model, eight threads, twenty calls each, every call with a point of its own."""
    model, batches, _ = bundled
    rows = [
        {"input_ids": batch["input_ids"][i : i + 1], "attention_mask": batch["attention_mask"][i : i + 1],
         "pixel_values": batch["pixel_values"]}
        for batch in batches for i in range(8)
    ]  # fmt: skip
    short = {"max_new_tokens": 6, "do_sample": False}
    alone = [model.generate(**row, **short) for row in rows]
    calls = [i % len(rows) for i in range(160)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: model.generate(**rows[i], **short), calls))
    assert all(torch.equal(written, alone[i]) for i, written in zip(calls, together, strict=True))


def test_the_hook_is_one_however_many_models_share_a_base(tiny, tmp_path: Path) -> None:
    model, inputs = tiny
    hooks = model.vlm.get_decoder()._forward_pre_hooks
    before = len(hooks)
    second = PointDescriptor(model.config, model.vlm)
    second.keypoint_encoder.load_state_dict(model.keypoint_encoder.state_dict())
    assert len(hooks) == before
    second.generation_config = model.generation_config
    assert torch.equal(second.generate(**inputs, **LENGTH), model.generate(**inputs, **LENGTH))


def test_a_language_model_that_does_not_get_the_point_is_an_error(tiny) -> None:
    model, inputs = copy.deepcopy(tiny[0]), tiny[1]
    model.vlm.get_decoder()._forward_pre_hooks.clear()
    with pytest.raises((RuntimeError, TypeError), match="has not reached the language model"):
        model(**inputs)
