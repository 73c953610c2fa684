"""Other versions of transformers: the bundled pair answers the same, and checkpoints go both ways.

Needs a folder with each version of pyproject's list, which .ci/run makes; skipped without TALKINGPOINTS_VERSIONS.
By hand: ``pip install --no-deps --target DIR/5.18.0 transformers==5.18.0`` and ``TALKINGPOINTS_VERSIONS=DIR``.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from talkingpoints import TalkingPoints
from tests.helpers.tiny import photo
from tests.helpers.versions import PROJECT, all_versions, installed

ROOT = PROJECT.parent
POINTS_PX = [(10, 20), (50, 30), (90, 60)]
TEXTS = ["the dog's left ear", "A cat in the centre of the photo. Its tail, far right, top of the cat."]

ELSEWHERE = """
import json, sys
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoModel, AutoProcessor

version, descriptor, localizer, image, root, out = sys.argv[1:]
assert transformers.__version__ == version, transformers.__file__
torch.set_num_threads(1)
image = Image.open(image)

answers = {}
for name, folder, words in (
    ("descriptor", descriptor, {"points": [[(0.3, 0.4)]]}),
    ("localizer", localizer, {"texts": [["the left ear"]]}),
):
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    with torch.inference_mode():
        output = model(**processor(images=[image], **words))
    answers[name] = (output.logits[:, -1] if name == "descriptor" else output.heatmap_logits).flatten().tolist()
assert "talkingpoints" not in sys.modules, "so far the remote code has answered"

sys.path.insert(0, root)
from talkingpoints import TalkingPoints
from tests.models.test_versions import ask

answers["bundled"] = ask(TalkingPoints.from_pretrained(), image)
for name, folder in (("descriptor", descriptor), ("localizer", localizer)):
    for auto in (AutoModel, AutoProcessor):
        auto.from_pretrained(folder).save_pretrained(Path(out) / name)
print(json.dumps(answers))
"""


def ask(tp: TalkingPoints, image: Image.Image) -> dict[str, list]:
    """What a pair says of a few points, and the numbers of what it finds for a few texts."""
    described = [d.text for d in tp.describe(image, POINTS_PX)]
    described += ["".join(tp.stream(image, POINTS_PX[0])).strip(), tp.describe(image, POINTS_PX[0]).text]
    found = tp.localize(image, TEXTS)
    return {"texts": described, "found": [[f.x, f.y, f.confidence, f.presence] for f in found]}


def answer(folder: Path, kind: str) -> torch.Tensor:
    """Numbers that a saved model of ours gives here."""
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    words = {"points": [[(0.3, 0.4)]]} if kind == "descriptor" else {"texts": [["the left ear"]]}
    with torch.inference_mode():
        output = model(**processor(images=[photo()], **words))
    return (output.logits[:, -1] if kind == "descriptor" else output.heatmap_logits).flatten()


@pytest.mark.parametrize("version", [version for version in all_versions() if version != installed()])
def test_another_version_answers_the_same_and_checkpoints_go_both_ways(
    version: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    if "TALKINGPOINTS_VERSIONS" not in os.environ:
        pytest.skip(f"no transformers {version}: TALKINGPOINTS_VERSIONS names no folder of versions")
    folder = Path(os.environ["TALKINGPOINTS_VERSIONS"]) / version
    assert (folder / "transformers").is_dir(), f"{folder} holds no transformers"
    photo().save(tmp_path / "photo.png")
    (tmp_path / "script.py").write_text(ELSEWHERE)
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(folder),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    arguments = [version, *pair, "photo.png", ROOT, tmp_path]
    done = subprocess.run(
        [sys.executable, "-P", "script.py", *map(str, arguments)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])

    here = ask(TalkingPoints.from_pretrained(), Image.open(tmp_path / "photo.png"))
    assert there["bundled"]["texts"] == here["texts"]
    torch.testing.assert_close(torch.tensor(there["bundled"]["found"]), torch.tensor(here["found"]))
    for kind, saved_here in zip(("descriptor", "localizer"), pair, strict=True):
        expected = answer(saved_here, kind)
        torch.testing.assert_close(torch.tensor(there[kind]), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(answer(tmp_path / kind, kind), expected, rtol=1e-5, atol=1e-5)


def test_the_lower_bound_and_the_pin_are_among_the_tested() -> None:
    dependencies = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    bound = next(re.match(r"transformers>=([\d.]+),", line) for line in dependencies if line.startswith("transformers"))
    assert all_versions()[0] == f"{bound[1]}.0", "the oldest tested version is the lower bound"
    pin = re.search(r"^transformers==(.*)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pin[1] in all_versions()
