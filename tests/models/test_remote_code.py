"""What save_pretrained writes works without the package: a fresh process, another folder, trust_remote_code only."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForUniversalSegmentation,
    AutoProcessor,
    LlamaConfig,
)

from talkingpoints.inference import CHECKPOINTS
from tests.helpers.tiny import photo
from training.write_code import write_code

SCRIPT = """
import json, sys
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageTextToText, AutoModelForUniversalSegmentation
from transformers import AutoProcessor
folder, image, kind = sys.argv[1:]
image = Image.open(image)
if kind == "segmenter":
    model = AutoModelForUniversalSegmentation.from_pretrained(folder, trust_remote_code=True).eval().float()
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    assert "talkingpoints" not in sys.modules, "the package must not be there"
    with torch.inference_mode():
        result = model(**processor(images=[image], return_tensors="pt")).logits[:, :, ::8, ::8]
    print(json.dumps(result.flatten().tolist()))
    sys.exit()
auto = AutoModelForImageTextToText if kind == "image-text-to-text" else AutoModel
model = auto.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
assert "talkingpoints" not in sys.modules, "the package must not be there"
with torch.inference_mode():
    if kind == "localizer":
        result = model(**processor(images=image, text="the left ear")).heatmap_logits
    else:
        result = model(**processor(images=image, points=(0.3, 0.4))).logits[:, -1]
print(json.dumps(result.flatten().tolist()))
"""


KINDS = ["descriptor", "image-text-to-text", "localizer", "bundled descriptor", "bundled localizer",
         "bundled segmenter"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_process_without_the_package_gives_the_same(kind: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    folder = pair[1] if kind == "localizer" else pair[0]
    if kind.startswith("bundled "):
        kind = kind.removeprefix("bundled ")
        folder = shutil.copytree(CHECKPOINTS / kind, tmp_path / kind)
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
    torch.testing.assert_close(remote, _here(folder, kind).flatten(), rtol=1e-5, atol=1e-5)


def _here(folder: Path, kind: str) -> torch.Tensor:
    """What the package's own classes answer; none of them needs the trust flag."""
    with torch.inference_mode():
        if kind == "segmenter":
            model = AutoModelForUniversalSegmentation.from_pretrained(folder).eval().float()
            pixels = AutoImageProcessor.from_pretrained(folder)(images=[photo()], return_tensors="pt")
            return model(**pixels).logits[:, :, ::8, ::8]
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        processor = AutoProcessor.from_pretrained(folder)
        if kind == "localizer":
            return model(**processor(images=photo(), text="the left ear")).heatmap_logits
        return model(**processor(images=photo(), points=(0.3, 0.4))).logits[:, -1]


@pytest.mark.parametrize("kind", ["descriptor", "localizer", "segmenter"])
def test_bundled_folders_hold_the_code_of_the_package(kind: str, tmp_path: Path) -> None:
    """Else: python -m training.write_code talkingpoints/checkpoints/*"""
    (tmp_path / kind).mkdir()
    for file in (CHECKPOINTS / kind).glob("*.json"):
        shutil.copy(file, tmp_path / kind)
    before = {file.name: file.read_bytes() for file in (tmp_path / kind).glob("*.json")}
    written = {file.name: file.read_bytes() for file in write_code(tmp_path / kind)}
    assert written == {file.name: file.read_bytes() for file in (CHECKPOINTS / kind).glob("*.py")}
    assert all((tmp_path / kind / name).read_bytes() == content for name, content in before.items())


def test_folders_of_other_models_get_no_code(tmp_path: Path) -> None:
    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a 'llama' model"):
        write_code(tmp_path)
