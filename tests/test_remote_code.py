"""What save_pretrained writes works without the package: a fresh process, another folder, trust_remote_code only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoProcessor

from tests.tiny import photo

SCRIPT = """
import json, sys
import torch
from PIL import Image
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
folder, image, kind = sys.argv[1:]
image = [Image.open(image)]
auto = AutoModelForImageTextToText if kind == "image-text-to-text" else AutoModel
model = auto.from_pretrained(folder, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
assert "talkingpoints" not in sys.modules, "the package must not be there"
with torch.inference_mode():
    if kind == "localizer":
        result = model(**processor(images=image, text=[["the left ear"]])).heatmap_logits
    else:
        result = model(**processor(images=image, points=[[(0.3, 0.4)]])).logits[:, -1]
print(json.dumps(result.flatten().tolist()))
"""


@pytest.mark.parametrize("kind", ["descriptor", "image-text-to-text", "localizer"])
def test_a_fresh_process_without_the_package_gives_the_same(kind: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    folder = pair[1] if kind == "localizer" else pair[0]
    photo().save(tmp_path / "photo.png")
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    # -P and another folder: neither the script's folder nor the current one puts the package on the path
    done = subprocess.run(
        [sys.executable, "-P", "script.py", str(folder), "photo.png", kind],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    remote = torch.tensor(json.loads(done.stdout.splitlines()[-1]))

    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    with torch.inference_mode():
        if kind == "localizer":
            here = model(**processor(images=[photo()], text=[["the left ear"]])).heatmap_logits
        else:
            here = model(**processor(images=[photo()], points=[[(0.3, 0.4)]])).logits[:, -1]
    torch.testing.assert_close(remote, here.flatten(), rtol=1e-5, atol=1e-5)
