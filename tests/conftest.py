"""Settings and fixtures of the whole suite: no network, two threads, real photos where they lie."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real photos; the test is skipped where there is none."""
    folder = Path(os.environ.get("TALKINGPOINTS_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real photos at {folder}; set TALKINGPOINTS_DATA")
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained base model."""
    from tests.helpers.tiny import tiny_base

    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tiny random descriptor and localizer."""
    from tests.helpers.tiny import tiny_pair

    return tiny_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptions of five tokens: a random model never ends one, and most tests do not read it."""
    from talkingpoints import encoded_photo, photo_batches

    for module in (encoded_photo, photo_batches):
        monkeypatch.setattr(module, "MAX_NEW_TOKENS", 5)
