"""The same contract over tiny random models of all nine families, of their real architecture."""

import inspect
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image, ImageDraw
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor

from talkingpoints import PointDescriptor, PointDescriptorProcessor, PointLocalizer, PointLocalizerProcessor
from talkingpoints.base_processor import load_base_processor
from talkingpoints.shared_prefix import SharedPrefix
from tests.helpers.families import FAMILIES, family_base, tokenizer_of
from tests.helpers.tiny import loud, photo
from training.grpo.listeners import FluencyJudge, Listener

POINTS = [(0.1, 0.2), (0.8, 0.7)]
TEXTS = ["the left ear of the dog", "nose"]
ANSWERS = ["A dog.", "The cat's nose, white."]
PHOTOS = [photo(), photo(50, 130, seed=1)]  # landscape and portrait: other tiles, other grids
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


@dataclass
class Tiny:
    """A family's base, and both point models over it in eval mode."""

    folder: Path
    descriptor: PointDescriptor
    describing: PointDescriptorProcessor
    localizer: PointLocalizer
    localizing: PointLocalizerProcessor


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tiny]:
    return {}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def tiny(family: str, built: dict[str, Tiny], tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny_of(family, built, tmp_path_factory)


def tiny_of(family: str, built: dict[str, Tiny], tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The one of this family, made when it is first asked for."""
    if family not in built:
        folder = family_base(family, tmp_path_factory.mktemp(family))
        torch.manual_seed(0)
        descriptor, describing = PointDescriptor.from_base(folder)
        localizer, localizing = PointLocalizer.from_base(folder)
        built[family] = Tiny(folder, loud(descriptor), describing, loud(localizer), localizing)
    return built[family]


def logits(tiny: Tiny, **inputs) -> torch.Tensor:
    with torch.inference_mode():
        return tiny.descriptor(**inputs).logits


def written_logits(tiny: Tiny, **inputs) -> torch.Tensor:
    """(4, R, V) of four tokens that the descriptor writes."""
    output = tiny.descriptor.generate(
        **inputs, max_new_tokens=4, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    return torch.stack(output.logits)


def scores(model: PointLocalizer, **inputs) -> torch.Tensor:
    with torch.inference_mode():
        output = model(**inputs)
    return output.points if output.heatmap_logits is None else output.heatmap_logits


def test_the_base_is_taken_over_as_it_was(tiny: Tiny) -> None:
    before = AutoModelForImageTextToText.from_pretrained(tiny.folder).state_dict()
    model, processor = PointDescriptor.from_base(tiny.folder)
    after = model.vlm.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert len(processor.tokenizer) == model.config.get_text_config().vocab_size + 1025  # which was not resized


def test_photo_and_point_change_the_answer(tiny: Tiny) -> None:
    for image in PHOTOS:
        one, other = logits(tiny, **tiny.describing(images=[image], points=[POINTS]))[:, -1]
        assert (one - other).abs().max() > 1e-2
    seen = [logits(tiny, **tiny.describing(images=[i], points=[POINTS[:1]]))[0, -1] for i in (PHOTOS[0], photo(seed=2))]
    assert (seen[0] - seen[1]).abs().max() > 1e-2


@pytest.mark.parametrize("size", [(160, 60), (60, 160)])
def test_places_of_the_photo_are_those_of_the_cells(tiny: Tiny, size: tuple[int, int]) -> None:
    quiet, processor = PointDescriptor.from_base(tiny.folder)
    image = Image.new("RGB", size, "gray")
    for place in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        marked = image.copy()
        x, y = place[0] * size[0], place[1] * size[1]
        reach = (size[0] / 8, size[1] / 8)
        ImageDraw.Draw(marked).ellipse((x - reach[0], y - reach[1], x + reach[0], y + reach[1]), fill="red")
        inputs = [processor(images=[i], points=[[place]]) for i in (image, marked)]
        with torch.inference_mode():
            plain, changed = (quiet.encode_images(**i) for i in inputs)
        change = (changed.tokens - plain.tokens)[0].norm(dim=-1)
        found = (change[:, None] * plain.centers[0]).sum(0) / change.sum()
        assert ((found > 0.5) == (torch.tensor(place) > 0.5)).all(), f"{place} was found at {found.tolist()}"


def test_regions_of_photos_are_read_alone_and_together(tiny: Tiny) -> None:
    masks = [np.zeros((2, one.height, one.width), dtype=bool) for one in PHOTOS]
    for mask in masks:
        mask[0, : mask.shape[1] // 2] = True
        mask[1, :, : mask.shape[2] // 2] = True
    batch = tiny.describing(images=PHOTOS, masks=masks)
    together = logits(tiny, **batch)
    for place, (one, mask) in enumerate(zip(PHOTOS, masks, strict=True)):
        alone = tiny.describing(images=[one], masks=[mask])
        last = logits(tiny, **alone)[:, -1]
        assert torch.allclose(together[2 * place : 2 * place + 2, -1], last, **CLOSE)
        other = logits(tiny, **{**alone, "regions": alone["regions"].flip(0)})[:, -1]
        assert not torch.allclose(last, other, **CLOSE)


def test_what_is_written_is_what_forward_says(tiny: Tiny) -> None:
    inputs = tiny.describing(images=[PHOTOS[1]], points=[POINTS])
    prompt = inputs["input_ids"].shape[1]
    written = tiny.descriptor.generate(**inputs, max_new_tokens=6, do_sample=False)
    again = dict(inputs, input_ids=written, labels=written.clone(), attention_mask=torch.ones_like(written))
    again["labels"][:, :prompt] = -100
    said = logits(tiny, **again)[:, prompt - 1 : -1].clone()
    first = tiny.descriptor.config.location_token_id
    said[..., [tiny.descriptor.config.image_token_id]] = -torch.inf
    said[..., first:] = -torch.inf
    for row, answer in zip(said.argmax(-1), written[:, prompt:], strict=True):
        end = (answer == tiny.describing.tokenizer.eos_token_id).nonzero()
        length = int(end[0]) + 1 if len(end) else len(answer)
        assert torch.equal(row[:length], answer[:length])


@pytest.mark.parametrize("options", [{"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2}])
def test_beams_and_several_samples(tiny: Tiny, options: dict) -> None:
    inputs = tiny.describing(images=[PHOTOS[0]], points=[POINTS])
    written = tiny.descriptor.generate(**inputs, max_new_tokens=4, **options)
    repeats = options.get("num_return_sequences", 1)
    prompt = inputs["input_ids"].repeat_interleave(repeats, 0)
    assert torch.equal(written[:, : prompt.shape[1]], prompt)
    if "num_beams" in options:  # beams of one row see that row's photo and point
        for row, point in zip(written, POINTS, strict=True):
            alone = tiny.descriptor.generate(
                **tiny.describing(images=[PHOTOS[0]], points=[[point]]), max_new_tokens=4, **options
            )
            assert torch.equal(row[: alone.shape[1]], alone[0])


def test_a_batch_equals_its_singles(tiny: Tiny) -> None:
    batch = tiny.describing(images=PHOTOS, points=[POINTS, POINTS[::-1]])
    together = logits(tiny, **batch)[:, -1]
    rows = [(i, p) for i, points in zip(PHOTOS, [POINTS, POINTS[::-1]], strict=True) for p in points]
    for row, (image, point) in zip(together, rows, strict=True):
        inputs = tiny.describing(images=[image], points=[[point]])
        torch.testing.assert_close(row, logits(tiny, **inputs)[0, -1], **CLOSE)
        pad = torch.full((1, 3), tiny.describing.tokenizer.pad_token_id)  # some families' prompts are never padded
        inputs["input_ids"] = torch.cat([pad, inputs["input_ids"]], 1)
        inputs["attention_mask"] = torch.cat([torch.zeros_like(pad), inputs["attention_mask"]], 1)
        torch.testing.assert_close(row, logits(tiny, **inputs)[0, -1], **CLOSE)


def test_one_encoding_serves_all_points(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = tiny.descriptor, tiny.describing(images=PHOTOS, points=[POINTS, POINTS[::-1]])
    encodings = []
    encode = model.vlm.get_image_features

    def get_image_features(pixel_values, **kwargs):
        encodings.append(len(kwargs))
        return encode(pixel_values, **kwargs)

    monkeypatch.setattr(model.vlm, "get_image_features", get_image_features)
    get_image_features.__signature__ = inspect.signature(encode)
    plain = logits(tiny, **inputs)
    written = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert len(encodings) == 2
    with torch.inference_mode():
        visual = model.encode_images(**inputs)
    rest = {k: v for k, v in inputs.items() if k in ("input_ids", "attention_mask")}
    assert torch.equal(plain, logits(tiny, **rest, visual=visual))
    for _ in range(2):  # an encoding is not used up
        assert torch.equal(written, model.generate(**rest, visual=visual, max_new_tokens=3, do_sample=False))
    assert len(encodings) == 3


def test_the_gradient_reaches_the_new_parts(tiny: Tiny) -> None:
    inputs = tiny.describing(images=[PHOTOS[1]], points=[POINTS], answers=[ANSWERS])
    found = tiny.localizing(images=[PHOTOS[1]], text=[TEXTS])
    truth = {"points": torch.tensor(POINTS), "presence": torch.tensor([1.0, 0.0])}
    for model, batch in ((tiny.descriptor, inputs), (tiny.localizer, {**found, **truth})):
        model.train()
        model(**batch).loss.backward()
        new = {n: p for n, p in model.named_parameters() if not n.startswith("vlm.")}
        assert [n for n, p in new.items() if p.grad is None or not p.grad.abs().sum() > 0] == []
        weights = [p for n, p in model.named_parameters() if re.search(r"(text|language)_model.*q_proj.weight", n)]
        weights += [p for n, p in model.named_parameters() if re.search(r"vis.*\.0\..*(q_proj|qkv).weight", n)]
        assert len(weights) == 3 and all(p.grad is not None and p.grad.abs().sum() > 0 for p in weights)
        model.zero_grad()
        model.eval()


def test_save_and_load_are_exact(tiny: Tiny, tmp_path: Path) -> None:
    inputs = tiny.describing(images=PHOTOS, points=[POINTS, POINTS])
    tiny.descriptor.save_pretrained(tmp_path / "d")
    tiny.describing.save_pretrained(tmp_path / "d")
    loaded, processor = AutoModel.from_pretrained(tmp_path / "d"), AutoProcessor.from_pretrained(tmp_path / "d")
    again = processor(images=PHOTOS, points=[POINTS, POINTS])
    assert all(torch.equal(inputs[k], again[k]) for k in inputs) and inputs.keys() == again.keys()
    with torch.inference_mode():
        assert torch.equal(logits(tiny, **inputs), loaded(**again).logits)
    written = (m.generate(**inputs, max_new_tokens=3, do_sample=False) for m in (tiny.descriptor, loaded))
    assert torch.equal(*written)
    tiny.localizer.save_pretrained(tmp_path / "l")
    tiny.localizing.save_pretrained(tmp_path / "l")
    loaded, processor = AutoModel.from_pretrained(tmp_path / "l"), AutoProcessor.from_pretrained(tmp_path / "l")
    batch = processor(images=PHOTOS, text=[TEXTS, TEXTS])
    assert torch.equal(scores(tiny.localizer, **batch), scores(loaded, **batch))


@pytest.mark.parametrize("head", ["heatmap", "mlp"])
def test_the_localizer_reads_and_looks(tiny: Tiny, head: str) -> None:
    model = tiny.localizer
    if head == "mlp":
        torch.manual_seed(0)
        model = loud(PointLocalizer.from_base(tiny.folder, head="mlp")[0])
    batch = tiny.localizing(images=PHOTOS, text=[TEXTS, TEXTS[::-1]])  # padded on the right
    with torch.inference_mode():
        rows = tiny.localizing.post_process(model(**batch), [(i.height, i.width) for i in PHOTOS for _ in TEXTS])
    together = scores(model, **batch)
    singles = [(i, t) for i, texts in zip(PHOTOS, [TEXTS, TEXTS[::-1]], strict=True) for t in texts]
    for row, answer, (image, text) in zip(together, rows, singles, strict=True):
        inputs = tiny.localizing(images=[image], text=[[text]])
        alone = scores(model, **inputs)[0]
        torch.testing.assert_close(row[: len(alone)], alone, **CLOSE)
        assert 0 <= answer.x <= image.width and 0 <= answer.y <= image.height
        if head == "heatmap":
            height, width = model.encode_images(**inputs).grids[0]
            assert answer.heatmap.shape == (2 * height, 2 * width)
            assert abs(float(answer.heatmap.sum()) - 1) < 1e-4
    first = scores(model, **tiny.localizing(images=[PHOTOS[0]], text=[TEXTS]))
    assert (first[0] - first[1]).abs().max() > 1e-3
    other = scores(model, **tiny.localizing(images=[photo(seed=2)], text=[TEXTS]))
    assert (first - other).abs().max() > 1e-3


def test_a_shared_prefix_changes_nothing_or_is_refused(tiny: Tiny, family: str) -> None:
    if family == "paligemma":
        for kind in (PointDescriptor, PointLocalizer):
            with pytest.raises(ValueError, match="image tokens see the words behind them"):
                kind.from_base(tiny.folder, share_image_prefix=True)
        return
    batch = tiny.describing(images=[PHOTOS[0], photo(seed=1)], points=[POINTS, POINTS], answers=[ANSWERS, ANSWERS])
    found = tiny.localizing(images=[PHOTOS[0], photo(seed=1)], text=[TEXTS, TEXTS])
    losses, gradients, heat = [], [], []
    for shared in (False, True):
        tiny.descriptor.config.share_image_prefix = tiny.localizer.config.share_image_prefix = shared
        output = tiny.descriptor(**batch)
        assert (output.logits is None) == shared
        output.loss.backward()
        losses.append(output.loss.detach())
        gradients.append(tiny.descriptor.keypoint_encoder.prompt.grad.clone())
        tiny.descriptor.zero_grad()
        heat.append(scores(tiny.localizer, **found))
    tiny.descriptor.config.share_image_prefix = tiny.localizer.config.share_image_prefix = False
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(*heat, **CLOSE)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "paligemma"])
def test_answers_behind_a_shared_prefix_are_the_same(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = tiny.describing(images=[PHOTOS[0], photo(seed=1)], points=[POINTS, POINTS])
    shared_calls = []
    run = SharedPrefix.start
    monkeypatch.setattr(SharedPrefix, "start", lambda *args: shared_calls.append(1) or run(*args))
    scored = []
    for shared in (False, True):
        tiny.descriptor.config.share_image_prefix = shared
        scored.append(written_logits(tiny, **inputs))
    tiny.descriptor.config.share_image_prefix = False
    assert len(shared_calls) == 1
    torch.testing.assert_close(*scored, **CLOSE)


@pytest.mark.parametrize("family", ["idefics3", "qwen3_vl"])
def test_photos_with_other_grids_share_no_prefix(tiny: Tiny) -> None:
    same = tiny.localizing(images=PHOTOS, text=[["nose", "nose"], ["nose", "nose"]])  # even where the words agree
    plain = scores(tiny.localizer, **same)
    tiny.localizer.config.share_image_prefix = True
    shared = scores(tiny.localizer, **same)
    tiny.localizer.config.share_image_prefix = False
    torch.testing.assert_close(plain, shared, **CLOSE)


@pytest.mark.parametrize("family", ["idefics3", "smolvlm", "llava_onevision"])
def test_no_prefix_is_shared_behind_padding(tiny: Tiny) -> None:
    inputs = tiny.describing(images=PHOTOS, points=[POINTS, POINTS])
    assert not inputs["attention_mask"][:, 0].all(), "one photo has fewer tiles, so its rows are padded"
    scored = []
    for shared in (False, True):
        tiny.descriptor.config.share_image_prefix = shared
        scored.append(written_logits(tiny, **inputs))
    tiny.descriptor.config.share_image_prefix = False
    torch.testing.assert_close(*scored, **CLOSE)


def test_photos_encoded_in_one_batch_can_be_kept_one_by_one(tiny: Tiny) -> None:
    rows = tiny.localizing(images=PHOTOS, text=[["nose", "ear"], ["ear", "nose"]])
    words = {name: rows[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        visual = tiny.localizer.encode_images(**rows)
        kept = [visual.select(i) for i in range(2)]
        assert [one.tokens.shape[1] for one in kept] == [height * width for height, width in visual.grids]
        again = type(visual).together(kept)
    assert again.grids == visual.grids and len(kept[0]) == 1
    for name in ("tokens", "valid", "centers"):
        assert torch.equal(getattr(again, name), getattr(visual, name)), name
    assert torch.equal(scores(tiny.localizer, **words, visual=again), scores(tiny.localizer, **rows))
    turned = tiny.localizing(images=PHOTOS[::-1], text=[["nose", "ear"], ["ear", "nose"]])
    words = {name: turned[name] for name in ("input_ids", "attention_mask")}
    swapped = scores(tiny.localizer, **words, visual=type(visual).together(kept[::-1]))
    torch.testing.assert_close(swapped, scores(tiny.localizer, **turned), **CLOSE)


def test_a_listener_and_a_judge_take_photos_of_any_shape_together(tiny: Tiny) -> None:
    shown, texts = [PHOTOS[0], PHOTOS[1], PHOTOS[0]], [*TEXTS, "the ear"]
    listener, judge = Listener(tiny.localizer, tiny.localizing), FluencyJudge(tiny.descriptor, tiny.describing)
    found = listener.find(shown, [0, 1, 0], texts)
    points = [*POINTS, POINTS[1]]
    scored = judge.score(shown, [0, 1, 0], points, texts)
    for i, (image, text, point) in enumerate(zip(shown, texts, points, strict=True)):
        np.testing.assert_allclose(found[i], listener.find([image], [f"{i} alone"], [text])[0], atol=1e-3)
        np.testing.assert_allclose(scored[i], judge.score([image], [f"{i} alone"], [point], [text])[0], rtol=1e-3)
    tiny.localizer.requires_grad_(True)
    tiny.descriptor.requires_grad_(True)


@pytest.mark.parametrize("family", ["gemma3", "paligemma"])
def test_an_answer_is_judged_as_the_loss_judges_it(tiny: Tiny) -> None:
    """Where tokens have types, those of the answer must not see what follows them."""
    inputs = tiny.describing(images=[PHOTOS[0]], points=[POINTS], answers=[ANSWERS])
    visual = tiny.descriptor.encode_images(**inputs)
    rows = {name: inputs[name] for name in ("input_ids", "attention_mask", "labels")}
    with torch.inference_mode():
        said = tiny.descriptor.log_likelihoods(**rows, visual=visual)
        lengths = (inputs["labels"] != -100).sum(1)
        expected = -tiny.descriptor(**inputs).loss * lengths.sum()
    torch.testing.assert_close((said * lengths).sum(), expected, rtol=1e-5, atol=1e-5)


def test_gradient_checkpointing_changes_no_gradient(tiny: Tiny) -> None:
    batch = tiny.describing(images=[PHOTOS[0]], points=[POINTS], answers=[ANSWERS])
    name = next(n for n, _ in tiny.descriptor.named_modules() if re.search(r"(text|language)_model.*q_proj$", n))
    gradients, runs = [], []
    hook = tiny.descriptor.get_submodule(name).register_forward_hook(lambda *_: runs.append(name))
    for checkpointing in (False, True):
        tiny.descriptor.train()
        if checkpointing:
            tiny.descriptor.gradient_checkpointing_enable()
        tiny.descriptor(**batch).loss.backward()
        gradients.append({n: p.grad.clone() for n, p in tiny.descriptor.named_parameters() if p.grad is not None})
        tiny.descriptor.zero_grad()
    hook.remove()
    tiny.descriptor.gradient_checkpointing_disable()
    tiny.descriptor.eval()
    assert len(runs) == 1 + 2, "the layer is run again in the backward pass"
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


def test_bfloat16_runs_both_ways(tiny: Tiny) -> None:
    descriptor, describing = PointDescriptor.from_base(tiny.folder, dtype=torch.bfloat16)
    localizer, localizing = PointLocalizer.from_base(tiny.folder, dtype=torch.bfloat16)
    assert descriptor.vlm.dtype == torch.bfloat16 and descriptor.keypoint_encoder.norm.weight.dtype == torch.float32
    for model in (descriptor, localizer):
        for _ in range(2):  # new parts in float32, then all in bfloat16
            if model is descriptor:
                inputs = describing(images=[PHOTOS[0]], points=[POINTS])
            else:
                inputs = localizing(images=[PHOTOS[0]], text=[TEXTS])
            inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
            if model is descriptor:
                assert model.generate(**inputs, max_new_tokens=3).shape[0] == 2
            else:
                assert torch.isfinite(model(**inputs).points).all()
            model.to(torch.bfloat16)


REMOTE = """
import json, sys
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor
image, results = [Image.open("photo.png")], {}
for folder in sys.argv[1:]:
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    with torch.inference_mode():
        if model.config.model_type == "point_localizer":
            result = model(**processor(images=image, text=[["the left ear"]])).heatmap_logits
        else:
            inputs = processor(images=image, points=[[(0.3, 0.4)]])
            result = model(**inputs).logits[:, -1]
            model.generate(**inputs, max_new_tokens=2)
    results[folder] = result.flatten().tolist()
assert "talkingpoints" not in sys.modules and "torchvision" not in sys.modules
print(json.dumps(results))
"""


def test_a_fresh_process_without_the_package_gives_the_same(
    built: dict[str, Tiny], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for family in FAMILIES:
        tiny_of(family, built, tmp_path_factory)
    photo(90, 50).save(tmp_path / "photo.png")
    (tmp_path / "script.py").write_text(REMOTE)
    expected = {}
    for family, tiny in built.items():
        for kind, model, processor in (
            ("d", tiny.descriptor, tiny.describing),
            ("l", tiny.localizer, tiny.localizing),
        ):
            folder = str(tmp_path / f"{family}_{kind}")
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            image = [Image.open(tmp_path / "photo.png")]
            if kind == "l":
                expected[folder] = scores(model, **processor(images=image, text=[["the left ear"]])).flatten()
            else:
                expected[folder] = logits(tiny, **processor(images=image, points=[[(0.3, 0.4)]]))[:, -1].flatten()
    environment = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1",
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "script.py", *expected],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    remote = json.loads(done.stdout.splitlines()[-1])
    for folder, values in expected.items():
        torch.testing.assert_close(torch.tensor(remote[folder]), values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("legacy", ["qwen3_vl", "gemma3"])
def test_repositories_without_a_processor_config_load(legacy: str, tmp_path: Path) -> None:
    folder = family_base(legacy, tmp_path / "whole")
    _, expected = PointDescriptor.from_base(folder)
    whole = load_base_processor(folder)
    (folder / "processor_config.json").unlink()
    whole.image_processor.save_pretrained(folder)
    if legacy == "qwen3_vl":
        _, processor = PointDescriptor.from_base(folder)
        inputs = [p(images=[PHOTOS[1]], points=[POINTS]) for p in (expected, processor)]
        assert all(torch.equal(inputs[0][name], inputs[1][name]) for name in inputs[0])
    else:  # its number of image tokens stood in that file
        assert type(load_base_processor(folder)).__name__ == "Gemma3Processor"


def test_answers_end_where_training_texts_end(tmp_path: Path) -> None:
    folder = family_base("llava", tmp_path)
    vlm = AutoModelForImageTextToText.from_pretrained(folder)
    vlm.generation_config.eos_token_id, vlm.generation_config.pad_token_id = 2, None
    vlm.save_pretrained(folder)
    model, processor = PointDescriptor.from_base(folder)
    assert model.generation_config.eos_token_id == [2, processor.tokenizer.eos_token_id]
    assert model.generation_config.pad_token_id == processor.tokenizer.pad_token_id


def unknown_base(folder: Path, model: transformers.PreTrainedModel, tokenizer, image_processor) -> Path:
    model.save_pretrained(folder)
    transformers.LlavaProcessor(
        image_processor=image_processor, tokenizer=tokenizer, patch_size=14, num_additional_image_tokens=1,
        vision_feature_select_strategy="default", chat_template="{% for m in messages %}<image>"
        "{{ m['content'][1]['text'] }}{% endfor %}",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def vip_llava(tokenizer) -> transformers.PreTrainedModel:
    """A family that this package has no line about."""
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
              "image_size": 56, "patch_size": 14}  # fmt: skip
    text = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": len(tokenizer)}  # fmt: skip
    config = transformers.VipLlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layers=[-2, -1], image_seq_length=16,
    )  # fmt: skip
    return transformers.VipLlavaForConditionalGeneration(config)


def test_an_unknown_family_works_if_it_follows_the_interface(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("llava")
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    folder = unknown_base(tmp_path, vip_llava(tokenizer), tokenizer, processor)
    model, processor = PointDescriptor.from_base(folder)
    loud(model)
    inputs = processor(images=[PHOTOS[1]], points=[POINTS])
    one, other = model(**inputs).logits[:, -1]
    assert (one - other).abs().max() > 1e-2
    assert model.generate(**inputs, max_new_tokens=2).shape[0] == 2
    with pytest.raises(ValueError, match="it is not known whether image tokens of 'vipllava' models see"):
        PointDescriptor.from_base(folder, share_image_prefix=True)


def test_an_unknown_family_that_cuts_tiles_is_refused(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("llava")
    processor = transformers.LlavaOnevisionImageProcessorPil(size={"height": 56, "width": 56})
    folder = unknown_base(tmp_path, vip_llava(tokenizer), tokenizer, processor)
    with pytest.raises(ValueError, match="cuts photos into tiles"):
        PointDescriptor.from_base(folder)


def test_a_family_without_the_interface_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.GitConfig(vision_config=small, **small).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"'git' models cannot be a base here, they lack a method get_image_features"):
        PointLocalizer.from_base(tmp_path)
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'bert' models cannot be a base here"):
        PointLocalizer.from_base(tmp_path)
