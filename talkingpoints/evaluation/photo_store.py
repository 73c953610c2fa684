"""Answers kept photo by photo, in memory or in files: a run that was cut goes on, and processes share the photos.

Each process appends to a file of its own, one JSON line a photo; a line that was cut off by a crash is measured
again. What a store holds is only worth something for the same question, so its first line says which one it was.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from talkingpoints.data.appended_lines import AppendedLines, check_header, header_line, row_of, whole_lines
from talkingpoints.evaluation.report import RowPredictions

_POLL_S = 0.5


class PhotoStore:
    """Predictions by photo and row.

    Args:
        folder: where the files lie; None keeps everything in memory.
        question: what is measured (models, split, seed, ...), as JSON values.
        process: number of this process, from 0.
        processes: how many there are. More than one need a folder.

    Raises:
        ValueError: the folder holds answers to another question, or several processes have no folder.
    """

    def __init__(
        self,
        folder: Path | None = None,
        question: Mapping[str, Any] | None = None,
        process: int = 0,
        processes: int = 1,
    ):
        if processes > 1 and folder is None:
            raise ValueError("several processes need a folder in common")
        self.process, self.processes = process, processes
        self.folder = folder
        self._photos: dict[int, dict[str, RowPredictions]] = {}
        self._question = header_line(question or {})
        self._read: dict[Path, int] = {}
        self._own: AppendedLines | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._load()
            self._own = AppendedLines(folder / f"part_{process}.jsonl", question or {})

    def missing(self, photos: int) -> list[int]:
        """This process's share of the photos 0 .. photos - 1 that are not there yet."""
        return [photo for photo in range(self.process, photos, self.processes) if photo not in self._photos]

    def add(self, photo: int, rows: Mapping[str, RowPredictions]) -> None:
        """Keep one photo's rows."""
        self._photos[photo] = dict(rows)
        if self._own is not None:
            self._own.append({"photo": photo, "rows": {name: _plain(row) for name, row in rows.items()}})

    def collect(self, photos: int, timeout_s: float = 3600.0) -> list[dict[str, RowPredictions]]:
        """The rows of all photos, in order; waits for what other processes measure.

        Raises:
            TimeoutError: nothing new came for ``timeout_s`` seconds.
        """
        news = time.monotonic()
        while len(self._photos) < photos:
            known = len(self._photos)
            if self.folder is not None:
                self._load()
            if len(self._photos) > known:
                news = time.monotonic()
            elif time.monotonic() - news > timeout_s:
                raise TimeoutError(f"{photos - known} photos are still missing; did another process stop?")
            elif known < photos:
                time.sleep(_POLL_S)
        return [self._photos[photo] for photo in range(photos)]

    def _load(self) -> None:
        """Read the lines that were added to any part since the last time."""
        assert self.folder is not None
        for path in sorted(self.folder.glob("part_*.jsonl")):
            for start, raw in whole_lines(path, self._read.get(path, 0)):
                if not start:
                    check_header(path, self._question)
                else:
                    entry = row_of(path, start, raw)
                    self._photos[entry["photo"]] = {n: _predictions(row) for n, row in entry["rows"].items()}
                self._read[path] = start + len(raw)


def _plain(row: RowPredictions) -> dict[str, Any]:
    """Lists in place of arrays; NaN as None, which JSON has."""

    def numbers(values: np.ndarray) -> list[Any]:
        return np.where(np.isnan(values), None, values.astype(object)).tolist()

    return {
        "predictions": numbers(row.predictions),
        "confidence": numbers(row.confidence),
        "presence": numbers(row.presence),
        "found": row.found.tolist(),
        "texts": row.texts,
    }


def _predictions(row: Mapping[str, Any]) -> RowPredictions:
    arrays = {name: np.array(row[name], dtype=np.float64) for name in ("predictions", "confidence", "presence")}
    arrays["predictions"] = arrays["predictions"].reshape(-1, 2)
    return RowPredictions(**arrays, found=np.array(row["found"], dtype=bool), texts=tuple(row["texts"]))
