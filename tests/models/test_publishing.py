"""What may be published: the files of an allow-list, without tokens and folders of this machine."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from talkingpoints.publishing import check_files, model_files

TOKEN = "hf_" + "aB3" * 11


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", f'{{"x": "{TOKEN}"}}', "config.json holds a token"),
        ("README.md", "sk-" + "a1" * 20, "README.md holds a token"),
        ("a.py", "# of-the-environment-1234", "a.py holds a token"),
        ("a.py", "# given-to-the-call-99", "a.py holds a token"),
        ("tokenizer_config.json", '{"name_or_path": "/home/me/base"}', "names a folder of this machine, /home/me/"),
        ("README.md", "C:\\Users\\me\\runs", r"names a folder of this machine, C:"),
        ("LICENSE", "/Users/me/x", "names a folder of this machine"),
    ],
)
def test_files_with_secrets_or_folders_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, message: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "of-the-environment-1234")
    (tmp_path / name).write_text(content)
    for file in (tmp_path / name, content.encode()):
        with pytest.raises(ValueError, match=message) as refused:
            check_files({name: file}, token="given-to-the-call-99")
        assert TOKEN not in str(refused.value)
    check_files({"a.md": b"See /home, https://huggingface.co/home/x and sk-learn."}, token=None)


def test_the_working_folder_is_found_in_weights_and_tables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "somewhere"
    work.mkdir()
    monkeypatch.chdir(work)
    save_file({"a": np.zeros(2)}, tmp_path / "model.safetensors", metadata={"from": f"{work}/base"})
    table = pa.table({"image": [{"bytes": b"x", "path": f"{work}/1.png"}], "x": [1.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    for name in ("model.safetensors", "a.parquet"):
        with pytest.raises(ValueError, match=f"{name} names a folder of this machine"):
            check_files({name: tmp_path / name})
    pq.write_table(pa.table({"image": [{"bytes": b"x", "path": "1.png"}], "text": ["a/b"]}), tmp_path / "a.parquet")
    save_file({"a": np.zeros(2)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    check_files({name: tmp_path / name for name in ("model.safetensors", "a.parquet")})


def test_only_files_of_a_model_are_on_the_list(tmp_path: Path) -> None:
    kept = ["config.json", "model.safetensors", "tokenizer.json", "modeling_x.py", "chat_template.jinja", "README.md"]
    left = ["training_args.bin", "optimizer.pt", "trainer_state.json", "all_results.json", "eval_results.json",
            "run.log", "rng_state.pth", "runs/events.out", "checkpoint-1/config.json", ".env",
            "work/answers.jsonl"]  # fmt: skip
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert set(model_files(tmp_path)) == set(kept)
