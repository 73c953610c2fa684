"""Calibration on made-up answers with a known temperature, and on a tiny model's folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from talkingpoints import PointLocalizer
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from tests.helpers.drawn import drawn_dataset
from tests.helpers.tiny import tiny_localizer
from training import calibrate


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), n=6, seed=0)


@pytest.fixture
def examples(drawn: Path) -> PointExamples:
    return PointExamples(load_keypoints(drawn, "val"), 8, negatives=0.4, passes=2, seed=0)


def test_an_overconfident_heat_map_is_flattened(base: Path, examples: PointExamples) -> None:
    """Scores four times too steep around a random place: nearly always wrong, and sure of it until they are divided."""
    model, processor = tiny_localizer(base)

    class Sure(torch.nn.Module):
        def forward(self, cells, valid, centers, query, times):
            generator = torch.Generator().manual_seed(1)
            rows = len(query)
            places = torch.rand((rows, 1, 2), generator=generator)
            subcells = model.config.subcells**2
            scores = -40 * (centers.repeat_interleave(times, 0) - places).norm(dim=-1, keepdim=True)
            return scores.expand(-1, -1, subcells), torch.linspace(2.0, 3.0, rows)

    model.head = Sure()
    fitted = calibrate.calibrate(model, processor, examples)
    assert fitted.temperature == calibrate.TEMPERATURES.max()
    assert fitted.ece[1] < fitted.ece[0]
    assert fitted.presence_shift < -1.5  # all logits lie between 2 and 3
    assert fitted.balanced_accuracy[0] == 0.5 <= fitted.balanced_accuracy[1]


def test_balanced_accuracy_by_hand() -> None:
    logits, here = np.array([1.0, -1.0, 2.0, -3.0]), np.array([True, True, True, False])
    assert calibrate.balanced_accuracy(logits, here) == pytest.approx((2 / 3 + 1) / 2)


def test_the_folder_holds_what_was_fitted(base: Path, drawn: Path, tmp_path: Path) -> None:
    model, processor = tiny_localizer(base)
    model.save_pretrained(tmp_path / "localizer")
    processor.save_pretrained(tmp_path / "localizer")
    flags = ["--localizer", str(tmp_path / "localizer"), "--datasets", str(drawn)]
    fitted = calibrate.main(flags)
    after = AutoModel.from_pretrained(tmp_path / "localizer")
    assert after.config.heatmap_temperature == pytest.approx(fitted.temperature)
    moved = after.head.presence.bias - model.head.presence.bias
    assert moved.item() == pytest.approx(fitted.presence_shift, abs=1e-5)
    assert (
        PointLocalizer.from_base(tmp_path / "localizer")[0].config.heatmap_temperature
        == after.config.heatmap_temperature
    )
    again = calibrate.main(flags)
    assert again.ece[0] == pytest.approx(fitted.ece[1], abs=1e-6)
    assert again.balanced_accuracy[0] == pytest.approx(fitted.balanced_accuracy[1])


def test_what_cannot_be_calibrated(base: Path, drawn: Path, examples: PointExamples) -> None:
    model, processor = tiny_localizer(base)
    present = PointExamples(load_keypoints(drawn, "val"), 4, seed=0)
    with pytest.raises(ValueError, match="texts of their own photos and of others"):
        calibrate.calibrate(model, processor, present)
    model.config.head = "mlp"
    with pytest.raises(ValueError, match="no confidence to calibrate"):
        calibrate.calibrate(model, processor, examples)
