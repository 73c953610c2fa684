"""A training script pushes its model to a (local stand-in of the) Hub, and it loads back by id without the package."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoProcessor

from tests.drawn import drawn_dataset
from tests.hub import running_hub
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
inputs = processor(images=[Image.open(sys.argv[2])], texts=[["the left ear"]])
with torch.inference_mode():
    print(json.dumps(model(**inputs).heatmap_logits.flatten().tolist()))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running stand-in; gives the environment that points at it."""
    with running_hub(tmp_path_factory.mktemp("home")) as environment:
        yield environment


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_script_pushes_and_the_model_loads_back_by_id(hub: dict[str, str], base: Path, tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    options = {"base": base, "datasets": data, "output_dir": tmp_path / "run", "max_steps": 1, "use_cpu": True,
               "report_to": "none", "push_to_hub": True, "hub_model_id": "me/points", "points_per_photo": 2,
               "save_strategy": "no", "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "sft_localizer.py"), *flags], hub, tmp_path)

    photo().save(tmp_path / "photo.png")
    (tmp_path / "load.py").write_text(LOAD)
    remote = torch.tensor(json.loads(run(["-P", "load.py", "me/points", "photo.png"], hub, tmp_path).splitlines()[-1]))
    model, processor = (
        AutoModel.from_pretrained(tmp_path / "run").eval(),
        AutoProcessor.from_pretrained(tmp_path / "run"),
    )
    with torch.inference_mode():
        here = model(**processor(images=[photo()], texts=[["the left ear"]])).heatmap_logits.flatten()
    torch.testing.assert_close(remote, here, rtol=1e-5, atol=1e-5)
