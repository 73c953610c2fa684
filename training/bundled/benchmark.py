"""What the point models cost beside their base, and many points or texts of one photo beside one.

    python -m training.bundled.benchmark --output benchmark.json
    python -m training.bundled.benchmark --output benchmark.json --models mid --device cuda --repeats 20

Ratios within one run: the two sides of each take turns, and the median of the rounds' ratios is what counts, in wall
time and in CPU time of the process (which other work on the machine disturbs less; on a GPU only wall time means
anything).

* ``generate``: the descriptor's ``generate`` by the bare base's, as many new tokens from as many prompt tokens;
* ``points``: describing 17 points of a photo by describing one of them;
* ``texts``: finding 32 texts in a photo by finding one of them.

Models: the bundled pair, and "mid", a base with random weights in the proportions of a small vision-language model (a
SigLIP tower and a Llama, 60 million parameters), which shows cost and nothing else. Takes 2 minutes of one CPU core.
Not a test: it says what it measured, and nothing waits for a number.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import AutoProcessor, LlamaConfig, LlavaConfig, SiglipVisionConfig

from talkingpoints import (
    PointDescriptor,
    PointDescriptorConfig,
    PointDescriptorProcessor,
    PointLocalizer,
    PointLocalizerConfig,
    PointLocalizerProcessor,
    TalkingPoints,
    __version__,
)
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER
from training.sft.arguments import parse_arguments

MODELS = ("bundled", "mid")
NEW_TOKENS = 32
N_POINTS, N_TEXTS = 17, 32
PHOTO_SIZE = (640, 480)
AIMS = {"generate": 1.10, "points": 5.0, "texts": 6.0}
PARTS = ("left ear", "right eye", "nose", "tail", "left hind hoof", "right front paw", "chin", "neck")
PLACES = ("far left, top", "centre right, upper part", "very centre", "near the bottom edge")

Calls = Mapping[str, Callable[[], Any]]


@dataclass(kw_only=True)
class BenchmarkArguments:
    """What is measured, and how often.

    Raises:
        ValueError: If a model is unknown, or a number is below 1.
    """

    output: Path = field(metadata={"help": "JSON file for the report"})
    models: list[str] = field(default_factory=lambda: list(MODELS), metadata={"help": f"some of {', '.join(MODELS)}"})
    repeats: int = field(default=9, metadata={"help": "timed rounds of each side"})
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu", metadata={"help": "torch device"})
    threads: int = field(default=os.cpu_count() or 1, metadata={"help": "CPU threads (default: all)"})

    def __post_init__(self) -> None:
        if not set(self.models) <= set(MODELS):
            raise ValueError(f"models must be some of {MODELS}, got {self.models}")
        if self.repeats < 1 or self.threads < 1:
            raise ValueError(f"repeats and threads must be at least 1, got {self.repeats} and {self.threads}")


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure what the command line asks for, print a table and write the report."""
    (arguments,) = parse_arguments((BenchmarkArguments,), argv, __doc__)
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(arguments.device) if arguments.device.startswith("cuda") else "cpu",
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "versions": {"talkingpoints": __version__, "torch": torch.__version__, "transformers": transformers.__version__,
                     "python": platform.python_version()},
        "aims": AIMS,
        "models": {},
    }  # fmt: skip
    for name in arguments.models:
        tp = {"bundled": bundled_pair, "mid": mid_size_pair}[name](arguments.device)
        report["models"][name] = measure(tp, arguments.repeats)
        print(format_table(name, report["models"][name]), flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def bundled_pair(device: str) -> TalkingPoints:
    """The pair that the package holds."""
    return TalkingPoints.from_pretrained(device=device)


def mid_size_pair(
    device: str, width: int = 512, layers: int = 8, tower_width: int = 384, vocabulary: int = 32_000
) -> TalkingPoints:
    """A descriptor and a localizer over bases with random weights, of the same architecture.

    Args:
        device: where they are.
        width, layers: of the language model; a multiple of 64.
        tower_width: of the vision tower, which has as many layers; a multiple of 64.
        vocabulary: entries of the embeddings; the tokenizer is the bundled pair's and uses the first of them.
    """
    heads: dict[str, Any] = {"num_attention_heads": width // 64, "num_key_value_heads": max(1, width // 256)}
    text = LlamaConfig(hidden_size=width, intermediate_size=width * 8 // 3, num_hidden_layers=layers, **heads,
                       vocab_size=vocabulary, max_position_embeddings=2048, pad_token_id=0, eos_token_id=1,
                       bos_token_id=None, tie_word_embeddings=True)  # fmt: skip
    vision = SiglipVisionConfig(hidden_size=tower_width, intermediate_size=4 * tower_width, num_hidden_layers=layers,
                                num_attention_heads=tower_width // 64, image_size=192, patch_size=16)  # fmt: skip
    torch.manual_seed(0)
    parts: list[Any] = []
    kinds: tuple[tuple[Path, Any, Any, Any], ...] = (
        (BUNDLED_DESCRIPTOR, PointDescriptorConfig, PointDescriptor, PointDescriptorProcessor),
        (BUNDLED_LOCALIZER, PointLocalizerConfig, PointLocalizer, PointLocalizerProcessor),
    )
    for folder, config_class, model_class, processor_class in kinds:
        processor = AutoProcessor.from_pretrained(folder)
        assert isinstance(processor, processor_class)
        trained = config_class.from_pretrained(folder)
        base = LlavaConfig(vision_config=vision, text_config=text, image_token_index=trained.image_token_id,
                           image_seq_length=(192 // 16) ** 2, vision_feature_layer=-1, tie_word_embeddings=True,
                           vision_feature_select_strategy="full")  # fmt: skip
        tokens = {name: value for name, value in trained.to_dict().items() if name.endswith("_token_id")}
        tokens = {name: value for name, value in tokens.items() if name in ("point_token_id", "location_token_id",
                                                                            "locate_token_id")}  # fmt: skip
        parts += [model_class(config_class(vlm_config=base, share_image_prefix=True, **tokens)).to(device), processor]
    return TalkingPoints(*parts)


def measure(tp: TalkingPoints, repeats: int) -> dict[str, Any]:
    """All three ratios of a pair, with times, throughput and peak memory of each side."""
    photo = drawn_photo()
    rng = np.random.default_rng(0)
    points = [tuple(point) for point in (rng.uniform(0.1, 0.9, (N_POINTS, 2)) * PHOTO_SIZE).tolist()]
    texts = [f"A dog. Its {PARTS[i % len(PARTS)]}, {PLACES[i // len(PARTS) % len(PLACES)]}." for i in range(N_TEXTS)]
    turns = {"points": 0, "texts": 0}

    def next_of(kind: str, some: list) -> Any:
        turns[kind] += 1
        return some[turns[kind] % len(some)]

    pairs: dict[str, tuple[Calls, int]] = {
        "generate": (generate_calls(tp, photo), NEW_TOKENS),
        "points": (
            {"many": lambda: tp.describe(photo, points), "one": lambda: tp.describe(photo, next_of("points", points))},
            N_POINTS,
        ),
        "texts": (
            {"many": lambda: tp.localize(photo, texts), "one": lambda: tp.localize(photo, next_of("texts", texts))},
            N_TEXTS,
        ),
    }
    result: dict[str, Any] = {
        "parameters": {"descriptor": tp.descriptor.num_parameters(), "localizer": tp.localizer.num_parameters()}
    }
    for name, (calls, count) in pairs.items():
        times = interleaved(calls, repeats)
        first, second = (times[side] for side in calls)
        result[name] = {
            "ratio": {clock: compared(first[clock], second[clock]) for clock in first},
            "seconds": {side: {clock: round(statistics.median(t), 4) for clock, t in times[side].items()}
                        for side in calls},
            "per_second": round(count / statistics.median(first["wall"]), 2),
            "peak_memory_mib": {side: round(peak_memory(call), 1) for side, call in calls.items()},
        }  # fmt: skip
    return result


def generate_calls(tp: TalkingPoints, photo: Image.Image) -> Calls:
    """The descriptor's ``generate`` and its base's: the same photo, prompt length and number of new tokens."""
    descriptor = tp.descriptor
    inputs = tp.descriptor_processor(images=[photo], points=[[(0.4, 0.3)]]).to(descriptor.device)
    plain = {**inputs, "input_ids": inputs["input_ids"].clone()}
    ours = plain["input_ids"] >= min(descriptor.config.point_token_id, descriptor.config.location_token_id)
    end = descriptor.generation_config.eos_token_id
    plain["input_ids"][ours] = (end[0] if isinstance(end, list) else end) or 1  # any word; it does not end a prompt
    lengths = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "do_sample": False}

    def base() -> torch.Tensor:
        with torch.inference_mode():
            return descriptor.vlm.generate(**plain, **lengths)

    def ours_generate() -> torch.Tensor:
        with torch.inference_mode():
            return descriptor.generate(**inputs, **lengths)

    if base().shape != ours_generate().shape:
        raise RuntimeError("the two sides have written different numbers of tokens")
    return {"descriptor": ours_generate, "base": base}


def interleaved(calls: Calls, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Times of calls that take turns, after one round that is not counted; every other round runs backwards.

    Returns:
        By call and clock ("wall", "cpu") the seconds of each round.
    """
    times: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in calls}
    for turn in range(repeats + 1):
        for name in list(calls) if turn % 2 else reversed(list(calls)):
            wall, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                times[name]["wall"].append(time.perf_counter() - wall)
                times[name]["cpu"].append(time.process_time() - cpu)
    return times


def compared(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of the ratios round by round."""
    low, median, high = np.quantile(np.array(first) / np.array(second), (0.25, 0.5, 0.75)).tolist()
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def peak_memory(call: Callable[[], Any]) -> float:
    """MiB that a call needs at its peak, with everything that is loaded: on the GPU if there is one, else resident.

    NaN where the system does not tell (it takes Linux's ``/proc``).
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        call()
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        call()
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def drawn_photo() -> Image.Image:
    """A photo of smooth random colours: what it shows costs nothing."""
    small = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(PHOTO_SIZE, Image.Resampling.BICUBIC)


def format_table(name: str, result: Mapping[str, Any]) -> str:
    """The ratios of a pair as text."""
    lines = [f"{name}: {result['parameters']['descriptor'] / 1e6:.1f} M parameters (descriptor)"]
    for kind, aim in AIMS.items():
        row = result[kind]
        wall, cpu = row["ratio"]["wall"], row["ratio"]["cpu"]
        memory = ", ".join(f"{side} {mib:.0f}" for side, mib in row["peak_memory_mib"].items())
        lines.append(
            f"  {kind:<9} x {cpu['median']:<6} CPU ({cpu['low']} to {cpu['high']}), x {wall['median']:<6} wall "
            f"({wall['low']} to {wall['high']}), aim {aim}; {row['per_second']} a second; peak MiB: {memory}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
