"""The preparation of photos on Ray Data: the same functions, many workers. Needs the extra `ray`.

Workers open the source for themselves and send prepared photos back as JSON; one process writes them down, in the order
of the source, so that the file is the same as without Ray, and goes on where it was cut just as well. On a cluster the
photos, or the cache of a bucket's, must lie where all machines see them under one path.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingpoints.dataset_builder.points.preparation import PreparationOptions, PreparedPhoto, prepare_from
from talkingpoints.dataset_builder.sources.kinds import open_source
from talkingpoints.dataset_builder.sources.source import PartSource

PHOTOS_PER_BLOCK = 8


@dataclass(frozen=True)
class SourceAddress:
    """What a worker needs to open a source; see `open_source`."""

    layout: str
    place: str
    split: str
    name: str | None = None
    label: str | None = None
    cache: Path | None = None

    def open(self) -> PartSource:
        """The source.

        Raises:
            ValueError: see `open_source`.
        """
        return open_source(self.layout, self.place, self.split, name=self.name, label=self.label, cache=self.cache)


class PhotoPreparer:
    """A worker: opens the sources once, prepares photos by number.

    Args:
        addresses: of the sources.
        options: of the preparation.
        skip_bad_photos: see `prepare_from`.
    """

    def __init__(self, addresses: Sequence[SourceAddress], options: PreparationOptions, skip_bad_photos: bool = False):
        import cv2

        cv2.setNumThreads(1)  # a worker is a core
        self.sources = [address.open() for address in addresses]
        self.options, self.skip_bad_photos = options, skip_bad_photos

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        photo = prepare_from(self.sources[row["source"]], row["index"], self.options, self.skip_bad_photos)
        return {"photo": json.dumps(photo.to_json(), ensure_ascii=False)}


def prepare_on_ray(
    addresses: Sequence[SourceAddress],
    wanted: Sequence[tuple[int, int]],
    options: PreparationOptions,
    workers: int,
    skip_bad_photos: bool = False,
) -> Iterator[PreparedPhoto]:
    """Prepare photos on the Ray cluster that RAY_ADDRESS names, or on one that is started here.

    Args:
        addresses: of the sources.
        wanted: (number of the source, number of the photo in it).
        options: of the preparation.
        workers: processes, of one core each.
        skip_bad_photos: see `prepare_from`.

    Yields:
        The photos, in the order of `wanted`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers: {workers}; allowed: 1 or more")
    import ray

    if not ray.is_initialized():
        here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers + 1, "include_dashboard": False}
        ray.init(log_to_driver=False, **here)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    if not wanted:
        return
    rows = [{"source": source, "index": index} for source, index in wanted]
    blocks = max(workers, len(rows) // PHOTOS_PER_BLOCK)
    prepared = ray.data.from_items(rows, override_num_blocks=blocks).map(
        PhotoPreparer,
        fn_constructor_args=(list(addresses), options, skip_bad_photos),
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    for row in prepared.iter_rows():
        yield PreparedPhoto.from_json(json.loads(row["photo"]))
