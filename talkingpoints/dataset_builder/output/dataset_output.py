"""The dataset that comes out, in all its formats at once, photo by photo."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingpoints.dataset_builder.output.dataset_card import Statistics, card
from talkingpoints.dataset_builder.output.layouts import FolderLayout
from talkingpoints.dataset_builder.output.parquet import ParquetShards, row_of
from talkingpoints.dataset_builder.points.preparation import PreparedPhoto
from talkingpoints.dataset_builder.points.tasks import PointTask

FORMATS = ("parquet", "folder", "keypoints")
"""Parquet with a card in `data/` and `README.md`; photos with `metadata.csv` in `train/`, `val/`, `test/`; COCO
keypoints in `annotations/` with the same photos."""


class DatasetOutput:
    """Writes the formats; nothing counts before `close`.

    Args:
        folder: made if missing; what an earlier run left in these formats is replaced.
        formats: of `FORMATS`, at least one.
        embed: whether the Parquet files hold the photos, or their paths.
        rows_per_shard: of a Parquet file.

    Raises:
        ValueError: an unknown format, or none.
    """

    def __init__(
        self, folder: Path, formats: Sequence[str] = FORMATS, embed: bool = True, rows_per_shard: int = 20_000
    ):
        unknown = sorted(set(formats) - set(FORMATS))
        if unknown or not formats:
            raise ValueError(f"formats: {list(formats)}; allowed: at least one of {FORMATS}")
        if rows_per_shard < 1:
            raise ValueError(f"rows_per_shard: {rows_per_shard}; allowed: 1 or more")
        self.folder, self.embed = folder, embed
        self.statistics = Statistics()
        self._parquet = ParquetShards(folder / "data", rows_per_shard) if "parquet" in formats else None
        own = {"metadata": "folder" in formats, "keypoints": "keypoints" in formats}
        self._layout = FolderLayout(folder, **own) if any(own.values()) else None

    def add(self, photo: PreparedPhoto, texts: Sequence[tuple[PointTask, Sequence[tuple[str, str]]]]) -> None:
        """One photo.

        Args:
            photo: prepared.
            texts: (style, text) pairs for each of its tasks that is kept; one without texts is left out.
        """
        found = [(task, own) for task, own in texts if own]
        self.statistics.untold += len(texts) - len(found)
        if not found:
            return
        self.statistics.photos[photo.split] += 1
        for task, own in found:
            self.statistics.point(task)
            for style, text in own:
                self.statistics.text(task.split, style, text)
        if self._parquet is not None:
            image = self._image(photo)
            rows = [row_of(task, i, *pair, image) for task, own in found for i, pair in enumerate(own)]
            self._parquet.add(photo.split, rows)
        if self._layout is not None:
            self._layout.add(photo, {task.key: own for task, own in found})

    def close(self, name: str, made: Mapping[str, Any], licence: str, repository: str | None = None) -> None:
        """Finish the files and write the card.

        Args:
            name: of the dataset.
            made: how it was made, JSON values.
            licence: of photos and annotations.
            repository: on the Hub, where the dataset is going to lie; the card names the folder otherwise.
        """
        if self._layout is not None:
            self._layout.close()
        if self._parquet is not None:
            self._parquet.close()
            address = repository or self.folder.resolve().name
            content = card(name, self.statistics, made, embedded=self.embed, licence=licence, address=address)
            (self.folder / "README.md").write_text(content, encoding="utf-8")

    def _image(self, photo: PreparedPhoto) -> dict[str, Any]:
        path = Path(photo.image)
        if self.embed:
            return {"bytes": path.read_bytes(), "path": path.name}
        return {"bytes": None, "path": str(path.resolve())}
