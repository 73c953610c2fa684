"""info: versions, devices and models, as an issue report needs them; and the parts that only a checkout has."""

import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

import talkingpoints
from talkingpoints.inference import CHECKPOINTS

PACKAGES = (
    "torch", "transformers", "huggingface-hub", "tokenizers", "safetensors", "numpy", "pillow", "scipy", "typer",
    "accelerate", "datasets", "peft", "trl", "bitsandbytes", "gradio", "mcp",
)  # fmt: skip
CHECKOUT = Path(talkingpoints.__file__).resolve().parents[1]
REPOSITORY = "a checkout of the repository (git clone), which has app.py, space/ and training/"


def info() -> dict[str, Any]:
    """Versions, devices and the bundled models; None for packages that are not installed."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "talkingpoints": talkingpoints.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": _devices(),
        "packages": versions,
        "models": {folder.name: _model(folder) for folder in sorted(CHECKPOINTS.iterdir()) if folder.is_dir()},
        "offline": os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""),
    }


def _devices() -> list[str]:
    found = ["cpu"]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append(f"cuda:{number} {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return found + (["mps"] if torch.backends.mps.is_available() else [])


def _model(folder: Path) -> dict[str, Any]:
    """Type and number of parameters, from the files' headers."""
    config = folder / "config.json"
    parameters = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            parameters += sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type") if config.is_file() else None
    return {"type": kind, "parameters": parameters}


def info_lines(found: dict[str, Any]) -> list[str]:
    """For people: a line each."""
    lines = [f"talkingpoints {found['talkingpoints']}, Python {found['python']}, {found['platform']}"]
    lines.append(f"devices: {'; '.join(found['devices'])}; {found['cpus']} CPUs, {found['threads']} threads")
    lines += [f"  {name} {version or '-'}" for name, version in found["packages"].items()]
    lines += [
        f"bundled {name}: {one['type']}, {one['parameters']:,} parameters" for name, one in found["models"].items()
    ]
    return lines


def run_script(module: str, arguments: Sequence[str]) -> Any:
    """Call ``main(arguments)`` of a training script.

    Raises:
        ImportError: If there is no checkout, or a package of the extra ``training`` is missing.
    """
    if importlib.util.find_spec("training") is None:
        if not (CHECKOUT / "training").is_dir():
            raise ImportError(f"{module} needs {REPOSITORY}")
        sys.path.insert(0, str(CHECKOUT))
    return importlib.import_module(module).main(list(arguments))


def run_app(arguments: Sequence[str]) -> None:
    """Start the app; returns when it ends.

    Raises:
        ImportError: If its code is not at hand.
    """
    script = CHECKOUT / "app.py"
    if not script.is_file() or not (CHECKOUT / "space").is_dir():
        raise ImportError(f"the app needs {REPOSITORY}, and pip install 'talkingpoints[space]'")
    sys.path.insert(0, str(CHECKOUT))
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")
