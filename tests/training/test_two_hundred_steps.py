"""A supervised training of 200 steps on a tiny random Qwen3-VL of the real architecture: it learns, it is pushed to the
stand-in of the Hub, and what is loaded back by its id is what was trained."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoProcessor

from tests.helpers.drawn import drawn_dataset
from tests.helpers.families import family_base
from tests.training.test_push import DOG, LOAD, ROOT, hub, run  # noqa: F401

STEPS = 200


def test_a_trained_qwen3_vl_comes_back_from_the_hub(hub: dict[str, str], tmp_path: Path) -> None:  # noqa: F811
    base = family_base("qwen3_vl", tmp_path / "base")
    data = drawn_dataset(tmp_path / "drawn", n=4, seed=0)
    options = {"base": base, "datasets": data, "output_dir": tmp_path / "run", "max_steps": STEPS, "use_cpu": True,
               "learning_rate": 3e-3, "per_device_train_batch_size": 1, "points_per_photo": 4, "num_keypoint_tokens": 2,
               "logging_steps": 10, "save_steps": STEPS, "share_image_prefix": True, "report_to": "none",
               "push_to_hub": "me/qwen", "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "sft_descriptor.py"), *flags], hub, tmp_path)
    state = json.loads((tmp_path / "run" / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert len(losses) == STEPS // 10 and np.mean(losses[-3:]) < 0.5 * losses[0], losses

    DOG.save(tmp_path / "dog.png")
    (tmp_path / "load.py").write_text(LOAD)
    remote = json.loads(run(["-P", "load.py", "me/qwen", "dog.png"], hub, tmp_path).splitlines()[-1])
    model, processor = (auto.from_pretrained(tmp_path / "run") for auto in (AutoModel, AutoProcessor))
    inputs = processor(images=[DOG], points=[[(0.3, 0.4)]])
    with torch.inference_mode():
        here = model.eval()(**inputs).logits[:, -1].flatten()
    torch.testing.assert_close(torch.tensor(remote), here, rtol=1e-5, atol=1e-5)
