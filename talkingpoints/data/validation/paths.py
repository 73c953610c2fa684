"""Files that data from outside name: each must lie in its folder."""

from pathlib import Path

from talkingpoints.data.validation.fields import shown


def below(folder: Path, name: str) -> Path:
    """A path below a folder, whether a file is there or not.

    Args:
        folder: may itself be a link.
        name: path below it, as the data write it.

    Raises:
        ValueError: The name is absolute or leads out of the folder, over ``..`` or over a link. The links of the Hub's
            cache, from a snapshot to its blobs, are allowed.
    """
    try:
        root, file = folder.resolve(), (folder / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # zero bytes, a name that is too long, links in a circle
        raise ValueError(f"{shown(name)} is no name of a file") from error
    if Path(name).is_absolute() or not (file.is_relative_to(root) or _is_blob(root, file)):
        raise ValueError(f"{shown(name)} lies outside the folder {folder}")
    return folder / name


def inside(folder: Path, name: str) -> Path | None:
    """As :func:`below`, but None where no file is there."""
    file = below(folder, name)
    try:
        return file if file.is_file() else None
    except OSError as error:
        raise ValueError(f"{shown(name)} is no name of a file") from error


def _is_blob(root: Path, file: Path) -> bool:
    """Whether a file is what a snapshot in the Hub's cache links to."""
    parts = root.parts
    return "snapshots" in parts and file.is_relative_to(Path(*parts[: parts.index("snapshots")], "blobs"))
