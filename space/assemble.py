"""Writes the folder of a Hugging Face Space: the app, the package with its bundled models, and what they need.

    python -m space.assemble ../talking-points-space
    python -m space.assemble ../talking-points-space --repo_id me/talking-points

Takes a second, and no network but with ``--repo_id``, which makes the Space on the Hub, if it is missing, and pushes
the folder to it. The Space's card becomes the folder's README.md, and requirements.txt holds what the app and its MCP
server need, and nothing of training.
"""

import argparse
import re
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

from talkingpoints.publishing import Target, publish

ROOT = Path(__file__).resolve().parent.parent
TAKEN = ("app.py", "LICENSE", "space", "talkingpoints")
EXTRAS = ("space", "mcp")


def assemble(folder: Path) -> Path:
    """Write the Space.

    Args:
        folder: made if missing; must be empty but for hidden files, such as those of git.

    Returns:
        The folder.

    Raises:
        ValueError: the folder holds something.
    """
    if folder.exists() and any(not there.name.startswith(".") for there in folder.iterdir()):
        raise ValueError(f"{folder} must be empty or not there yet")
    folder.mkdir(parents=True, exist_ok=True)
    for name in TAKEN:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "screenshot.png"))
        else:
            shutil.copy2(source, folder / name)
    shutil.move(folder / "space" / "README.md", folder / "README.md")
    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in requirements()), encoding="utf-8")
    return folder


def requirements() -> list[str]:
    """The tested versions of what pyproject.toml says that the app needs, such as ``gradio==6.31.0``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    pins = {}
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if "==" in line:
                pins[line.partition("==")[0].lower()] = line
    return [pins[re.split(r"[<>=]", line)[0]] for line in wanted]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repo_id", help="owner/name of a Space to push to; log in first (hf auth login)")
    options = parser.parse_args(arguments)
    print(assemble(options.folder))
    if options.repo_id is not None:
        files = {path.relative_to(options.folder).as_posix(): path for path in options.folder.rglob("*")}
        shown = {name: path for name, path in files.items() if path.is_file() and not name.startswith(".")}
        publish(shown, Target(options.repo_id, "space"), "The app")


if __name__ == "__main__":
    main()
