"""Write the models' code into checkpoint folders, so that they load where the package is not installed.

    python -m training.write_code talkingpoints/checkpoints/*

``save_pretrained`` does this for a model that is saved; this is for folders that exist, such as the bundled ones, after
the package's code has changed. Takes a second; weights are not touched. Each folder then loads with
``AutoModel.from_pretrained(folder, trust_remote_code=True)``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.dynamic_module_utils import custom_object_save

from talkingpoints import (
    PanopticSegmenter,
    PanopticSegmenterConfig,
    PanopticSegmenterImageProcessor,
    PointDescriptor,
    PointDescriptorConfig,
    PointDescriptorProcessor,
    PointLocalizer,
    PointLocalizerConfig,
    PointLocalizerProcessor,
)

CLASSES: dict[type, tuple[type, type]] = {
    PointDescriptorConfig: (PointDescriptor, PointDescriptorProcessor),
    PointLocalizerConfig: (PointLocalizer, PointLocalizerProcessor),
    PanopticSegmenterConfig: (PanopticSegmenter, PanopticSegmenterImageProcessor),
}
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Write into all folders; returns the code files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="of a descriptor, a localizer or a segmenter")
    files = [file for folder in parser.parse_args(argv).folders for file in write_code(folder)]
    print(f"{len(files)} files written")
    return files


def write_code(folder: Path) -> list[Path]:
    """Write the code of the model in a folder, and where its parts are to be found into the folder's configurations.

    Returns:
        The code files.

    Raises:
        ValueError: If the folder holds none of our models.
    """
    config = AutoConfig.from_pretrained(folder)
    if type(config) not in CLASSES:
        raise ValueError(f"{folder} holds a {config.model_type!r} model, and not one of the package's")
    model_class, processor_class = CLASSES[type(config)]
    content = _read(folder / "config.json")
    files = custom_object_save(config, folder, content)
    # what is copied and named depends on the class alone: no weights are read
    files += custom_object_save(model_class.__new__(model_class), folder, content)
    if model_class is PointDescriptor:
        content["auto_map"]["AutoModelForImageTextToText"] = content["auto_map"]["AutoModel"]
    _write(folder / "config.json", content)
    for name in PROCESSOR_FILES:
        if (folder / name).exists():
            content = _read(folder / name)
            files += custom_object_save(processor_class.__new__(processor_class), folder, content)
            _write(folder / name, content)
    return sorted(set(files))


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(file: Path, content: dict[str, Any]) -> None:
    ordered = dict(sorted(content.items())) if list(content) != sorted(content) else content
    file.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
