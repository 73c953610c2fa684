"""Averages of trained models: what is averaged, what stays, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

from talkingpoints import PointDescriptor, PointLocalizer
from training.bundled import average_weights
from training.bundled.average_weights import averaged


def test_weights_are_averaged_and_saved(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first = PointLocalizer.from_pretrained(pair[1])
    second = PointLocalizer.from_pretrained(pair[1])
    for weight in second.parameters():
        torch.nn.init.normal_(weight)
    second.config.heatmap_temperature = 1.7
    second.save_pretrained(tmp_path / "second")
    AutoProcessor.from_pretrained(pair[1]).save_pretrained(tmp_path / "second")
    average_weights.main(["--models", str(pair[1]), str(tmp_path / "second"), "--shares", "0.75", "0.25",
                          "--output_dir", str(tmp_path / "new")])  # fmt: skip
    average_weights.main(["--models", str(pair[0]), str(pair[0]), "--save_dtype", "bfloat16",
                          "--output_dir", str(tmp_path / "small")])  # fmt: skip
    small = PointDescriptor.from_pretrained(tmp_path / "small", dtype="auto")
    assert {weight.dtype for weight in small.parameters()} == {torch.bfloat16}
    found = PointLocalizer.from_pretrained(tmp_path / "new")
    one, two = first.state_dict(), second.state_dict()
    for name, weight in found.state_dict().items():
        expected = 0.75 * one[name] + 0.25 * two[name] if weight.is_floating_point() else two[name]
        torch.testing.assert_close(weight, expected)
    assert found.config.heatmap_temperature == 1.7
    assert AutoProcessor.from_pretrained(tmp_path / "new") is not None
    tokenizer = tmp_path / "second" / "tokenizer.json"
    vocabulary = json.loads(tokenizer.read_text())
    words = vocabulary["model"]["vocab"]
    a, b = list(words)[-2:]
    words[a], words[b] = words[b], words[a]
    tokenizer.write_text(json.dumps(vocabulary))
    with pytest.raises(ValueError, match="has another vocabulary than"):
        average_weights.main(["--models", str(tmp_path / "second"), str(pair[1]), "--output_dir", str(tmp_path / "no")])
    with pytest.raises(ValueError, match="holds a PointDescriptor, not a PointLocalizer"):
        average_weights.main(["--models", str(pair[0]), str(pair[1]), "--output_dir", str(tmp_path / "no")])


def test_what_cannot_be_averaged_is_refused(pair: tuple[Path, Path]) -> None:
    counters = [{"n": torch.tensor(1), "w": torch.tensor([1.0])}, {"n": torch.tensor(5), "w": torch.tensor([2.0])}]
    assert averaged(counters, (0.5, 0.5)) == {"n": torch.tensor(5), "w": torch.tensor([1.5])}
    with pytest.raises(ValueError, match="differ in shape, for example in w"):
        averaged([counters[0], {"n": torch.tensor(1), "w": torch.zeros(2)}], (0.5, 0.5))
    with pytest.raises(ValueError, match="differ in shape, for example in v"):
        averaged([counters[0], {**counters[0], "v": torch.zeros(2)}], (0.5, 0.5))
    for words, message in ((["a"], "two or more models"), (["a", "b", "--shares", "1"], "a share of each"),
                           (["a", "b", "--shares", "0.5", "0.6"], "must sum to 1")):  # fmt: skip
        with pytest.raises((ValueError, SystemExit), match=message):
            average_weights.main(["--output_dir", "x", "--models", *words])
