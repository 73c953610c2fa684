"""Code blocks of the Markdown pages: read, run as Python, or given to the parser of the script that they call."""

import argparse
import contextlib
import importlib
import inspect
import io
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "training/*.md", "space/*.md")
    for page in ROOT.glob(pattern)
)
BLOCK = re.compile(
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: path of the page in the repository.
        language: as the fence names it.
        line: of its first line of code in the page, from 1 upwards.
        code: without the fences.
        output: the ``text`` block right behind it, None if there is none.
        start: where the output begins in the page.
    """

    page: str
    language: str
    line: int
    code: str
    output: str | None
    start: int


def blocks(page: str, language: str) -> list[Block]:
    """The blocks of a page in one language, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            language,
            text.count("\n", 0, found.start()) + 2,
            found["code"],
            found["output"],
            found.start("output"),
        )
        for found in BLOCK.finditer(text)
        if found["language"] == language
    ]


NOT_RUN = {  # Python blocks: what they hold, and where they are run instead
    "gradio_client": "needs a running app; tests/space/test_space_endpoints.py runs it",
    "me/my-points": "needs the Hub; tests/training/test_push.py runs it against a stand-in",
    "org/base": "needs a base model of the Hub; tests/test_readme.py runs it with a tiny one",
}


def outputs_of(page: str, folder: Path) -> list[tuple[Block, str]]:
    """Run the Python blocks of a page one after the other, with shared names, in ``folder``; with what they print."""
    names: dict[str, Any] = {"__name__": "page"}
    with contextlib.chdir(folder):
        return [
            (block, printed(block, names))
            for block in blocks(page, "python")
            if not any(word in block.code for word in NOT_RUN)
        ]


def printed(block: Block, names: dict[str, Any]) -> str:
    """Run a Python block in the namespace ``names``; gives what it prints."""
    out = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.code, block.page, "exec")  # so that errors name the page's line
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, as lists of words."""
    joined = block.code.replace("\\\n", " ")
    lines = [part for line in joined.splitlines() for part in line.split(" && ")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def page_commands(page: str) -> list[list[str]]:
    """The commands of a page: of its shell blocks, and those in running text that begin as ours do."""
    text = (ROOT / page).read_text(encoding="utf-8")
    inline = re.findall(r"`((?:python|accelerate launch|pip install)\b[^`]*)`", BLOCK.sub("", text))
    inside = [words for block in blocks(page, "bash") for words in commands(block)]
    return inside + [shlex.split(code) for code in inline]


class Parsed(Exception):
    """A script's parser took all of its words."""


@contextlib.contextmanager
def _stopping_parser() -> Iterator[None]:
    """While open, ``argparse`` raises :class:`Parsed` where it would give its arguments to the script."""
    parse = argparse.ArgumentParser.parse_known_args

    def stop(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        _, unknown = parse(self, *args, **kwargs)
        if unknown:
            raise ValueError(f"{self.prog} does not know {unknown}")
        raise Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", stop):
        yield


def check_arguments(module: str, words: list[str]) -> None:
    """Give the words of a command to the parser of a script.

    Raises:
        ValueError: If the parser does not know a word.
        SystemExit: If it lacks one, or refuses a value.
    """
    script = importlib.import_module(module)
    with _stopping_parser(), mock.patch.object(sys, "argv", [module, *words]), contextlib.suppress(Parsed):
        script.main(words) if inspect.signature(script.main).parameters else script.main()
        raise ValueError(f"{module} parses no arguments")
