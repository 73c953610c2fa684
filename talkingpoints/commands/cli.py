"""The command line: ``talkingpoints``. Its work is done in ``talkingpoints.commands``, imported when a command runs.

Exit codes: 0 done; 1 an input is wrong or something failed, said on stderr; 2 wrong usage; 3 ``localize``: the text is
not in the photo.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from talkingpoints.commands.options import (
    AsJson,
    Descriptor,
    Device,
    Draw,
    FormatName,
    From,
    LabelAttribute,
    Localizer,
    Photo,
    Photos,
    PrelabelFormat,
    Quiet,
    Segmenter,
    SkipBadRows,
    Source,
    Task,
    TextAttribute,
)

NOT_FOUND = 3

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Put single pixels into words, and words back onto pixels. The bundled models need no network.",
)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def show(answer: Any, as_json: bool, *words: str) -> None:
    """Print an answer as JSON, or as lines of words."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for line in words:
            typer.echo(line)


@app.command()
def describe(
    photo: Photo,
    x: Annotated[float, typer.Argument(help="From the left, in pixels of the photo as viewers show it.")],
    y: Annotated[float, typer.Argument(help="From the top.")],
    unit: Annotated[bool, typer.Option("--unit", help="X and Y are from 0 to 1.")] = False,
    descriptor: Descriptor = None,
    device: Device = None,
    draw: Draw = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what is at a point."""
    from talkingpoints.commands import single

    loaded = single.load_photo(photo)
    answer = single.describe(single.load_models(descriptor, None, device), loaded, x, y, unit, draw)
    show(answer, as_json, answer["text"])


@app.command()
def localize(
    photo: Photo,
    text: Annotated[str, typer.Argument(help="What to find.")],
    localizer: Localizer = None,
    device: Device = None,
    draw: Draw = None,
    as_json: AsJson = False,
) -> None:
    """Find what a text describes. Exit code 3: it is not in the photo."""
    from talkingpoints.commands import single

    loaded = single.load_photo(photo)
    answer = single.localize(single.load_models(None, localizer, device), loaded, text, draw)
    place = f"{answer['x']:.1f} {answer['y']:.1f}" if answer["found"] else "not in this photo"
    show(answer, as_json, place)
    if not answer["found"]:
        raise typer.Exit(NOT_FOUND)


@app.command()
def segments(
    photo: Photo,
    threshold: Annotated[float | None, typer.Option(help="Leave out segments of a lower score, 0 to 1.")] = None,
    descriptor: Descriptor = None,
    segmenter: Segmenter = None,
    device: Device = None,
    draw: Draw = None,
    as_json: AsJson = False,
) -> None:
    """Find the segments of a photo and describe each."""
    from talkingpoints.commands import single

    loaded = single.load_photo(photo)
    tp = single.load_models(descriptor, None, device, segmenter)
    rows = single.segments(tp, loaded, threshold, draw)
    show(rows, as_json, *(f"{row['id']} {row['label']} {row['score']:.2f} {row['text']}" for row in rows))


@app.command()
def batch(
    source: Annotated[str, typer.Argument(help="Folder of photos, annotation file or folder, or dataset.")],
    output: Annotated[Path, typer.Option(help="The table: .jsonl, .csv or .parquet.")],
    task: Annotated[Task, typer.Option(help="What to do with each photo.")] = Task.describe,
    text: Annotated[
        list[str] | None, typer.Option(help="To be found in each photo of a folder; may be repeated.")
    ] = None,
    grid: Annotated[int, typer.Option(min=1, help="Describe N x N points of each photo of a folder.")] = 4,
    photos: Photos = None,
    photos_at_once: Annotated[int, typer.Option(min=1, help="Photos that go through the model together.")] = 8,
    skip_bad_rows: SkipBadRows = False,
    descriptor: Descriptor = None,
    localizer: Localizer = None,
    segmenter: Segmenter = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Describe points, find texts or caption segments in many photos. The same command goes on after an interruption.

    The points or texts come from the source where it has annotations. Of a folder of photos, a grid of points is
    described, or the given texts are looked for.
    """
    from talkingpoints.commands import batch as batches
    from talkingpoints.commands import single, work

    batches.check_output(output)
    annotated = task is not Task.segments and not text and work.is_annotated(source)
    if annotated:
        todo = work.annotated_work(source, task.value, photos, skip_bad_rows)
    elif task is Task.localize and not text:
        raise ValueError(f"{source} has no annotations: give the texts to look for with --text")
    else:
        points = work.grid(grid) if task is Task.describe else []
        todo = work.plain_work(Path(source), points, text or [])
    options = batches.BatchOptions(
        source, task.value, descriptor, localizer, 0 if annotated else grid, tuple(text or ()), segmenter
    )
    tp = single.load_models(descriptor, localizer, device, segmenter)
    counts = batches.run_batch(
        tp, todo, output, options, photos_at_once=photos_at_once, skip_bad_rows=skip_bad_rows, progress=not quiet
    )
    show(
        counts,
        as_json,
        "{rows} rows of {photos} photos, {errors} errors; {resumed} photos were done before".format(**counts),
    )


@app.command()
def convert(
    source: Source,
    target: Annotated[Path, typer.Argument(help="A folder, empty or not there yet.")],
    to: Annotated[FormatName, typer.Option(help="Format to write.")] = FormatName.points,
    source_format: From = None,
    photos: Photos = None,
    text_attribute: TextAttribute = "text",
    label_attribute: LabelAttribute = "label",
    name_texts: Annotated[
        bool, typer.Option("--name-texts", help="Points without a text get their keypoint's name for one.")
    ] = False,
    copy_photos: Annotated[
        bool | None, typer.Option(help="Put the photos beside. [default: where the format wants them there]")
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    as_json: AsJson = False,
) -> None:
    """Convert points between annotation tools, and say what is lost."""
    from talkingpoints.data.formats import conversion
    from talkingpoints.data.formats.interface import ReadOptions

    done = conversion.convert(
        source,
        target,
        to.value,
        source_format and source_format.value,
        photos=photos,
        options=ReadOptions(text_attribute, label_attribute),
        skip_bad_rows=skip_bad_rows,
        copy_photos=copy_photos,
        name_texts=name_texts,
    )
    answer = {"photos": done.photos, "points": done.points, "not_read": +done.left_out, "lost": +done.lost}
    show(answer, as_json, *done.lines())


@app.command()
def preview(
    source: Source,
    output: Annotated[Path, typer.Argument(help="The sheet: .html or .png.")],
    limit: Annotated[int, typer.Option(min=1, help="So many photos at most.")] = 24,
    source_format: From = None,
    photos: Photos = None,
    text_attribute: TextAttribute = "text",
    label_attribute: LabelAttribute = "label",
    skip_bad_rows: SkipBadRows = False,
) -> None:
    """Draw the points of an annotation file with their texts on a sheet."""
    from talkingpoints.commands.preview import write_preview
    from talkingpoints.data.formats.conversion import read_annotations
    from talkingpoints.data.formats.interface import ReadOptions

    name = source_format and source_format.value
    options = ReadOptions(text_attribute, label_attribute)
    found = read_annotations(source, name, photos=photos, options=options, skip_bad_rows=skip_bad_rows)
    shown = write_preview(found.photos, output, Path(source).name, limit)
    typer.echo(f"{output}: {shown} of {len(found.photos)} photos, {found.points} points in all")


@app.command()
def prelabel(
    source: Annotated[Path, typer.Argument(help="Folder of photos.")],
    target: Annotated[Path, typer.Argument(help="A folder, empty or not there yet.")],
    text: Annotated[
        list[str] | None, typer.Option(help="To be found; becomes the point's text. May be repeated.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Class to be found; becomes its label. May be repeated.")
    ] = None,
    to: Annotated[PrelabelFormat, typer.Option(help="The annotation tool.")] = PrelabelFormat.label_studio,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out what is less likely in the photo.")] = 0.5,
    image_prefix: Annotated[
        str, typer.Option(help="Put before photos' names, for example /data/local-files/?d=photos/")
    ] = "",
    localizer: Localizer = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Find texts or classes in photos, as predictions for an annotation tool."""
    from talkingpoints.commands import prelabel as prelabels
    from talkingpoints.commands import single

    tp = single.load_models(None, localizer, device)
    found = prelabels.prelabel(
        tp, source, text or [], label or [], threshold=threshold, image_prefix=image_prefix, progress=not quiet
    )
    counts, losses = prelabels.write_prelabels(found, target, to.value)
    lost = [f"lost: {count} {what}" for what, count in losses.items() if count]
    show(counts | {"lost": +losses}, as_json, f"{counts['points']} points in {counts['photos']} photos", *lost)


@app.command(context_settings=PASSED_ON)
def evaluate(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Custom points of any format, or a folder with COCO keypoints.")],
    split: Annotated[str | None, typer.Option(help="Only photos of this split. [default: all]")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file for the report.")] = None,
    photos: Photos = None,
    protocol: Annotated[
        bool,
        typer.Option(
            "--protocol", help="The whole protocol on COCO keypoints; takes the options of training.evaluate."
        ),
    ] = False,
    descriptor: Descriptor = None,
    localizer: Localizer = None,
    device: Device = None,
    skip_bad_rows: SkipBadRows = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure how often texts are found, and the descriptor's own texts, beside two control rows."""
    given = {"--descriptor": descriptor, "--localizer": localizer, "--device": device}
    if protocol:
        from talkingpoints.commands.environment import run_script

        if split is None or output is None:
            raise typer.BadParameter("--protocol needs --split and --output")
        options = [word for name, value in given.items() if value is not None for word in (name, value)]
        arguments = ["--dataset", source, "--split", split, "--output", str(output), *options, *context.args]
        run_script("training.evaluate", arguments)
        return
    if context.args:
        raise typer.BadParameter(f"unknown: {' '.join(context.args)}; only --protocol passes options on")
    from talkingpoints.commands import evaluation, single
    from talkingpoints.data.formats.conversion import read_annotations

    found = read_annotations(source, photos=photos, skip_bad_rows=skip_bad_rows)
    chosen = evaluation.photos_of_split(found.photos, split)
    report = evaluation.evaluate_points(single.load_models(descriptor, localizer, device), chosen, not quiet)
    if output is not None:
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    show(report, as_json, *evaluation.lines(report))


@app.command(context_settings=PASSED_ON)
def push(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Of a model, an adapter, or custom points.")],
    repo_id: Annotated[str, typer.Argument(help="owner/name on the Hub.")],
) -> None:
    """Publish a model or custom points with a card. Further options are those of training.push_to_hub."""
    from talkingpoints.commands.environment import run_script

    run_script("training.push_to_hub", ["--folder", str(folder), "--repo_id", repo_id, *context.args])


@app.command()
def info(as_json: AsJson = False) -> None:
    """Versions, devices and models, for issue reports."""
    from talkingpoints.commands import environment

    found = environment.info()
    show(found, as_json, *environment.info_lines(found))


@app.command("app", context_settings=PASSED_ON)
def open_app(context: typer.Context) -> None:
    """Start the app in the browser. Options are those of app.py."""
    from talkingpoints.commands.environment import run_app

    run_app(context.args)


def main() -> None:
    """Run a command; an error that a user can mend is one line on stderr."""
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        if os.environ.get("TALKINGPOINTS_TRACEBACK"):
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
