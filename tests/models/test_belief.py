"""The descriptor's belief: kind, part and side at a point, read off the keypoint tokens."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from talkingpoints import PointDescriptor, PointDescriptorConfig
from tests.helpers.tiny import photo, tiny_descriptor

NAMES = {"kinds": ["cat", "dog", "other", "nothing"], "parts": ["ear", "tail", "none"]}


def test_the_belief_looks_at_the_point_and_comes_back_from_a_folder(base: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, processor = tiny_descriptor(base, **NAMES)
    inputs = processor(images=[photo()], points=[[(0.1, 0.2), (0.8, 0.7)]])
    with torch.inference_mode():
        visual = model.encode_images(**inputs)
        belief = model.believe(inputs["input_ids"], visual)
    assert belief.kinds.shape == (2, 4) and belief.parts.shape == (2, 3) and belief.sides.shape == (2, 3)
    assert not torch.allclose(belief.kinds[0], belief.kinds[1])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    with torch.inference_mode():
        assert torch.equal(again.believe(inputs["input_ids"], again.encode_images(**inputs)).kinds, belief.kinds)
    taken, _ = PointDescriptor.from_base(tmp_path, **NAMES)
    assert torch.equal(taken.belief_head.kinds.weight, again.belief_head.kinds.weight)


def test_a_model_without_a_belief_head_says_so(base: Path) -> None:
    model, processor = tiny_descriptor(base)
    inputs = processor(images=[photo()], points=[[(0.1, 0.2)]])
    with pytest.raises(ValueError, match="needs a model with"):
        model.believe(inputs["input_ids"], model.encode_images(**inputs))
    with pytest.raises(ValueError, match="kinds and parts go together"):
        PointDescriptorConfig(kinds=["cat"])
