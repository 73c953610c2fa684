"""Who may import whom: layers downwards only, no circle, and nothing but relative imports where code is for the Hub."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BELOW = {
    "flat": set(),
    "writer": {"flat"},
    "data": {"flat", "writer"},
    "llm": {"flat", "data"},
    "evaluation": {"flat", "writer", "data", "llm"},
    "dataset_builder": {"flat", "writer", "data", "llm", "evaluation"},
    "package": {"flat"},
    "commands": {"package", "flat", "data", "evaluation"},
    "training": {"package", "flat", "writer", "data", "llm", "evaluation", "dataset_builder"},
    "space": {"package", "flat", "data"},
}
"""For each layer those that it may import; ``package`` is ``talkingpoints`` itself."""
LEAKS = {("talkingpoints.data.scenes.mask_scenes", f"talkingpoints.dataset_builder.sources.{name}")
         for name in ("source", "pascal_part")}  # fmt: skip
"""To be mended: Pascal-Part's files are read where datasets are built, and needed where scenes are."""
READERS = ("talkingpoints.data.readers.", "talkingpoints.data.validation.")


def modules() -> dict[str, Path]:
    """Every module of the package, the scripts and the app by its full name."""
    files = [file for top in ("talkingpoints", "training", "space") for file in (ROOT / top).rglob("*.py")
             if "checkpoints" not in file.parts]  # fmt: skip
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file for file, name in names.items()}


def imports(name: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules that a module imports anywhere in its code."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            whole = [f"{module}.{alias.name}" for alias in node.names]
            yield from (one if one in known else module for one in whole)


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: {one for one in imports(name, file, known) if one in known} - {name} for name, file in known.items()}


def layer(module: str) -> str:
    top, *rest = module.split(".")
    if top != "talkingpoints":
        return top
    return "package" if not rest else rest[0] if (ROOT / top / rest[0]).is_dir() else "flat"


def test_no_module_imports_from_a_layer_above() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if layer(other) not in {layer(module), *BELOW[layer(module)]} and (module, other) not in LEAKS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_app_reads_no_data_but_through_readers() -> None:
    taken = {other for module, others in graph().items() if layer(module) == "space" for other in others}
    assert all(one.startswith(READERS) for one in taken if layer(one) == "data")
    wrong = [m for m, others in graph().items() if m.startswith(READERS) for o in others if ".data.examples" in o]
    assert not wrong, "readers know no examples"


def test_no_circle() -> None:
    tuple(TopologicalSorter(graph()).static_order())  # raises CycleError, which names the circle


def test_what_travels_to_the_hub_imports_its_neighbours_by_name() -> None:
    """transformers copies what ``from .name import`` names; a folder or an absolute import would stay at home."""
    known = modules()
    for name, file in known.items():
        if layer(name) == "flat":
            ours = [one for one in imports(name, file, known) if one.startswith("talkingpoints")]
            absolute = [
                node.lineno
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("talkingpoints")
            ]
            assert not absolute and all(layer(one) == "flat" for one in ours), f"{name}: {absolute or ours}"
