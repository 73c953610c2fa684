"""The descriptor uses its inputs, and gives the same answers saved, batched and with the image encoded beforehand."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from talkingpoints import PointDescriptorConfig
from talkingpoints.keypoint_encoder import KeypointEncoder, cell_centers, gaussian_window
from talkingpoints.shared_prefix import SharedPrefix
from talkingpoints.vision_language import equal_images
from tests.helpers.tiny import photo, tiny_descriptor

POINTS = [(0.1, 0.2), (0.8, 0.7)]


def logits(model, inputs) -> torch.Tensor:
    with torch.inference_mode():
        return model(**inputs).logits


def test_the_point_changes_the_answer(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    near, far = (logits(model, processor(images=[photo()], points=[[p]]))[0, -1] for p in POINTS)
    assert (near - far).abs().max() > 1e-2
    again = logits(model, processor(images=[photo()], points=[[POINTS[0]]]))[0, -1]
    assert torch.equal(near, again)


def test_the_photo_changes_the_answer(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    one, other = (logits(model, processor(images=[photo(seed=s)], points=[[POINTS[0]]]))[0, -1] for s in (0, 1))
    assert (one - other).abs().max() > 1e-2


def test_the_window_hides_what_lies_outside(base: Path) -> None:
    model, _ = tiny_descriptor(base, sigma=0.08)
    encoder, centers = model.keypoint_encoder, cell_centers(4, 4)[None]
    cells = torch.randn(1, 16, 32, generator=torch.Generator().manual_seed(0))
    point, valid = torch.tensor([[0.1, 0.1, 0.1, 0.1]]), torch.ones(1, 16, dtype=torch.bool)
    changed = cells.clone()
    changed[0, -1] += 5.0  # the cell in the opposite corner
    with torch.inference_mode():
        assert torch.equal(encoder(cells, valid, centers, point), encoder(changed, valid, centers, point))
        region = torch.ones(1, 16, dtype=torch.bool)
        seen, unseen = (encoder(c, valid, centers, point, region=region) for c in (cells, changed))
    assert not torch.equal(seen, unseen)


def test_without_a_window_everything_is_seen() -> None:
    torch.manual_seed(0)
    encoder = KeypointEncoder(32, attention_region="none")
    torch.nn.init.normal_(encoder.prompt)
    cells, centers = torch.randn(1, 16, 32), cell_centers(4, 4)[None]
    changed = cells.clone()
    changed[0, -1] += 5.0
    valid, point = torch.ones(1, 16, dtype=torch.bool), torch.tensor([[0.1, 0.1, 0.1, 0.1]])
    assert not torch.equal(encoder(cells, valid, centers, point), encoder(changed, valid, centers, point))


def test_the_window_is_a_gaussian_cut_at_its_threshold_and_never_empty() -> None:
    centers = cell_centers(10, 10)[None]
    window = gaussian_window(torch.tensor([[0.55, 0.55]]), centers, sigma=0.1, threshold=0.5)
    radius = 0.1 * (2 * torch.log(torch.tensor(2.0))) ** 0.5
    expected = (centers[0] - 0.55).norm(dim=-1) <= radius
    assert torch.equal(window[0], expected)
    assert gaussian_window(torch.tensor([[0.5, 0.5]]), centers, sigma=1e-6, threshold=0.5).any()


def test_a_batch_equals_its_singles(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    images = [photo(seed=0), photo(50, 80, seed=1)]
    together = logits(model, processor(images=images, points=[[POINTS[0]], [POINTS[1]]]))[:, -1]
    for row, image, point in zip(together, images, POINTS, strict=True):
        alone = logits(model, processor(images=[image], points=[[point]]))[0, -1]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-4)


def test_one_encoding_serves_many_points(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[POINTS])
    assert inputs["pixel_values"].shape[0] == 1 and inputs["input_ids"].shape[0] == 2
    visual = model.encode_images(pixel_values=inputs["pixel_values"])
    ids = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    with torch.inference_mode():
        cached = model(**ids, visual=visual).logits[:, -1]
        written = model.generate(**ids, visual=visual, max_new_tokens=5, do_sample=False)
        assert torch.equal(written, model.generate(**inputs, max_new_tokens=5, do_sample=False))
    for row, point in zip(cached, POINTS, strict=True):
        alone = logits(model, processor(images=[photo()], points=[[point]]))[0, -1]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_beams_and_several_samples(base: Path, options: dict) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[POINTS])
    written = model.generate(**inputs, max_new_tokens=4, **options)
    repeats = options.get("num_return_sequences", 1)
    prompt = inputs["input_ids"].repeat_interleave(repeats, 0)
    assert torch.equal(written[:, : prompt.shape[1]], prompt)  # with the location tokens still in it
    special = torch.tensor([model.config.point_token_id, model.config.image_token_id])
    assert not torch.isin(written[:, prompt.shape[1] :], special).any()
    if "num_beams" in options:  # beams of one row see that row's photo and point
        for row, point in zip(written, POINTS, strict=True):
            alone = model.generate(**processor(images=[photo()], points=[[point]]), max_new_tokens=4, **options)
            assert torch.equal(row, alone[0])


def test_a_cached_encoding_survives_beams(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[[POINTS[0]]])
    visual = model.encode_images(pixel_values=inputs.pop("pixel_values"))
    first = model.generate(**inputs, visual=visual, max_new_tokens=4, do_sample=False)
    model.generate(**inputs, visual=visual, max_new_tokens=4, num_beams=3)
    assert torch.equal(first, model.generate(**inputs, visual=visual, max_new_tokens=4, do_sample=False))


def test_generating_without_a_mask_still_sees_the_point(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[[POINTS[0]]])
    masked = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    del inputs["attention_mask"]
    assert torch.equal(masked, model.generate(**inputs, max_new_tokens=6, do_sample=False))


def test_gradient_checkpointing_and_a_shared_prefix_exclude_each_other(base: Path) -> None:
    model, processor = tiny_descriptor(base, share_image_prefix=True)
    model.gradient_checkpointing_enable()
    model.train()
    with pytest.raises(RuntimeError, match="gradient checkpointing turns caches off"):
        model(**processor(images=[photo()], points=[POINTS], answers=[["A dog.", "Its ear."]]))
    inputs = processor(images=[photo()], points=[POINTS])
    written = model.generate(**inputs, max_new_tokens=4)  # but here each row just has a prefix of its own
    assert written.shape[0] == len(POINTS) and written.shape[1] > inputs["input_ids"].shape[1]


def test_a_base_keeps_its_trained_places(base: Path, tmp_path: Path) -> None:
    vlm = AutoModelForImageTextToText.from_pretrained(base)
    torch.nn.init.normal_(vlm.model.vision_tower.positions)
    vlm.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert torch.equal(vlm.model.vision_tower.positions, loaded.model.vision_tower.positions)


def test_a_base_that_crops_is_made_to_show_the_whole_photo(base: Path, tmp_path: Path) -> None:
    AutoModelForImageTextToText.from_pretrained(base).save_pretrained(tmp_path)
    cropping = AutoProcessor.from_pretrained(base)
    cropping.image_processor.do_center_crop = True
    cropping.image_processor.size = {"shortest_edge": 64}
    cropping.save_pretrained(tmp_path)
    _, processor = tiny_descriptor(tmp_path)
    _, expected = tiny_descriptor(base)
    wide = photo(200, 50)
    pixels, whole = (p(images=[wide], points=[[POINTS[0]]])["pixel_values"] for p in (processor, expected))
    assert torch.equal(pixels, whole)


def test_the_shared_prefix_changes_nothing(base: Path) -> None:
    answers = [["A dog.", "The cat's nose, white."], ["Its left ear.", "Top."]]
    images, points = [photo(seed=0), photo(seed=1)], [POINTS, POINTS[::-1]]
    losses, gradients = [], []
    for shared in (False, True):
        model, processor = tiny_descriptor(base, share_image_prefix=shared)
        output = model(**processor(images=images, points=points, answers=answers))
        output.loss.backward()
        losses.append(output.loss.detach())
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-4)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True, "top_k": 0},
        {"num_beams": 2},
        {"do_sample": True, "num_return_sequences": 2},
        {"return_dict_in_generate": True, "output_logits": True},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"generation_config": GenerationConfig(use_cache=False, max_new_tokens=12, eos_token_id=1, pad_token_id=0)},
    ],
    ids=lambda options: "-".join(options) or "greedy",
)
def test_the_shared_prefix_changes_no_answer(base: Path, options: dict) -> None:
    """Two photos with three points each, from photos and from their encoding; beams have a prefix each."""
    written = []
    for shared in (False, True):
        model, processor = tiny_descriptor(base, share_image_prefix=shared)
        points = [[(0.1, 0.2), (0.9, 0.8), (0.4, 0.5)], [(0.3, 0.3), (0.6, 0.1), (0.5, 0.9)]]
        inputs = processor(images=[photo(), photo(seed=1)], points=points)
        prefixes: list[int] = []
        model.vlm.base_model.register_forward_pre_hook(
            lambda module, args, kwargs, seen=prefixes: seen.append(kwargs["input_ids"].shape[0]), with_kwargs=True
        )
        torch.manual_seed(0)
        output = model.generate(**inputs, max_new_tokens=12, **options)
        if "output_logits" in options:
            written.append(torch.stack(output.logits))
            output = output.sequences
        assert (output[:: len(output) // 6, : inputs["input_ids"].shape[1]] == inputs["input_ids"]).all()
        written.append(output)
        own = {"num_beams", "num_return_sequences", "use_cache", "cache_implementation", "generation_config"}
        assert (prefixes[0] == 2) == (shared and not own & options.keys())
    half = len(written) // 2
    for plain, with_shared in zip(written[:half], written[half:], strict=True):
        torch.testing.assert_close(with_shared, plain, rtol=1e-4, atol=1e-4)


def repeated(processor, order: list[int]) -> dict[str, torch.Tensor]:
    """As TRL hands over answers of two photos: each row with its photo, in any order, padded on both sides."""
    answers = ["A dog.", "The cat's nose, white.", "Its left ear.", "Top."]
    batch = processor(
        images=[photo(seed=i // 2) for i in range(4)],
        points=[[POINTS[i % 2]] for i in range(4)],
        answers=[[answer] for answer in answers],
    )
    return {name: value[order] for name, value in batch.items()}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]], ids=["in-a-row", "mixed"])
def test_a_photo_that_comes_again_is_run_once_with_its_prefix(base: Path, order: list[int]) -> None:
    states, gradients, encoded = [], [], []
    projection = torch.randn(32, generator=torch.Generator().manual_seed(0))  # states are normalised: not their lengths
    for shared in (False, True):
        model, processor = tiny_descriptor(base, share_image_prefix=shared)
        model.train().vlm.model.vision_tower.eval()
        model.vlm.model.vision_tower.register_forward_hook(
            lambda module, args, output, seen=encoded: seen.append(len(output.last_hidden_state))
        )
        batch = repeated(processor, order)
        del batch["labels"]
        seen = batch["attention_mask"].bool()
        output = model.base_model(**batch, use_cache=False).last_hidden_state
        states.append(output[seen])
        (output[seen] @ projection).sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert encoded == [4, 2]
    torch.testing.assert_close(states[1], states[0], rtol=1e-4, atol=1e-4)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 1e-5, name
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_generation_encodes_a_repeated_photo_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes: list[int] = []
    start = SharedPrefix.start

    def spied(self, *args):
        prefixes.append(self.length)
        return start(self, *args)

    monkeypatch.setattr(SharedPrefix, "start", spied)
    model, processor = tiny_descriptor(base, share_image_prefix=True)
    twice = processor(images=[photo()] * 2, points=[[p] for p in POINTS])
    once = processor(images=[photo()], points=[POINTS])
    encoded: list[int] = []
    model.vlm.model.vision_tower.register_forward_hook(
        lambda module, args, output: encoded.append(len(output.last_hidden_state))
    )
    answers = [model.generate(**inputs, max_new_tokens=8, do_sample=False) for inputs in (twice, once)]
    assert encoded == [1, 1] and torch.equal(*answers)
    model.train().vlm.model.vision_tower.eval()  # as TRL generates
    assert torch.equal(model.generate(**twice, max_new_tokens=8, do_sample=False), answers[0])
    assert encoded == [1, 1, 1] and len(prefixes) == 3


def test_equal_images_are_found_wherever_they_stand() -> None:
    pixels = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 1.0])[:, None]
    order, times = equal_images({"pixel_values": pixels}, 6)
    assert order.tolist() == [0, 2, 4, 5, 1, 3] and times == 2
    assert equal_images({"pixel_values": pixels[:5]}, 5)[1] == 1  # 3 and 2: no group serves both
    assert equal_images({"pixel_values": torch.zeros(6, 1)}, 3)[1] == 1  # crops: two images for a row
    masks = torch.tensor([0, 0, 1, 1, 1, 1])[:, None]  # equal pixels, another mask: another image
    assert equal_images({"pixel_values": torch.zeros(6, 1), "pixel_attention_mask": masks}, 6)[1] == 2


def test_the_gradient_reaches_every_parameter(base: Path) -> None:
    model, processor = tiny_descriptor(base, share_image_prefix=True)
    model.train()
    model(**processor(images=[photo()], points=[POINTS], answers=[["A dog.", "Its ear."]])).loss.backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


def test_save_and_load_are_exact(base: Path, tmp_path: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[POINTS])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for auto in (AutoModel, AutoModelForImageTextToText):
        loaded = auto.from_pretrained(tmp_path).eval()
        again = AutoProcessor.from_pretrained(tmp_path)(images=[photo()], points=[POINTS])
        assert torch.equal(logits(model, inputs), logits(loaded, again))


def test_bfloat16_runs(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    model.to(torch.bfloat16)
    inputs = processor(images=[photo()], points=[POINTS])
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    assert model.generate(**inputs, max_new_tokens=3).shape[0] == 2


def test_a_narrower_encoder_is_smaller_and_still_sees_the_point(base: Path, tmp_path: Path) -> None:
    wide, _ = tiny_descriptor(base)
    model, processor = tiny_descriptor(base, encoder_size=8, encoder_heads=2)
    assert sum(p.numel() for p in model.keypoint_encoder.parameters()) < 0.2 * sum(
        p.numel() for p in wide.keypoint_encoder.parameters()
    )
    one, other = logits(model, processor(images=[photo()], points=[POINTS]))[:, -1]
    assert (one - other).abs().max() > 1e-3
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(logits(loaded, processor(images=[photo()], points=[POINTS]))[:, -1], torch.stack([one, other]))
    with pytest.raises(ValueError, match="multiple of encoder_heads=4, got 6"):
        PointDescriptorConfig(encoder_size=6)


def test_wrong_prompts_are_refused(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[POINTS])
    broken = inputs["input_ids"].clone()
    broken[0, (broken[0] == model.config.point_token_id).nonzero()[0]] = 5
    with pytest.raises(ValueError, match=r"each row needs 4 placeholder tokens, one for each embedding, got \[3, 4\]"):
        model(input_ids=broken, pixel_values=inputs["pixel_values"])
    broken = inputs["input_ids"].clone()
    broken[0, (broken[0] >= model.config.location_token_id).nonzero()[0]] = 5
    with pytest.raises(ValueError, match=r"2 location tokens \(x, then y\) for a point .* got \[1, 2\]"):
        model(input_ids=broken, pixel_values=inputs["pixel_values"])
    with pytest.raises(ValueError, match="no image came with it"):
        model(input_ids=inputs["input_ids"])
    with pytest.raises(ValueError, match="2 rows of input_ids for 3 images"):
        model(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"].repeat(3, 1, 1, 1))


def test_wrong_arguments_are_refused(base: Path) -> None:
    _, processor = tiny_descriptor(base)
    with pytest.raises(ValueError, match="either text"):
        processor(images=[photo()])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        processor(images=[photo()], points=[[(1.2, 0.5)]])
    with pytest.raises(ValueError, match="same number"):
        processor(images=[photo(), photo()], points=[[(0.2, 0.5)], []])
    with pytest.raises(ValueError, match="attention_region"):
        PointDescriptorConfig(attention_region="square")
    with pytest.raises(ValueError, match="sigma > 0"):
        PointDescriptorConfig(sigma=0)
    with pytest.raises(ValueError, match="does not know"):
        PointDescriptorConfig(vlm_config={"model_type": "no_such_model"})
