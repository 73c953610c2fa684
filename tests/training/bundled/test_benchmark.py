"""The benchmark runs on models of any size, and compares what it says it compares."""

import json
import time
from pathlib import Path

import pytest

from talkingpoints import TalkingPoints
from tests.helpers.tiny import photo
from training.bundled import benchmark


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def wait() -> None:
        order.append("b")
        time.sleep(0.02)

    times = benchmark.interleaved({"a": lambda: order.append("a"), "b": wait}, repeats=2)
    assert "".join(order) == "baabba"[: len(order)] and len(order) == 6
    assert {name: len(clock["wall"]) for name, clock in times.items()} == {"a": 2, "b": 2}
    assert min(times["b"]["wall"]) >= 0.02 > max(times["b"]["cpu"]), "who sleeps needs no CPU"


def test_ratios_are_taken_round_by_round() -> None:
    assert benchmark.compared([2.0, 3.0, 40.0], [1.0, 1.5, 2.0]) == {"median": 2.0, "low": 2.0, "high": 11.0}


def test_both_sides_write_as_much_after_as_much(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    tp = TalkingPoints.from_pretrained(*pair)
    seen = []
    for model in (tp.descriptor, tp.descriptor.vlm):

        def watched(generate=model.generate, **kwargs):
            output = generate(**kwargs)
            seen.append((tuple(kwargs["input_ids"].shape), tuple(output.shape)))
            return output

        monkeypatch.setattr(model, "generate", watched)
    calls = benchmark.generate_calls(tp, photo())
    seen.clear()
    for call in calls.values():
        call()
    assert seen[0] == seen[1] and seen[0][1][1] - seen[0][0][1] == benchmark.NEW_TOKENS


def test_a_report_of_a_small_base_with_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        benchmark,
        "mid_size_pair",
        lambda device, build=benchmark.mid_size_pair: build(device, 64, layers=1, tower_width=64, vocabulary=2000),
    )
    file = tmp_path / "reports" / "benchmark.json"
    arguments = ["--output", str(file), "--models", "mid", "--repeats", "1", "--threads", "1", "--device", "cpu"]
    assert benchmark.main(arguments) == json.loads(file.read_text(encoding="utf-8"))
    result = json.loads(file.read_text(encoding="utf-8"))["models"]["mid"]
    for name in benchmark.AIMS:
        assert result[name]["ratio"]["cpu"]["median"] > 0 and result[name]["per_second"] > 0
        assert all(mib > 1 for mib in result[name]["peak_memory_mib"].values())
    for words in (["--repeats", "0"], ["--models", "huge"]):
        with pytest.raises(ValueError, match=words[0][2:]):
            benchmark.main(["--output", str(file), *words])
