"""A report as a page that people look at: one self-contained HTML file with tables, curves and round trips.

Leaves out: the figures themselves (talkingpoints/evaluation/report.py). The page holds photos of the dataset: mind
their licence before you publish it.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from talkingpoints.evaluation.metrics import pck
from talkingpoints.evaluation.protocol import Evaluation
from talkingpoints.evaluation.report import LabelledPoint
from talkingpoints.images import load_image

GALLERY = 8
"""Round trips in each gallery."""

_CURVES = ("descriptor", "reference", "semantic", "blind", "shuffled", "image_centre", "nearest_keypoint")
_SHOWN_PX = 320
_TRUTH, _FOUND = (0, 150, 90), (215, 40, 40)


def write_page(folder: Path, report: Mapping[str, Any], evaluation: Evaluation, dataset: Dataset,
               truth: Mapping[str, Any] | None = None) -> Path:  # fmt: skip
    """Write ``index.html`` into a folder.

    Args:
        folder: made if it is not there.
        report: the whole report, as it goes into the JSON file.
        evaluation: points and predictions that it was made from.
        dataset: the photos.
        truth: pictures of true, false and admitted texts, see truth_gallery.py.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["share"] = lambda share: "-" if share is None else f"{share:.1%}"
    templates.filters["mean"] = lambda row: (
        "-" if row is None else f"{row['mean']:.1f} ({row['ci95'][0]:.0f} to {row['ci95'][1]:.0f})"
    )
    templates.filters["one"] = lambda value: "-" if value is None else f"{value:.1f}"
    page = templates.get_template("report_page.html").render(
        report=report,
        command=" ".join(report["command"]),
        curves=pck_curves(evaluation),
        reliability=reliability_plot(report["calibration"]),
        galleries=galleries(evaluation, dataset),
        truth_galleries=truth or {},
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def pck_curves(evaluation: Evaluation) -> str:
    """PCK_img over its threshold, for the rows that tell most; a data URL."""
    thresholds = np.linspace(0.0, 0.3, 61)
    truths = np.array([point.point for point in evaluation.points])
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name in _CURVES:
        if name in evaluation.rows:
            errors = pck.unit_errors(evaluation.rows[name].predictions, truths)
            axes.plot(thresholds, [pck.pck(errors, t) for t in thresholds], label=name)
    axes.set(xlabel="threshold, share of the image", ylabel="PCK_img, percent", xlim=(0, 0.3), ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")
    return _svg(figure)


def reliability_plot(calibration: Mapping[str, Any]) -> str | None:
    """Accuracy over confidence, in ten bins, None where no row has a confidence; a data URL."""
    if not calibration:
        return None
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as it should be")
    for name, figures in calibration.items():
        curve = figures["curve"]
        label = f"{name}, calibration error {figures['ece']:.3f}"
        axes.plot([p["confidence"] for p in curve], [p["accuracy"] for p in curve], marker="o", label=label)
    axes.set(xlabel="confidence", ylabel="share within 0.1 of the image", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")
    return _svg(figure)


def galleries(evaluation: Evaluation, dataset: Dataset, row: str = "descriptor") -> dict[str, list[dict[str, Any]]]:
    """Best, median and worst round trips; of the best and the worst one a photo.

    Returns:
        By title, for each: ``image`` (a data URL, the true point a green ring, the found one a red cross),
        ``text``, ``error`` (share of the image, None for an empty text), ``label`` and ``name``.
    """
    points = evaluation.points
    errors = pck.unit_errors(evaluation.rows[row].predictions, np.array([point.point for point in points]))
    order = np.argsort(errors, kind="stable").tolist()
    best, worst = _one_a_photo(points, order), _one_a_photo(points, order[::-1])
    middle = max(0, len(order) // 2 - GALLERY // 2)
    chosen = {"Best": best[:GALLERY], "Median": order[middle : middle + GALLERY], "Worst": worst[:GALLERY]}
    return {title: [_trip(evaluation, dataset, row, errors, i) for i in indices] for title, indices in chosen.items()}


def _one_a_photo(points: Sequence[LabelledPoint], order: Sequence[int]) -> list[int]:
    """The first index of each photo."""
    firsts: dict[int, int] = {}
    for index in order:
        firsts.setdefault(points[index].row, index)
    return list(firsts.values())


def _trip(evaluation: Evaluation, dataset: Dataset, row: str, errors: np.ndarray, index: int) -> dict[str, Any]:
    point, predicted = evaluation.points[index], evaluation.rows[row]
    image = load_image(dataset[point.row]["image"])
    image.thumbnail((_SHOWN_PX, _SHOWN_PX))
    draw = ImageDraw.Draw(image)
    x, y = np.multiply(point.point, image.size).tolist()
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline="white", width=4)
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline=_TRUTH, width=2)
    found = np.isfinite(errors[index])
    if found:
        u, v = np.multiply(predicted.predictions[index], image.size).tolist()
        for width, colour in ((4, "white"), (2, _FOUND)):
            draw.line((u - 6, v - 6, u + 6, v + 6), fill=colour, width=width)
            draw.line((u - 6, v + 6, u + 6, v - 6), fill=colour, width=width)
    text = "" if predicted.texts is None else predicted.texts[index]
    error = float(errors[index]) if found else None
    return {"image": _jpeg(image), "text": text, "error": error, "label": point.label, "name": point.name}


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
