"""Recipes: stages in order, each once, and the committed ones fit the scripts."""

import importlib
from pathlib import Path

import pytest
import yaml

from tests.helpers.drawn import drawn_dataset
from training.bundled import recipe
from training.sft.arguments import parse_arguments

RECIPES = sorted((recipe.CONFIGS.parent / "recipes").glob("*.yaml"))

TINY = {
    "common": {"datasets": ["{DATA}/drawn"]},
    "stages": {
        "vision": {
            "script": "pretrain_vision",
            "flags": {"base": "{base}", "max_steps": 1, "use_cpu": True, "report_to": "none", "save_strategy": "no"},
        },
        "base": {
            "script": "build_base",
            "flags": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
                      "num_key_value_heads": 1, "image_size": 32, "vision_hidden_size": 16, "vocab_size": 300,
                      "texts": 64},
        },
    },
}  # fmt: skip


def write(path: Path, content: dict) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def test_stages_run_in_order_and_once(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    drawn_dataset(tmp_path / "drawn", n=2)
    path = write(tmp_path / "tiny.yaml", TINY)
    arguments = [str(path), "--data", str(tmp_path), "--output", str(tmp_path / "runs")]
    assert recipe.main(arguments) == ["base", "vision"]
    assert (tmp_path / "runs" / "vision" / "model.safetensors").is_file()
    assert recipe.main(arguments) == []
    TINY["stages"]["vision"]["flags"]["max_steps"] = 2
    write(path, TINY)
    with pytest.raises(RuntimeError, match="vision was done with other settings"):
        recipe.main(arguments)
    (tmp_path / "runs" / "vision" / "stage.json").unlink()
    assert recipe.main([*arguments, "--stages", "vision"]) == ["vision"]
    failing = {"stages": {"base": {"script": "build_base", "flags": {"seed": 1}}}}
    with pytest.raises(RuntimeError, match="base failed"):
        recipe.main([str(write(path, failing)), "--data", str(tmp_path), "--output", str(tmp_path / "other")])
    assert "required: --datasets" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"stage": {}}, "unknown keys"),
        ({"stages": {"a": {"config": "base.yaml"}}}, "needs script"),
        ({"stages": {"a": {"script": "build_base", "config": "none.yaml"}}}, "no config none.yaml"),
        ({"stages": {"a": {"script": "sft_localizer", "flags": {"base": "{b}"}}}}, "no stage b"),
    ],
)
def test_wrong_recipes(tmp_path: Path, content: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe.read_recipe(write(tmp_path / "wrong.yaml", content))


def test_stages_that_need_each_other() -> None:
    stages = {"a": recipe.Stage("x", flags={"base": "{b}"}), "b": recipe.Stage("x", flags={"base": "{a}"})}
    with pytest.raises(ValueError, match="a -> b -> a"):
        recipe.in_order(stages, ["a"])
    with pytest.raises(ValueError, match="no stage 'c'"):
        recipe.in_order(stages, ["c"])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_committed_recipes_fit_the_scripts(path: Path, tmp_path: Path) -> None:
    """Every stage's command line is one that its script accepts."""
    stages = recipe.read_recipe(path)
    for name in recipe.in_order(stages, list(stages)):
        stage = stages[name]
        words = recipe.command(name, stage, tmp_path, tmp_path, ["python"])
        script = importlib.import_module(f"training.{stage.script}")
        parse_arguments(script.ARGUMENTS, words[3:])
