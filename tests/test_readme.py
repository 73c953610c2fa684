"""The pages run as they stand: Python blocks print what is shown, and commands fit the scripts that they call."""

import importlib.util
import re
import runpy
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from accelerate.commands.launch import launch_command_parser

import app
from talkingpoints.commands import cli
from talkingpoints.inference import CHECKPOINTS
from tests.helpers import snippets
from tests.helpers.snippets import NOT_RUN, PAGES, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ELSEWHERE = {"docs/own_points.md": "test_own_points.py", "docs/api.md": "docstrings; test_the_api_reference_is_current"}
PYTHON_PAGES = [page for page in PAGES if page not in ELSEWHERE and snippets.blocks(page, "python")]
COMMANDS = [(page, words) for page in PAGES for words in snippets.page_commands(page)]
OUTSIDE = {  # commands of other programs, which are not run here, and why
    "git": "needs the network",
    "cd": "goes with git",
    "pip": "needs the network; files and extras are checked below",
    "hf": "needs the Hub",
    "export": "sets a variable",
    "ruff": "CI runs it",
    "mypy": "CI runs it",
    "jupyter": "opens a browser; test_notebook.py runs the cells",
}
needs_models = pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no bundled checkpoints in this tree")


@needs_models
@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_blocks_print_what_the_page_shows(page: str, tmp_path: Path) -> None:
    for block, output in snippets.outputs_of(page, tmp_path):
        if block.output is not None:
            assert output == block.output, f"{page}, line {block.line}: run `python docs/make_outputs.py {page}`"


def test_the_block_about_bases_runs_with_a_tiny_one(base: Path) -> None:
    (block,) = [block for block in snippets.blocks("docs/other_bases.md", "python") if "org/base" in block.code]
    names: dict[str, Any] = {}
    snippets.printed(replace(block, code=block.code.replace("org/base", str(base))), names)
    assert [names[name].config.model_type for name in ("descriptor", "localizer")] == [
        "point_descriptor",
        "point_localizer",
    ]


@pytest.mark.parametrize("page, words", COMMANDS, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in COMMANDS])
def test_commands_fit_the_scripts_that_they_call(page: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check(words)


def check(words: list[str]) -> None:
    """Check a command word for word against the parser of what it calls."""
    match words:
        case ["python", "-m", "pytest", *_]:
            assert importlib.util.find_spec("pytest")
        case ["python", "-m", module]:
            assert importlib.util.find_spec(module), f"there is no module {module}"
        case ["python", "-m", module, *rest]:
            snippets.check_arguments(module, rest)
        case ["python", "app.py", *rest]:
            app.parse_arguments(rest)
        case ["python", file, *_]:
            assert (ROOT / file).is_file(), f"there is no file {file}"
        case ["accelerate", "launch", *rest]:
            launch = launch_command_parser().parse_args(rest)
            for file in filter(None, [launch.config_file]):
                assert (ROOT / file).is_file(), f"there is no file {file}"
            module = launch.training_script.removesuffix(".py").replace("/", ".")
            assert importlib.util.find_spec(module), f"there is no module {module}"
            if launch.training_script_args:
                snippets.check_arguments(module, launch.training_script_args)
        case ["talkingpoints", *rest]:
            commands = typer.main.get_command(cli.app).commands
            if rest[0] not in ("COMMAND", "--install-completion"):
                commands[rest[0]].make_context(rest[0], rest[1:])  # raises for what it does not know
        case ["pip", "install", *rest]:
            check_install(rest)
        case _:
            assert words[0] in OUTSIDE, f"no test knows the command {words[0]}"


def check_install(words: list[str]) -> None:
    """Files of requirements exist, and so do the extras of our own package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for before, word in zip(["", *words], words, strict=False):
        if before == "-r":
            assert (ROOT / word).is_file(), f"there is no file {word}"
        if extra := re.search(r"\[(.*)\]", word):
            assert set(extra[1].split(",")) <= set(extras), f"there is no extra {extra[1]}"


def test_what_is_not_run_still_occurs_and_every_language_is_known() -> None:
    texts = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    assert all(word in texts for word in NOT_RUN)
    assert set(re.findall(r"^```(\w+)$", texts, re.MULTILINE)) == {"bash", "bibtex", "csv", "python", "text"}


def test_the_api_reference_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_api.py"))["page"]
    assert page() == (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), "run `python docs/make_api.py`"


def test_ci_runs_the_command_that_readme_gives() -> None:
    command = "python -m pytest -q"
    assert command in README
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_file_that_a_page_names_exists() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), f"{page} links to {link}"
    tree = re.search(r"## The tree\n\n```\n(.*?)```", README, re.DOTALL)[1]
    for name in re.findall(r"\b\w+\.py\b", tree):
        assert list(ROOT.rglob(name)), f"README names {name}, which does not exist"


def test_anchors_exist() -> None:
    for page in PAGES:
        for link, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            if not link.startswith("http"):
                target = (ROOT / page).parent / link if link else ROOT / page
                headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{page} links to {link}#{anchor}"


def test_the_readme_is_short() -> None:
    assert 120 <= len(README.splitlines()) <= 180


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/") and page != "docs/api.md"])
def test_each_page_opens_with_three_key_points(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").split("\n\n")
    assert lines[0].startswith("# ") and len(re.findall(r"^- ", lines[1], re.MULTILINE)) == 3, page
