"""The dataset as Parquet shards that `datasets` and the Hub's viewer read: one row a photo, point and text.

Rows of a photo are neighbours, and a shard's column of photos is dictionary-coded, so that the file holds a photo once
however many rows show it. Shards appear under their last names when all are written, and not before.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, List, Value

from talkingpoints.dataset_builder.points.tasks import PointTask

FEATURES = Features(
    {
        "key": Value("string"),
        "image": Image(),
        "image_id": Value("string"),
        "x": Value("float32"),
        "y": Value("float32"),
        "width": Value("int32"),
        "height": Value("int32"),
        "text": Value("string"),
        "style": Value("string"),
        "label": Value("string"),
        "part": Value("string"),
        "kind": Value("string"),
        "skeleton": Value("string"),
        "object_box": List(Value("float32"), length=4),
        "part_box": List(Value("float32"), length=4),
    }
)
"""`x`, `y` and the boxes (x0, y0, x1, y1) in pixels; `kind` one of `tasks.KINDS`; `skeleton` is what masks and pixels
say."""

ROW_GROUP_BYTES = 128 << 20
"""Photos in a row group, each counted once for each of its rows: so they lie in the memory of a reader and the writer,
while the file holds them once. One photo's rows are not torn apart, and may be more."""


def row_of(task: PointTask, number: int, style: str, text: str, image: dict[str, Any]) -> dict[str, Any]:
    """One row.

    Args:
        task: the point.
        number: of the text among the point's.
        style: of the text.
        text: the description.
        image: `{"bytes": ..., "path": name}` or `{"bytes": None, "path": file}`.
    """
    return {
        "key": task.text_key(number),
        "image": image,
        "image_id": "/".join(task.key.split("/")[:-3]),
        "x": task.point_px[0],
        "y": task.point_px[1],
        "width": task.size[1],
        "height": task.size[0],
        "text": text,
        "style": style,
        "label": task.label,
        "part": task.part,
        "kind": task.kind,
        "skeleton": task.skeleton.text,
        "object_box": list(task.object_box),
        "part_box": list(task.part_box),
    }


class ParquetShards:
    """Writes `SPLIT-00000-of-00002.parquet` files.

    Args:
        folder: made if missing; what lies in it from an earlier run is replaced by `close`.
        rows_per_shard: photos are not torn apart, so a shard may have some more.
    """

    def __init__(self, folder: Path, rows_per_shard: int = 20_000):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rows_per_shard = folder, rows_per_shard
        for old in folder.glob("*.parquet.part"):
            old.unlink()
        self._shards: dict[str, _Shard] = {}
        self._done: dict[str, list[Path]] = {}

    def add(self, split: str, rows: list[dict[str, Any]]) -> None:
        """All rows of one photo."""
        shard = self._shards.get(split)
        if shard is not None and shard.rows >= self.rows_per_shard:
            shard.close()
            shard = None
        if shard is None:
            done = self._done.setdefault(split, [])
            shard = self._shards[split] = _Shard(self.folder / f"{split}-{len(done):05d}.parquet.part")
            done.append(shard.path)
        shard.add(rows)

    def close(self) -> list[Path]:
        """Finish the shards, take away those of an earlier run, and return the files."""
        for shard in self._shards.values():
            shard.close()
        named = {
            path: self.folder / f"{split}-{i:05d}-of-{len(paths):05d}.parquet"
            for split, paths in self._done.items()
            for i, path in enumerate(paths)
        }
        for old in self.folder.glob("*.parquet"):
            if old not in named.values():
                old.unlink()
        for path, final in named.items():
            path.replace(final)
        return list(named.values())


class _Shard:
    """One file being written."""

    def __init__(self, path: Path):
        self.path, self.rows = path, 0
        schema = FEATURES.arrow_schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=True,
            dictionary_pagesize_limit=ROW_GROUP_BYTES,
        )
        self._schema = schema
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        size = sum(len(row["image"]["bytes"] or b"") for row in rows)
        if self._bytes + size > ROW_GROUP_BYTES:
            self._flush()
        self._waiting += rows
        self.rows += len(rows)
        self._bytes += size
        if self._bytes >= ROW_GROUP_BYTES or len(self._waiting) >= 5_000:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            encoded = [FEATURES.encode_example(row) for row in self._waiting]
            self._writer.write_table(pa.Table.from_pylist(encoded, schema=self._schema))
            self._waiting, self._bytes = [], 0
