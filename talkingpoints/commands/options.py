"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FormatName(StrEnum):
    """Formats of points; see docs/formats.md."""

    points = "points"
    cvat = "cvat"
    datumaro = "datumaro"
    coco = "coco"
    label_studio = "label_studio"
    labelme = "labelme"
    yolo = "yolo"
    supervisely = "supervisely"
    via = "via"
    pixmo = "pixmo"


class Task(StrEnum):
    """What ``batch`` does with each photo."""

    describe = "describe"
    localize = "localize"
    segments = "segments"


class PrelabelFormat(StrEnum):
    """What ``prelabel`` writes."""

    label_studio = "label_studio"
    cvat = "cvat"


Photo = Annotated[str, typer.Argument(help="A file, a URL, or - for the standard input.")]
Descriptor = Annotated[str | None, typer.Option(help="Folder or Hub id of a descriptor. [default: the bundled one]")]
Localizer = Annotated[str | None, typer.Option(help="Folder or Hub id of a localizer. [default: the bundled one]")]
Segmenter = Annotated[str | None, typer.Option(help="Folder or Hub id of a segmenter. [default: the bundled one]")]
Device = Annotated[str | None, typer.Option(help="For example cpu or cuda. [default: a GPU if there is one]")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on the standard output.")]
Draw = Annotated[Path | None, typer.Option(help="Also write the photo with the answer drawn on it, as PNG.")]
Source = Annotated[str, typer.Argument(help="An annotation file, or a folder.")]
From = Annotated[FormatName | None, typer.Option("--from", help="Format of the source. [default: found out]")]
Photos = Annotated[Path | None, typer.Option(help="Folder of the photos. [default: beside the annotations]")]
TextAttribute = Annotated[str, typer.Option(help="Attribute that holds the text, in CVAT and VIA.")]
LabelAttribute = Annotated[str, typer.Option(help="Attribute that holds the label, in VIA.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Log wrong entries and leave them out.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
