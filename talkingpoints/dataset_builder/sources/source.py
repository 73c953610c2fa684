"""What all readers have in common: a folder, here or in a bucket, and photos by number."""

import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import fsspec

from talkingpoints.dataset_builder.points.tasks import PartPhoto, photo_key

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class Folder:
    """A folder of this machine, or of a bucket that fsspec reads (`s3://...`, `gs://...`, `hf://...`).

    Args:
        place: path or URL.
        cache: where files of a bucket are kept; they are fetched once.

    Raises:
        ValueError: the folder is not there, or is in a bucket and there is no cache.
    """

    def __init__(self, place: str | Path, cache: Path | None = None):
        self.place, self.cache = str(place), cache
        self.remote = "://" in self.place
        self._system, self._root = fsspec.url_to_fs(self.place)
        if self.remote and cache is None:
            raise ValueError(f"{self.place} is no folder of this machine: it needs a cache")
        self._listings: dict[tuple[str, ...], dict[str, str]] = {}
        if not self._system.isdir(self._root):
            raise ValueError(f"{self.place} is not a folder")

    @property
    def name(self) -> str:
        return self._root.rstrip("/").rpartition("/")[2]

    def file(self, *names: str) -> Path | None:
        """The first of some files, below the folder, that is there: as a file of this machine. None if none is.

        Raises:
            ValueError: a name leads out of the folder, as annotations from elsewhere may have it.
        """
        for name in names:
            if posixpath.isabs(name) or posixpath.normpath(name).split("/")[0] == "..":
                raise ValueError(f"{name!r} lies outside the folder {self.place}")
            if not self.remote:
                path = Path(self._root, name)
                if path.is_file():
                    return path
                continue
            assert self.cache is not None
            path = self.cache / self.name / name
            if not path.is_file():
                source = f"{self._root}/{name}"
                if not self._system.isfile(source):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f"{path.name}.{os.getpid()}.part")
                self._system.get_file(source, str(partial))
                os.replace(partial, path)  # whole or not at all
            return path
        return None

    def names(self, folder: str, suffixes: Sequence[str]) -> list[str]:
        """Names of the files in a subfolder ("." for the folder itself) with one of some endings, in order."""
        place = self._root if folder == "." else f"{self._root}/{folder}"
        if not self._system.isdir(place):
            return []
        found = (path.rpartition("/")[2] for path in self._system.ls(place, detail=False))
        return sorted(name for name in found if name.lower().endswith(tuple(suffixes)))

    def photo(self, stem: str, folders: Sequence[str]) -> Path:
        """The photo with a name without its ending, in one of some subfolders.

        Raises:
            ValueError: there is none.
        """
        file = self.file(*(f"{folder}/{stem}{suffix}" for folder in folders for suffix in IMAGE_SUFFIXES))
        if file is None:
            file = self.file(*(name for folder in folders for name in self._spelt(folder, stem, IMAGE_SUFFIXES)))
        if file is None:
            raise ValueError(f"there is no photo {stem!r} in {list(folders)} of {self.place}")
        return file

    def mask(self, stem: str, folder: str) -> Path | None:
        """The PNG with a name without its ending, however that is written; None if there is none."""
        return self.file(f"{folder}/{stem}.png") or self.file(*self._spelt(folder, stem, (".png",)))

    def _spelt(self, folder: str, stem: str, suffixes: Sequence[str]) -> list[str]:
        """Files with a name and one of some endings in any letters (".JPG"), below the folder."""
        if (folder, *suffixes) not in self._listings:
            names = self.names(folder, suffixes)
            self._listings[folder, *suffixes] = {name.rpartition(".")[0]: f"{folder}/{name}" for name in names}
        found = self._listings[folder, *suffixes].get(stem)
        return [] if found is None else [found]


class PartSource(ABC, Sequence[PartPhoto]):
    """Photos with parts, by number; `source[i]` reads one.

    Args:
        folder: of the dataset.
        split: which split.
        name: of the dataset; None takes the folder's.
        label: owner of parts that the data give none.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        self.folder, self.split, self.label = folder, split, label
        self.name = name or folder.name
        self.photos: Sequence[str] = ()
        """Names of the photos, unique in the split."""

    def __len__(self) -> int:
        return len(self.photos)

    def key(self, index: int) -> str:
        """What photo `index` is called, without reading it."""
        return photo_key(self.name, self.split, self.photos[index])

    @abstractmethod
    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        """Read a photo and its masks. One without a part has no objects.

        Raises:
            ValueError: it cannot be read.
        """
