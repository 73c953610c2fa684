"""Run several training scripts one after the other, as a yaml file says: one command from nothing to a trained model.

    python -m training.bundled.recipe training/bundled/recipes/bundled.yaml --data DIR --output runs/bundled
    python -m training.bundled.recipe training/bundled/recipes/listener_a.yaml --data DIR --output runs/a --stages facts

A recipe is a list of stages. Each names its script, the yaml files of its settings, and further flags; "{NAME}" in a
flag stands for the output folder of another stage, which is run before it, "{DATA}" for the folder of the datasets and
"{CHECKPOINTS}" for that of the bundled models, "{TRAINING}" for the one of this file.
A stage that is done is not run again, and one that was cut goes on where its script can.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from talkingpoints.inference import CHECKPOINTS

CONFIGS = Path(__file__).resolve().parent / "configs"
RESUMING = ("pretrain_facts", "sft_facts", "sft_localizer", "sft_descriptor", "grpo_descriptor", "train_segmenter")
"""Scripts with ``--resume``."""
_UNTRAINED = ("build_panoptic_masks", "build_pix2cap", "convert_efficientnet_lite", "take_tower", "average_weights")
UNTHREADED = ("build_base", "renew_words", *_UNTRAINED)
"""Scripts without ``--threads``."""
UNCOMMON = ("evaluate", "train_segmenter", *_UNTRAINED)
"""Scripts that train on no points, and do not get a recipe's common flags."""

_FOLDERS = ("DATA", "CHECKPOINTS", "TRAINING")
_DONE = "stage.json"
_STAGE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Stage:
    """One script's run.

    Attributes:
        script: module of ``training``.
        configs: yaml files, relative to training/bundled/configs; the later overrides the earlier.
        flags: further flags; a value is a string, a number or a list of them.
    """

    script: str
    configs: tuple[str, ...] = ()
    flags: dict[str, Any] = field(default_factory=dict)

    def needs(self) -> list[str]:
        """Names of the stages whose output the flags name."""
        words = [str(value) for flag in self.flags.values() for value in _listed(flag)]
        return [name for word in words for name in _STAGE.findall(word) if name not in _FOLDERS]


def read_recipe(path: Path) -> dict[str, Stage]:
    """Read a recipe, and those that it ``include``s before it.

    Keys: ``include`` (other recipes beside it), ``common`` (flags of all of its training stages) and ``stages``, by
    name ``{script, config, flags}``.

    Raises:
        ValueError: If a key is unknown, a config is missing, or a flag names no stage.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    unknown = set(content) - {"include", "common", "stages"}
    if unknown:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    stages: dict[str, Stage] = {}
    for other in content.get("include", []):
        stages |= read_recipe(path.parent / other)
    common = content.get("common", {})
    for name, values in content.get("stages", {}).items():
        if not set(values) <= {"script", "config", "flags"} or "script" not in values:
            raise ValueError(f"{path.name}, stage {name}: needs script, and may have config and flags")
        configs = tuple(_listed(values.get("config", [])))
        missing = [config for config in configs if not (CONFIGS / config).is_file()]
        if missing:
            raise ValueError(f"{path.name}, stage {name}: no config {', '.join(missing)}")
        shared = common if values["script"] not in UNCOMMON else {}
        stages[name] = Stage(values["script"], configs, {**shared, **values.get("flags", {})})
    for name, stage in stages.items():
        strange = set(stage.needs()) - set(stages)
        if strange:
            raise ValueError(f"{path.name}, stage {name}: no stage {', '.join(sorted(strange))}")
    return stages


def in_order(stages: Mapping[str, Stage], wanted: Sequence[str]) -> list[str]:
    """Wanted stages and those that they need, each after what it needs.

    Raises:
        ValueError: If a name is not a stage, or stages need each other.
    """
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name not in stages:
            raise ValueError(f"no stage {name!r}; there are {', '.join(stages)}")
        if name in path:
            raise ValueError(f"stages need each other: {' -> '.join((*path, name))}")
        if name not in order:
            for needed in stages[name].needs():
                visit(needed, (*path, name))
            order.append(name)

    for name in wanted:
        visit(name, ())
    return order


def command(name: str, stage: Stage, data: Path, output: Path, launch: Sequence[str]) -> list[str]:
    """The command line of a stage."""
    folders = {"DATA": data, "CHECKPOINTS": CHECKPOINTS, "TRAINING": CONFIGS.parent}

    def filled(value: Any) -> str:
        return _STAGE.sub(lambda m: str(folders.get(m.group(1), output / m.group(1))), str(value))

    words = [*launch, "-m", f"training.{stage.script}"]
    if stage.configs:
        words += ["--config", *(str(CONFIGS / config) for config in stage.configs)]
    for flag, value in stage.flags.items():
        words += [f"--{flag}", *(filled(one) for one in _listed(value))]
    target = output / name
    if stage.script == "evaluate":
        words += ["--output", str(target / "report.json"), "--predictions", str(target / "predictions.npz")]
    else:
        words += ["--output_dir", str(target)]
    return [*words, "--resume"] if stage.script in RESUMING else words


def main(argv: Sequence[str] | None = None) -> list[str]:
    """Run from the command line; returns the stages that were run.

    Raises:
        ValueError: If the recipe cannot be read, or a stage is unknown.
        RuntimeError: If a stage was finished with other settings, or its script failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.bundled.recipe", description="Run the stages of a recipe."
    )
    parser.add_argument("recipe", type=Path, help="yaml file, see training/bundled/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--output", type=Path, required=True, help="folder of the stages' folders")
    parser.add_argument("--stages", nargs="+", help="only these, and what they need (default: all)")
    parser.add_argument("--launch", default=sys.executable, help='for example "accelerate launch" (default: python)')
    parser.add_argument("--threads", type=int, help="torch threads of each training (default: as its config says)")
    arguments = parser.parse_args(argv)
    stages = read_recipe(arguments.recipe)
    run = []
    for name in in_order(stages, arguments.stages or list(stages)):
        words = command(name, stages[name], arguments.data, arguments.output, shlex.split(arguments.launch))
        settings = words[len(shlex.split(arguments.launch)) :]
        done = arguments.output / name / _DONE
        if done.is_file():
            if json.loads(done.read_text(encoding="utf-8")) != settings:
                raise RuntimeError(f"{name} was done with other settings: remove {done.parent}, or take another output")
            continue
        if arguments.threads and stages[name].script not in UNTHREADED:
            words += ["--threads", str(arguments.threads)]  # of the machine, not of the result
        print(f"== {name}: {shlex.join(words)}", flush=True)
        if subprocess.run(words, check=False).returncode != 0:
            raise RuntimeError(f"{name} failed")
        done.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        run.append(name)
    return run


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    main()
