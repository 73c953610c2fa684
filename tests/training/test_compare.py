"""The table of several systems."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.reports import compare


def predictions(path: Path, errors: list[float], truth: float = 0.5) -> str:
    """A file as evaluate.py writes it: four points in two photos, each missed by so much in x."""
    true = np.full((4, 2), truth)
    found = true + np.array([[error, 0.0] for error in errors])
    photo = np.array([0, 0, 1, 1])
    np.savez(path, truth=true, photo=photo, image_id=photo, object_index=np.arange(4), prediction_descriptor=found)
    return str(path)


def test_table_by_hand(tmp_path: Path) -> None:
    first = predictions(tmp_path / "first.npz", [0.01, 0.15, 0.3, 0.04])  # 100, 50, 0, 100
    second = predictions(tmp_path / "second.npz", [0.01, 0.15, 0.15, 0.15])  # 100, 50, 50, 50: same sum in both photos
    text = compare.main(["--row", "descriptor", f"default={first}", f"other={second}"])
    lines = text.splitlines()
    assert lines[0].startswith("| | mpck_img | 95% interval | PCK_img@0.05 | minus default")
    assert lines[2] == "| default | 62.5 | 50.0 to 75.0 | 50.0 | | |"
    assert lines[3] == "| other | 62.5 | 50.0 to 75.0 | 25.0 | +0.0 | +0.0 to +0.0 |"


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    first = predictions(tmp_path / "first.npz", [0.0] * 4)
    moved = predictions(tmp_path / "moved.npz", [0.0] * 4, truth=0.4)
    with pytest.raises(ValueError, match="moved and default were not measured on the same points"):
        compare.main(["--row", "descriptor", f"default={first}", f"moved={moved}"])
    with pytest.raises(ValueError, match="no row 'blind'; it has descriptor"):
        compare.main(["--row", "blind", f"default={first}"])
    with pytest.raises(ValueError, match=r"systems must be NAME=FILE\.npz"):
        compare.main(["--row", "descriptor", "--systems", str(first)])


def records(path: Path, verdict: bool) -> str:
    """A file as evaluate_truth.py keeps it: two photos with a point and a present and an absent text each."""
    judged = {"types": ["object"], "slots": ["kind"], "verdicts": [verdict], "read": True, "said": "named"}
    point = {"point": [0.5, 0.5], "kinds": ["dog"], "texts": {"descriptor": "a dog"}, "judged": {"descriptor": judged}}
    heard = [{"tier": 0, "presence": 0.9}, {"tier": 2, "presence": 0.9 if verdict else 0.1}]
    lines = [{"photo": name, "points": [point], "heard": heard, "variants": None} for name in ("a", "b")]
    path.write_text("\n".join(["{}", *map(json.dumps, lines)]) + "\n")
    return str(path)


def test_truth_and_refusal_by_hand(tmp_path: Path) -> None:
    right, wrong = records(tmp_path / "right.jsonl", True), records(tmp_path / "wrong.jsonl", False)
    lines = compare.main(["--row", "descriptor", "--systems", f"a={right}", f"b={wrong}"]).splitlines()
    assert lines[2].startswith("| a | 100.0 | -") and lines[3].startswith("| b | 0.0 |")
    assert lines[4].startswith("| b minus a | -100.0 (-100.0 to -100.0)")
    lines = compare.main(["--row", "refusal", "--systems", f"a={right}", f"b={wrong}"]).splitlines()
    assert lines[2:4] == ["| a | 50.0 |", "| b | 100.0 |"]
    with pytest.raises(ValueError, match="no row 'blind'"):
        compare.main(["--row", "blind", "--systems", f"a={right}"])
