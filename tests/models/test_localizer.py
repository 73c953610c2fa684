"""The localizer uses its inputs, reads its heat map right, and gives the same answers saved, batched and cached."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor

from talkingpoints import PointLocalizerConfig, localizer_heads
from talkingpoints.keypoint_encoder import cell_centers
from talkingpoints.localizer_heads import best_points, gaussian_target, subcell_centers
from tests.helpers.tiny import photo, tiny_localizer

TEXTS = ["the left ear of the dog", "nose"]
HEADS = ["heatmap", "mlp"]


def points(model, inputs) -> torch.Tensor:
    with torch.inference_mode():
        return model(**inputs).points


def scores(model, inputs) -> torch.Tensor:
    with torch.inference_mode():
        output = model(**inputs)
    return output.points if output.heatmap_logits is None else output.heatmap_logits


@pytest.mark.parametrize("head", HEADS)
def test_text_and_photo_change_the_answer(base: Path, head: str) -> None:
    model, processor = tiny_localizer(base, head=head)
    first = scores(model, processor(images=[photo()], text=[[TEXTS[0]]]))
    assert (first - scores(model, processor(images=[photo()], text=[[TEXTS[1]]]))).abs().max() > 1e-3
    assert (first - scores(model, processor(images=[photo(seed=1)], text=[[TEXTS[0]]]))).abs().max() > 1e-3


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_equals_its_singles(base: Path, head: str, shared: bool) -> None:
    model, processor = tiny_localizer(base, head=head, share_image_prefix=shared)
    images = [photo(seed=0), photo(50, 80, seed=1)]
    together = scores(model, processor(images=images, text=[TEXTS, TEXTS[::-1]]))
    rows = [(images[0], TEXTS[0]), (images[0], TEXTS[1]), (images[1], TEXTS[1]), (images[1], TEXTS[0])]
    for row, (image, text) in zip(together, rows, strict=True):
        alone = scores(model, processor(images=[image], text=[[text]]))[0]
        torch.testing.assert_close(row, alone, rtol=1e-3, atol=1e-3)


def test_one_encoding_serves_many_texts(base: Path) -> None:
    model, processor = tiny_localizer(base)
    inputs = processor(images=[photo()], text=[TEXTS])
    visual = model.encode_images(pixel_values=inputs["pixel_values"])
    ids = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    assert torch.equal(scores(model, inputs), scores(model, {**ids, "visual": visual}))


@pytest.mark.parametrize("head", HEADS)
def test_the_gradient_reaches_every_parameter(base: Path, head: str) -> None:
    model, processor = tiny_localizer(base, head=head, share_image_prefix=True)
    model.train()
    inputs = processor(images=[photo()], text=[TEXTS])
    output = model(**inputs, points=torch.tensor([[0.2, 0.3], [0.5, 0.5]]), presence=torch.tensor([1.0, 0.0]))
    output.loss.backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


@pytest.mark.parametrize("head", HEADS)
def test_a_few_steps_learn_a_point(base: Path, head: str) -> None:
    model, processor = tiny_localizer(base, head=head)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    inputs = processor(images=[photo()], text=[TEXTS])
    truth = torch.tensor([[0.2, 0.3], [0.8, 0.6]])
    for _ in range(40):
        model(**inputs, points=truth).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (points(model, inputs) - truth).norm(dim=-1).max() < 0.08


def test_absent_rows_teach_no_point(base: Path) -> None:
    model, processor = tiny_localizer(base, presence_weight=0.0)
    inputs = processor(images=[photo()], text=[TEXTS])
    here = torch.tensor([1.0, 0.0])
    losses = [
        model(**inputs, points=torch.tensor([[0.2, 0.3], other]), presence=here).loss
        for other in ([0.0, 0.0], [0.9, 0.9])
    ]
    assert torch.equal(*losses)


@pytest.mark.parametrize("head", HEADS)
def test_save_and_load_are_exact(base: Path, tmp_path: Path, head: str) -> None:
    model, processor = tiny_localizer(base, head=head)
    inputs = processor(images=[photo()], text=[TEXTS])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    again = AutoProcessor.from_pretrained(tmp_path)(images=[photo()], text=[TEXTS])
    assert torch.equal(scores(model, inputs), scores(loaded, again))


def test_the_heat_map_lies_on_the_photo(base: Path) -> None:
    model, processor = tiny_localizer(base, subcells=2)
    output = model(**processor(images=[photo()], text=[["nose"]]))
    output.heatmap_logits = torch.full_like(output.heatmap_logits, -20.0)
    output.heatmap_logits[0, 1 * 4 + 3, 2] = 20.0  # second row of cells, last column; lower left sub-cell
    row = processor.post_process(output, [(64, 96)])[0]
    assert row.heatmap.shape == (8, 8)
    assert divmod(int(row.heatmap.argmax()), 8) == (3, 6)
    assert abs(float(row.heatmap.sum()) - 1) < 1e-5


def test_the_documented_call_works_with_gradients_on(base: Path) -> None:
    model, processor = tiny_localizer(base)
    rows = processor.post_process(model(**processor(images=[photo()], text=[["nose"]])), [(64, 96)])
    assert rows[0].heatmap.shape == (8, 8)


def test_subcells_tile_their_cell() -> None:
    centers = subcell_centers(cell_centers(2, 3)[None], [(2, 3)], 2)
    assert centers.shape == (1, 6, 4, 2)
    torch.testing.assert_close(centers.mean(2)[0], cell_centers(2, 3))
    torch.testing.assert_close(centers[0, 0, 0], torch.tensor([1 / 12, 1 / 8]))


def test_the_best_point_of_a_known_heat_map() -> None:
    centers = cell_centers(20, 20)[None]
    truth = torch.tensor([[0.3, 0.7]])
    heat = gaussian_target(truth, centers, 0.02)[None]
    point, confidence = best_points(heat, centers)
    torch.testing.assert_close(point[0], truth, atol=0.01, rtol=0)
    assert confidence.item() > 0.95
    # two far peaks, 0.6 and 0.4: the larger one wins, with its own mass as confidence and no pull to the middle
    other = gaussian_target(torch.tensor([[0.9, 0.1]]), centers, 0.02)[None]
    point, confidence = best_points(0.6 * heat + 0.4 * other, centers)
    torch.testing.assert_close(point[0], truth, atol=0.01, rtol=0)
    assert abs(confidence.item() - 0.6) < 0.02


def test_a_large_grid_is_scored_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    centers = cell_centers(20, 30)[None]
    heat = torch.rand(1, 2, 600, generator=torch.Generator().manual_seed(0)).softmax(-1)
    whole = best_points(heat, centers)
    monkeypatch.setattr(localizer_heads, "_PAIRS_AT_ONCE", 5000)
    for one, other in zip(whole, best_points(heat, centers), strict=True):
        torch.testing.assert_close(one, other)


def test_a_query_token_of_older_checkpoints_is_loaded(base: Path, tmp_path: Path) -> None:
    model, processor = tiny_localizer(base)
    model.save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    held["query"] = held.pop("query_token.weight")
    save_file(held, tmp_path / "model.safetensors", metadata={"format": "pt"})
    inputs = processor(images=[photo()], text=[TEXTS])
    assert torch.equal(scores(model, inputs), scores(AutoModel.from_pretrained(tmp_path).eval(), inputs))


def test_special_tokens_of_a_text_are_plain_characters(base: Path) -> None:
    model, processor = tiny_localizer(base)
    texts = ["<locate> the <image> ear <answer>", "a<eos>b<locate><locate>"]
    inputs = processor(images=[photo()], text=[texts])
    assert (inputs["input_ids"] == model.config.locate_token_id).sum(1).tolist() == [1, 1]
    assert points(model, inputs).shape == (2, 2)


def test_long_texts_are_cut(base: Path) -> None:
    model, processor = tiny_localizer(base)
    inputs = processor(images=[photo()], text=[["ear " * 10_000]])
    assert inputs["input_ids"].shape[1] < 400
    assert (inputs["input_ids"] == model.config.locate_token_id).sum() == 1


def test_wrong_input_is_refused(base: Path) -> None:
    model, processor = tiny_localizer(base)
    inputs = processor(images=[photo()], text=[TEXTS])
    with pytest.raises(ValueError, match="text is empty"):
        processor(images=[photo()], text=[["  "]])
    with pytest.raises(ValueError, match="needs pixel_values or visual"):
        model(input_ids=inputs["input_ids"])
    with pytest.raises(ValueError, match=r"exactly one query token, got \[0, 0\]"):
        model(input_ids=torch.full((2, 30), 5), pixel_values=inputs["pixel_values"])
    with pytest.raises(ValueError, match="1 sizes for 2 rows"):
        processor.post_process(model(**inputs), [(64, 96)])
    with pytest.raises(ValueError, match="head must be one of"):
        PointLocalizerConfig(head="box")
