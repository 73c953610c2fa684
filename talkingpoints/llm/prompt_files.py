"""Prompts in plain files, with a version that follows from their words."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from string import Template


@dataclass(frozen=True)
class Prompt:
    """A prompt with ``$names`` to fill in (``$$`` for a dollar).

    Args:
        name: of the file, without its suffix.
        template: its words.
    """

    name: str
    template: str

    @classmethod
    def read(cls, path: Path) -> "Prompt":
        """A file in UTF-8.

        Raises:
            ValueError: the file is missing, empty, no UTF-8, or holds a dollar that names nothing.
        """
        try:
            words = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read the prompt {path}: {error}") from error
        if not words:
            raise ValueError(f"the prompt {path} is empty")
        if not Template(words).is_valid():
            raise ValueError(f"the prompt {path} holds a $ that names nothing; write $$ for a dollar")
        return cls(path.stem, words)

    @property
    def version(self) -> str:
        """Name and content, for example "merge@1f0c9a4e": other words are another version."""
        return f"{self.name}@{hashlib.sha256(self.template.encode()).hexdigest()[:8]}"

    def filled(self, **values: str) -> str:
        """The prompt with its names filled in.

        Raises:
            ValueError: the prompt has a name that is not among the values.
        """
        try:
            return Template(self.template).substitute(values)
        except KeyError as error:
            raise ValueError(f"the prompt {self.name!r} has ${error.args[0]}; there are: {sorted(values)}") from None
