"""Write docs/api.md, the API reference, from the docstrings of every name in ``talkingpoints.__all__``.

    python docs/make_api.py

griffe reads signatures (with overloads) and docstrings without importing the package.
"""

import logging
import re
import textwrap
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
HEAD = """# API reference

- **`TalkingPoints` is all that most programs need.** The other classes are returned by it, or used for training.
- **Points are (x, y) in pixels of the photo as a person sees it.** Sizes are (height, width).
- **This page is generated** by `python docs/make_api.py` from the docstrings of `talkingpoints.__all__`.

"""
FIRST = ("TalkingPoints", "Description", "RegionDescription", "Localization", "RoundTrip", "Point")
WIDTH = 100


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as it should be."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # several names share a line of a docstring
    package = griffe.load("talkingpoints", search_paths=[ROOT], docstring_parser="google")
    public = [str(name).strip("'\"") for name in package["__all__"].value.elements]
    names = [*FIRST, *sorted(set(public) - set(FIRST), key=str.lower)]
    return HEAD + "\n".join(entry(resolved(package[name]), 2) for name in names)


def resolved(item: griffe.Object | griffe.Alias) -> griffe.Object:
    """What an imported name stands for."""
    return item.final_target if isinstance(item, griffe.Alias) else item


def entry(item: griffe.Object, level: int) -> str:
    """A heading, the signatures, the docstring, and the public members of a class."""
    lines = [f"{'#' * level} `{item.name}`", "", *signatures(item), *sections(item)]
    if isinstance(item, griffe.Class):
        lines += [entry(member, level + 1) for member in members(item)]
    return "\n".join(lines)


def members(item: griffe.Class) -> list[griffe.Object]:
    """Documented public methods and properties, in the order of the source."""
    own = (resolved(member) for name, member in item.members.items() if not name.startswith("_"))
    return [one for one in own if one.docstring and (one.is_function or "property" in one.labels)]


def signatures(item: griffe.Object) -> list[str]:
    """A code block with the signature, one for each overload; none for a property."""
    if isinstance(item, griffe.Class):
        parameters = ", ".join(str_of(one) for one in item.parameters if one.name != "self")
        shown = [f"class {item.name}({parameters})"]
    elif isinstance(item, griffe.Function):
        shown = [one.signature() for one in item.overloads or [item]]
    else:
        return [f"Property: `{item.annotation}`", ""]
    return ["```python", *(broken(line) for line in shown), "```", ""]


def str_of(parameter: griffe.Parameter) -> str:
    """A parameter with its annotation and default."""
    kind = {"variadic positional": "*", "variadic keyword": "**"}.get(
        parameter.kind.value if parameter.kind else "", ""
    )
    annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
    default = f" = {parameter.default}" if parameter.default is not None and not kind else ""
    return f"{kind}{parameter.name}{annotation}{default}"


def broken(signature: str) -> str:
    """A long signature on several lines."""
    return "\n".join(textwrap.wrap(signature, WIDTH, subsequent_indent="    ", break_long_words=False))


def sections(item: griffe.Object) -> list[str]:
    """The parts of a docstring as Markdown."""
    lines: list[str] = []
    for section in item.docstring.parsed if item.docstring else []:
        value = section.value
        if section.kind is griffe.DocstringSectionKind.text:
            lines += [plain(value), ""]
        elif section.kind is griffe.DocstringSectionKind.admonition:
            lines += [f"{section.title}:", "", "```python", value.description, "```", ""]
        elif section.kind is griffe.DocstringSectionKind.examples:
            lines += ["Example:", "", "```python", *(code for _, code in value), "```", ""]
        elif section.kind is griffe.DocstringSectionKind.returns or section.kind is griffe.DocstringSectionKind.yields:
            lines += [f"{section.kind.value.capitalize()}: " + " ".join(returned(one) for one in value), ""]
        else:
            lines += [f"{section.kind.value.capitalize()}:", "", *(bullet(one) for one in value), ""]
    return lines


def returned(value: griffe.DocstringReturn) -> str:
    """What a function returns; griffe takes what stands before a colon for a name."""
    return plain(f"{value.name} :{value.description}" if value.name else value.description)


def bullet(value: griffe.DocstringParameter | griffe.DocstringRaise) -> str:
    """One parameter, attribute or error."""
    name = value.annotation if isinstance(value, griffe.DocstringRaise) else value.name
    return f"- `{name}`: {plain(value.description)}"


def plain(text: str) -> str:
    """Markdown in place of reStructuredText's roles and double backticks."""
    text = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
    return re.sub(r"``([^`]+)``", r"`\1`", re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text))


if __name__ == "__main__":
    main()
