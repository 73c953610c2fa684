"""Share of region captions that lead the localizer back into the segment they describe.

    python -m training.reports.evaluate_region_trips --annotations runs/captions/pix2cap_test.json \\
        --photos DIR/images --id_maps runs/panoptic/test --output runs/region_trips.json

The descriptor is given the mask of each segment. The other rows are the annotation's own text, the text of another
photo, and points without any text. Intervals are over photos (bootstrap).
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from talkingpoints import TalkingPoints
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.evaluation.region_round_trip import landings
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class TripArguments:
    """What is measured."""

    annotations: str = field(metadata={"help": "COCO panoptic JSON with a description for each segment"})
    photos: str = field(metadata={"help": "folder of its photos"})
    output: str = field(metadata={"help": "JSON file for the report"})
    id_maps: str | None = field(default=None, metadata={"help": "folder of its PNGs; default: as COCO names it"})
    descriptor: str | None = field(default=None, metadata={"help": "folder or Hub id; default: the bundled one"})
    localizer: str | None = field(default=None, metadata={"help": "likewise"})
    limit: int = field(default=0, metadata={"help": "photos; 0 takes all"})
    seed: int = field(default=0, metadata={"help": "of the bootstrap"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})


ARGUMENTS = (TripArguments,)


def main(argv: list[str]) -> dict[str, Any]:
    """Measure; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    maps = None if arguments.id_maps is None else Path(arguments.id_maps)
    photos = PanopticPhotos(Path(arguments.annotations), Path(arguments.photos), maps)[: arguments.limit or None]
    tp = TalkingPoints.from_pretrained(descriptor=arguments.descriptor, localizer=arguments.localizer)
    started = time.perf_counter()
    found = landings(tp, photos)
    report: dict[str, Any] = {
        "photos": len(photos),
        "segments": len(found.texts),
        "things": sum(found.is_thing),
        "distinct_texts": len(set(found.texts)),
        "seconds": round(time.perf_counter() - started, 1),
        "inside": {
            row: {
                kind: {"share": round(100 * one.mean, 1), "ci95": [round(100 * one.low, 1), round(100 * one.high, 1)]}
                for kind, one in kinds.items()
            }
            for row, kinds in found.shares(arguments.seed).items()
        },
    }
    file = Path(arguments.output)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=2), encoding="utf-8")
    for row, kinds in report["inside"].items():
        shown = ", ".join(
            f"{kind} {one['share']} ({one['ci95'][0]} to {one['ci95'][1]})" for kind, one in kinds.items()
        )
        print(f"{row}: {shown}")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
