"""The one command for one's own points, word for word: a folder in, a model on (a stand-in of) the Hub out."""

import json
import urllib.request
from pathlib import Path

from tests.data.test_point_folders import good_rows, write_folder
from tests.training.test_push import ROOT, hub, run  # noqa: F401


def test_the_one_command(hub: dict[str, str], base: Path, tmp_path: Path) -> None:  # noqa: F811
    write_folder(tmp_path / "my_points", good_rows(5), photos=5)
    (tmp_path / "training").symlink_to(ROOT / "training")
    command = f"training/sft_descriptor.py --dataset my_points/ --base {base} --push_to_hub me/my-points"
    run(["-m", "accelerate.commands.launch", *command.split()], hub, tmp_path)
    with urllib.request.urlopen(f"{hub['HF_ENDPOINT']}/me/my-points/resolve/main/config.json", timeout=20) as answer:
        assert json.load(answer)["architectures"] == ["PointDescriptor"]
    state = json.loads(next((tmp_path / "trainer_output").glob("checkpoint-*/trainer_state.json")).read_text())
    assert state["global_step"] == 10  # 4 photos, 20 times, eight a step: derived
