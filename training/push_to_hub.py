"""Push a trained model, an adapter, or a folder of one's own points to the Hub, with a card that says what it is.

    python -m training.push_to_hub --folder runs/descriptor --repo_id me/my-descriptor \\
        --base org/base --datasets me/my-points --license apache-2.0 --report report.json
    python -m training.push_to_hub --folder my_points --repo_id me/my-points --license cc-by-4.0

The first commit holds the files, the second the card, whose snippets pin the first. Both kinds of models travel with
the code that runs them, so that they load with ``trust_remote_code=True`` where the package is not installed.
``--report`` takes reports of training/evaluate.py. Log in first (``hf auth login``), or set ``HF_TOKEN``.

Leaves out: the words of the cards (talkingpoints/cards.py).
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, RepoCard
from safetensors import safe_open
from transformers import AutoConfig, AutoModel, AutoProcessor

import talkingpoints  # noqa: F401  (registers the models)
from talkingpoints.cards import ROLES, Told, Weights, dataset_card, is_hub_id, model_card
from talkingpoints.data.readers.custom_points import VAL_NAMES
from talkingpoints.data.readers.point_folders import METADATA, is_point_folder, metadata_file, read_split, split_folder
from talkingpoints.data.validation.files import table_rows
from talkingpoints.publishing import Target, model_files, publish

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PROCESSOR_CONFIG = "processor_config.json"
SPLITS = ("train", *VAL_NAMES, "test")


@dataclass(frozen=True)
class Pushed:
    """Where something lies now: its Hub id, and the commit with its files."""

    repo_id: str
    revision: str


def push(
    folder: str | Path,
    repo_id: str,
    told: Told | None = None,
    reports: Sequence[Mapping[str, Any]] = (),
    private: bool | None = None,
    tag: str | None = None,
) -> Pushed:
    """Push a folder with all that belongs to it, and its card.

    Args:
        folder: of a saved descriptor or localizer with its processor, of a peft adapter over one, or of one's own
            points (``metadata.csv`` or ``.jsonl`` beside the photos).
        repo_id: ``owner/name``; made if missing.
        told: what only a person can say; see :class:`talkingpoints.cards.Told`.
        reports: of training/evaluate.py, for models.
        private: of a new repository; None leaves it to the account's settings.
        tag: name for the state with the card, for example "v1".

    Returns:
        The id and the commit that holds the files.

    Raises:
        ValueError: the folder holds none of these, wrong rows, an adapter over a folder that nobody else has, or
            reports for a dataset.
        KeyError: a report lacks the row that measures the model.
    """
    folder, told = Path(folder), without_folders(told or Told())
    kind = kind_of(folder)
    repo_type = "dataset" if kind == "dataset" else "model"
    target = Target(repo_id, repo_type, private=private)
    if kind == "dataset" and reports:
        raise ValueError("reports measure models; a dataset's card takes none")
    with tempfile.TemporaryDirectory() as prepared:
        card: Callable[[str, str], RepoCard]
        if kind == "dataset":
            files, counts, metadata = collect_points(folder)
            card = partial(dataset_card, told, counts, metadata)
        else:
            if kind == "adapter":
                prepare_adapter(folder, Path(prepared), told.base)
            else:
                prepare_model(folder, Path(prepared))
            files = dict(model_files(Path(prepared)))
            card = partial(model_card, published_weights(Path(prepared)), told, reports)
        card(repo_id, "")  # what cannot be said stops it before anything is pushed
        repo_id, revision = publish(files, target, f"The {kind}")
    push_card(card(repo_id, revision), replace(target, repo_id=repo_id))
    if tag is not None:
        HfApi().create_tag(repo_id, tag=tag, repo_type=repo_type, exist_ok=True)
    return Pushed(repo_id, revision)


def push_card(card: RepoCard, target: Target) -> None:
    """Put a card beside what was pushed."""
    publish({"README.md": card.content.encode()}, target, "The card")


def kind_of(folder: Path) -> str:
    """What a folder holds: "adapter", "model" or "dataset".

    Raises:
        ValueError: none of these.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        return "adapter"
    if (folder / "config.json").is_file():
        model_type = _read(folder / "config.json").get("model_type")
        if model_type in ROLES:
            return "model"
        raise ValueError(f"{folder} holds a {model_type!r} model; only {' and '.join(ROLES)} are pushed from here")
    if is_point_folder(folder):
        return "dataset"
    raise ValueError(
        f"{folder} holds no config.json, no {ADAPTER_CONFIG} and no {' or '.join(METADATA)}: nothing to push"
    )


def published_weights(folder: Path) -> Weights:
    """What a card says of the weights in a folder: of a model or of an adapter; they are not loaded.

    Raises:
        ValueError: an adapter that does not say what it is for.
    """
    megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    if not (folder / ADAPTER_CONFIG).is_file():
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            parameters = AutoModel.from_config(config).num_parameters()
        return Weights(config.model_type, parameters, megabytes)
    config = _read(folder / ADAPTER_CONFIG)
    with safe_open(folder / ADAPTER_WEIGHTS, "pt") as file:
        parameters = sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return Weights(
        model_type=adapted_type(config, folder),
        parameters=parameters,
        megabytes=megabytes,
        adapter_of=public_name(config.get("base_model_name_or_path") or "") or "an unnamed base",
        base_revision=config.get("revision") or "",
        own_config=(folder / "config.json").is_file(),
        own_processor=(folder / PROCESSOR_CONFIG).is_file(),
    )


def prepare_model(folder: Path, target: Path) -> None:
    """Save a model and its processor anew, with the code that runs them."""
    AutoModel.from_pretrained(folder, dtype="auto").save_pretrained(target)
    AutoProcessor.from_pretrained(folder).save_pretrained(target)


def prepare_adapter(folder: Path, target: Path, base: str) -> None:
    """Copy an adapter, with processor and point model's configuration if they lie there, and name its base as others
    find it.

    Raises:
        ValueError: the base is a local folder and ``base`` is no Hub id.
    """
    config = _read(folder / ADAPTER_CONFIG)
    named = config.get("base_model_name_or_path") or ""
    name = base or named
    check_base(name)
    revision = config.get("revision") if name == named else None  # of another base it says nothing
    config = {**config, "base_model_name_or_path": name, "revision": revision}
    (target / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name in (ADAPTER_WEIGHTS, "config.json"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    if (folder / PROCESSOR_CONFIG).is_file():
        AutoProcessor.from_pretrained(folder).save_pretrained(target)


def check_base(name: str) -> None:
    """Whether others can load the base of an adapter.

    Raises:
        ValueError: it is a local folder, or no Hub id.
    """
    if Path(name).exists() or not is_hub_id(name):
        raise ValueError(
            f"an adapter over {name!r}, which nobody else has, is of no use to them: push that and give its Hub id as "
            "base"
        )


def adapted_type(config: Mapping[str, Any], folder: Path) -> str:
    """``model_type`` of the models that an adapter is for, from the files beside it.

    Raises:
        ValueError: none of them says it.
    """
    files = (folder / name for name in ("config.json", PROCESSOR_CONFIG))
    point_model, processor = (_read(file) if file.is_file() else {} for file in files)
    named = [(config.get("auto_mapping") or {}).get("base_model_class"), processor.get("processor_class")]
    said = [str(word) for word in (point_model.get("model_type"), *named) if word]
    for model_type, name in (("point_descriptor", "PointDescriptor"), ("point_localizer", "PointLocalizer")):
        if any(word == model_type or word.startswith(name) for word in said):
            return model_type
    raise ValueError(f"{folder} does not say whether its adapter is of a descriptor or of a localizer: got {said}")


def collect_points(folder: Path) -> tuple[dict[str, Path], dict[str, tuple[int, int]], str]:
    """Everything to push of one's own points.

    Returns:
        Files by their path in the repository, (photos, points) by split, and the metadata's file name.

    Raises:
        ValueError: wrong rows, all of them listed; or points in a subfolder that is no split.
    """
    parts = {path.parent.name for name in METADATA for path in folder.glob(f"*/{name}")}
    unknown = sorted(parts - set(SPLITS))
    if unknown:
        raise ValueError(f"{folder} has points in {', '.join(unknown)}, of which no reader knows; splits are the "
                         f"subfolders {', '.join(SPLITS)}")  # fmt: skip
    sources = {split: folder / split for split in SPLITS if split in parts}
    files: dict[str, Path] = {}
    counts = {}
    for split, source in {"train": split_folder(folder, "train"), **sources}.items():
        photos, problems = read_split(source)
        problems.settle(skip_bad_rows=False)
        metadata = metadata_file(source)
        for path in [metadata, *(source / name for name in named_photos(metadata))]:
            files[path.relative_to(folder).as_posix()] = path
        counts[split] = (len(photos), sum(len(photo.points) for photo in photos))
    return files, counts, metadata.name


def named_photos(metadata: Path) -> set[str]:
    """The photos that a metadata file speaks of."""
    return {row["file_name"] for _, row in table_rows(metadata)[1] if not isinstance(row, ValueError)}


def without_folders(told: Told) -> Told:
    """The same, but for folders of this machine."""
    return replace(told, base=public_name(told.base), datasets=[public_name(name) for name in told.datasets])


def public_name(name: str) -> str:
    """A Hub id or words as they are; of a folder, which nobody else knows by its path, the last name."""
    return Path(name).resolve().name if name and Path(name).exists() else name


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: list[str]) -> Pushed:
    """Push; see the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="saved model, adapter, or photos with metadata.csv")
    parser.add_argument("--repo_id", required=True, help="owner/name on the Hub")
    parser.add_argument("--report", type=Path, nargs="+", default=[], help="reports of training.evaluate, for the card")
    parser.add_argument("--base", default="", help="Hub id of the base that the model was built on")
    parser.add_argument("--datasets", nargs="+", default=[], help="what it was trained on: Hub ids or names")
    parser.add_argument("--license", default="", help="as the Hub knows it, for example apache-2.0")
    parser.add_argument("--license_name", default="", help="name of a licence that the Hub does not know")
    for name in ("about", "data", "training", "limits", "licence"):
        parser.add_argument(f"--{name}", default="", help=f"the card's words about that ({name})")
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository a private one")
    parser.add_argument("--tag", help="name for this state of the repository, for example v1")
    arguments = parser.parse_args(argv)
    told = Told(**{name: getattr(arguments, name) for name in Told.__dataclass_fields__})
    reports = [_read(path) for path in arguments.report]
    pushed = push(arguments.folder, arguments.repo_id, told, reports, arguments.private, arguments.tag)
    print(f"{pushed.repo_id} at revision {pushed.revision}")
    return pushed


if __name__ == "__main__":
    main(sys.argv[1:])
