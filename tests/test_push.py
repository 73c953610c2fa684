"""A training script pushes its model to a (local stand-in of the) Hub, and it loads back by id without the package."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoProcessor

from tests.drawn import drawn_dataset
from tests.tiny import photo

ROOT = Path(__file__).resolve().parent.parent

LOAD = """
import json, sys
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "talkingpoints" not in sys.modules
inputs = processor(images=[Image.open(sys.argv[2])], **json.loads(sys.argv[3]))
with torch.inference_mode():
    print(json.dumps(model(**inputs)[sys.argv[4]].flatten().tolist()))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running stand-in; gives the environment that points at it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tests.hub", str(port)], cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    for _ in range(150):
        try:
            urllib.request.urlopen(f"{address}/api/whoami-v2", timeout=2)
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    else:
        server.kill()
        raise RuntimeError("the stand-in for the Hub did not start")
    home = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    yield {
        **kept,
        "HF_ENDPOINT": address,
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_anything",
        "HF_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    server.terminate()
    server.wait(10)


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def outputs_equal(hub: dict[str, str], folder: Path, name: str, asked: dict, output: str) -> None:
    """What was pushed as ``name`` answers, without the package, as what lies in ``folder / run``."""
    photo().save(folder / "photo.png")
    (folder / "load.py").write_text(LOAD)
    printed = run(["-P", "load.py", name, "photo.png", json.dumps(asked), output], hub, folder)
    remote = torch.tensor(json.loads(printed.splitlines()[-1]))
    model, processor = (AutoModel.from_pretrained(folder / "run").eval(), AutoProcessor.from_pretrained(folder / "run"))
    with torch.inference_mode():
        here = model(**processor(images=[photo()], **asked))[output].flatten()
    torch.testing.assert_close(remote, here, rtol=1e-5, atol=1e-5)


def test_a_script_pushes_and_the_model_loads_back_by_id(hub: dict[str, str], base: Path, tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    options = {"base": base, "datasets": data, "output_dir": tmp_path / "run", "max_steps": 1, "use_cpu": True,
               "report_to": "none", "push_to_hub": True, "hub_model_id": "me/points", "points_per_photo": 2,
               "save_strategy": "no", "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "sft_localizer.py"), *flags], hub, tmp_path)
    outputs_equal(hub, tmp_path, "me/points", {"texts": [["the left ear"]]}, "heatmap_logits")


def test_grpo_pushes_the_merged_model(hub: dict[str, str], pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    options = {"base": pair[0], "localizer": pair[1], "datasets": data, "output_dir": tmp_path / "run", "max_steps": 1,
               "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 4, "meter_photos": 0,
               "bf16": False, "gradient_checkpointing": False, "use_cpu": True, "report_to": "none", "lora_r": 2,
               "push_to_hub": True, "hub_model_id": "me/grpo", "save_strategy": "no", "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "grpo_descriptor.py"), *flags], hub, tmp_path)
    outputs_equal(hub, tmp_path, "me/grpo", {"points": [[[0.3, 0.4]]]}, "logits")
