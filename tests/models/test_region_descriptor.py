"""Regions in place of points: the encoder looks into the box or mask and nowhere else, batched, saved and generated."""

from pathlib import Path

import numpy as np
import pytest
import torch

from talkingpoints import PointDescriptor, PointDescriptorProcessor, RegionDescription, TalkingPoints
from talkingpoints.keypoint_encoder import KeypointEncoder, box_window, cell_centers, mask_window
from talkingpoints.masks import check_mask, mask_box
from talkingpoints.points import box_tokens, check_box_px
from talkingpoints.processing_descriptor import REGION_SIDE, region_shares
from tests.helpers.tiny import photo, tiny_descriptor

BOX = (0.1, 0.2, 0.6, 0.9)


@pytest.fixture(scope="module")
def descriptor(base: Path) -> tuple[PointDescriptor, PointDescriptorProcessor]:
    return tiny_descriptor(base, share_image_prefix=True)


def logits(model: PointDescriptor, inputs) -> torch.Tensor:
    with torch.inference_mode():
        return model(**inputs).logits[:, -1]


def masks() -> np.ndarray:
    """Two masks of one box: all of it, and its diagonal corners."""
    both = np.zeros((2, 64, 96), dtype=bool)
    both[0, 16:48, 24:72] = True
    both[1, 16:32, 24:48] = both[1, 32:48, 48:72] = True
    return both


def test_a_box_is_four_tokens_and_a_point_is_a_box_of_no_size(
    descriptor: tuple[PointDescriptor, PointDescriptorProcessor],
) -> None:
    model, processor = descriptor
    inputs = processor(images=[photo(), photo()], points=[[(0.3, 0.4)], None], boxes=[None, [BOX]])
    boxes = model.read_boxes(inputs["input_ids"])
    assert boxes[0].tolist() == pytest.approx([0.3, 0.4, 0.3, 0.4], abs=1e-3)
    assert boxes[1].tolist() == pytest.approx(BOX, abs=1e-3)
    assert box_tokens(BOX) in processor.region_prompt(BOX)
    assert model.read_boxes(torch.tensor([[1, 2]])) is None


def test_a_row_with_three_location_tokens_is_refused(
    descriptor: tuple[PointDescriptor, PointDescriptorProcessor],
) -> None:
    model, processor = descriptor
    ids = processor(images=[photo()], boxes=[[BOX]])["input_ids"]
    first = model.config.location_token_id
    ids[0, (ids[0] >= first).nonzero()[0]] = 0
    with pytest.raises(ValueError, match=r"2 location tokens .* or 4"):
        model.read_boxes(ids)


def test_windows_of_boxes_and_masks() -> None:
    centers = cell_centers(4, 4)[None].expand(2, -1, -1)
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.25], [0.51, 0.51, 0.52, 0.52]])  # two cells; less than a cell
    window = box_window(boxes, centers)
    assert window[0].nonzero()[:, 0].tolist() == [0, 1]
    assert window[1].nonzero()[:, 0].tolist() == [10]
    shares = torch.zeros(3, 8, 8)
    shares[0, :2, :4] = 1.0  # the same two cells
    shares[1, 4, 4] = 1.0  # a quarter of one cell, which is all there is
    window = mask_window(shares, [(4, 4)] * 3, 20)
    assert window.shape == (3, 20)
    assert [row.nonzero()[:, 0].tolist() for row in window] == [[0, 1], [10], []]


def test_grids_of_several_sizes_in_one_batch() -> None:
    shares = torch.zeros(2, 8, 8)
    shares[:, :, :4] = 1.0  # the left half
    window = mask_window(shares, [(2, 2), (1, 4)], 4)
    assert window.tolist() == [[True, False, True, False], [True, True, False, False]]


def test_only_the_region_is_seen() -> None:
    torch.manual_seed(0)
    encoder = KeypointEncoder(32)
    torch.nn.init.normal_(encoder.prompt)
    cells, centers, valid = torch.randn(1, 16, 32), cell_centers(4, 4)[None], torch.ones(1, 16, dtype=torch.bool)
    boxes, region = torch.tensor([[0.0, 0.0, 0.5, 0.25]]), torch.zeros(1, 16, dtype=torch.bool)
    region[0, :2] = True
    inside, outside = cells.clone(), cells.clone()
    inside[0, 1] += 5.0
    outside[0, 2:] += 5.0
    with torch.inference_mode():
        seen = encoder(cells, valid, centers, boxes, region)
        assert torch.equal(seen, encoder(outside, valid, centers, boxes, region))
        assert not torch.equal(seen, encoder(inside, valid, centers, boxes, region))
        larger = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        assert not torch.equal(seen, encoder(cells, valid, centers, larger, region))  # place and size count too


def test_box_and_mask_change_the_answer(descriptor: tuple[PointDescriptor, PointDescriptorProcessor]) -> None:
    model, processor = descriptor
    one, other = (logits(model, processor(images=[photo()], boxes=[[box]])) for box in (BOX, (0.5, 0.5, 0.9, 0.9)))
    assert (one - other).abs().max() > 1e-2
    whole, corners = logits(model, processor(images=[photo()], masks=[masks()]))  # the same box, so the same prompt
    assert (whole - corners).abs().max() > 1e-2


def test_a_batch_of_points_boxes_and_masks_equals_single_rows(
    descriptor: tuple[PointDescriptor, PointDescriptorProcessor],
) -> None:
    model, processor = descriptor
    photos = [photo(seed=seed) for seed in range(3)]
    places = {"points": [(0.2, 0.3), (0.7, 0.6)], "boxes": [BOX, (0.3, 0.1, 0.4, 0.5)], "masks": masks()}
    mixed = {
        kind: [rows if i == place else None for i in range(3)] for place, (kind, rows) in enumerate(places.items())
    }
    batch = processor(images=photos, **mixed)
    assert batch["regions"].shape == (6, REGION_SIDE, REGION_SIDE) and not batch["regions"][:4].any()
    together = logits(model, batch)
    for place, (kind, rows) in enumerate(places.items()):
        alone = logits(model, processor(images=[photos[place]], **{kind: [rows]}))
        assert torch.allclose(together[2 * place : 2 * place + 2], alone, atol=1e-4)


def test_the_loss_reads_regions_with_and_without_a_shared_prefix(
    descriptor: tuple[PointDescriptor, PointDescriptorProcessor],
) -> None:
    model, processor = descriptor
    batch = processor(images=[photo()], masks=[masks()], answers=[["the left one", "the cat"]])
    with torch.inference_mode():
        shared = model(**batch).loss
        model.config.share_image_prefix = False
        plain = model(**batch).loss
        model.config.share_image_prefix = True
        swapped = model(**{**batch, "regions": batch["regions"].flip(0)}).loss
    assert shared.item() == pytest.approx(plain.item(), abs=1e-5)
    assert shared.item() != pytest.approx(swapped.item(), abs=1e-5)
    with pytest.raises(ValueError, match="1 regions for 2 rows"):
        model(**{**batch, "regions": batch["regions"][:1]})


def test_bad_places_are_refused(descriptor: tuple[PointDescriptor, PointDescriptorProcessor]) -> None:
    _, processor = descriptor
    with pytest.raises(ValueError, match="give either text"):
        processor(images=[photo()])
    with pytest.raises(ValueError, match=r"photo 0 has .*points.*boxes"):
        processor(images=[photo()], points=[[(0.1, 0.1)]], boxes=[[BOX]])
    with pytest.raises(ValueError, match="1 boxes for 2 photos"):
        processor(images=[photo(), photo()], boxes=[[BOX]])
    with pytest.raises(ValueError, match="the mask is empty"):
        processor(images=[photo()], masks=[np.zeros((1, 64, 96), dtype=bool)])
    with pytest.raises(ValueError, match="a mask is bool"):
        processor(images=[photo()], masks=[np.ones((1, 64, 96))])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        processor(images=[photo()], boxes=[[(0.1, 0.1, 1.2, 0.5)]])
    with pytest.raises(ValueError, match="region_instruction"):
        PointDescriptorProcessor(
            processor.image_processor, processor.tokenizer, processor.chat_template, region_instruction="Describe."
        )


def test_masks_of_any_size_become_shares() -> None:
    for size in ((10, 13), (64, 64), (301, 517)):
        mask = np.zeros(size, dtype=bool)
        mask[:, : round(size[1] / 2)] = True
        shares = region_shares(mask)
        assert shares.shape == (64, 64) and shares.mean().item() == pytest.approx(mask.mean(), abs=0.02)
        assert shares[:, :28].min() == 1 and shares[:, 36:].max() == 0


def test_checks_of_boxes_and_masks() -> None:
    assert check_box_px((1, 2, 3, 4), (10, 10)).tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="no area"):
        check_box_px((3, 2, 3, 4), (10, 10))
    with pytest.raises(ValueError, match="outside the image"):
        check_box_px((3, 2, 11, 4), (10, 10))
    with pytest.raises(ValueError, match="got shape"):
        check_box_px((3, 2, 11), (10, 10))
    mask = np.zeros((4, 6), dtype=np.uint8)
    mask[1, 2:4] = 1
    assert mask_box(check_mask(mask, (4, 6))) == (2, 1, 4, 2)
    with pytest.raises(ValueError, match=r"\(4, 6\), got \(6, 4\)"):
        check_mask(mask.T, (4, 6))
    with pytest.raises(ValueError, match="integers 0 and 1"):
        check_mask(mask * 255, (4, 6))


def test_describing_regions_of_a_photo(pair: tuple[Path, Path]) -> None:
    tp = TalkingPoints.from_pretrained(*pair)
    both = masks()
    several = tp.describe(photo(), mask=both)
    assert [type(one) for one in several] == [RegionDescription] * 2
    assert several[0].box == (24, 16, 72, 48)
    assert [one.text for one in several] == [tp.describe(photo(), mask=one).text for one in both]
    assert tp.describe(photo(), mask=list(both)) == several
    boxed = tp.describe(photo(), box=(24, 16, 72, 48))
    assert boxed.box == (24, 16, 72, 48)
    assert tp.describe(photo(), box=[(24, 16, 72, 48)]) == [boxed]
    assert tp.describe(photo(), mask=[]) == []
    with pytest.raises(ValueError, match="give one of point_px, point, mask and box"):
        tp.describe(photo(), (3, 3), box=(24, 16, 72, 48))
    with pytest.raises(ValueError, match="give one of point_px, point, mask and box"):
        tp.describe(photo())
    with pytest.raises(ValueError, match="the mask must have the image's"):
        tp.describe(photo(), mask=both[0].T)
