"""The versions of transformers that are tested besides the installed one, a line each.

    python -m tests.helpers.versions

The list lies in pyproject.toml; .ci/run puts each of these versions into a folder for test_versions.py.
"""

import importlib.metadata
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def all_versions() -> list[str]:
    """All tested versions, the oldest first."""
    return tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["talkingpoints"]["tested-transformers"]


def installed() -> str:
    """The version that an ``import`` finds."""
    return importlib.metadata.version("transformers")


if __name__ == "__main__":
    print("\n".join(version for version in all_versions() if version != installed()))
