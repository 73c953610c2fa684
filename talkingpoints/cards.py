"""Model and dataset cards for the Hub, from the templates in ``card_templates/``.

Pure functions from facts to :class:`huggingface_hub.ModelCard` and ``DatasetCard`` (needs jinja2). The figures come
from the reports of training/evaluate.py, as tables and in the front matter's ``model-index``.

Leaves out: reading folders and pushing (training/push_to_hub.py), and the texts of the bundled pair (bundle.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData

TEMPLATES = Path(__file__).parent / "card_templates"

TASK = "image-text-to-text"
"""The Hub's own task that is nearest to both models'."""

PUBLISHED_METRICS = {
    "mpck_img": "mean of PCK at 0.1 and 0.2 of the image, %",
    "pck_img@0.1": "PCK at 0.1 of the image, %",
    "pck_img@0.05": "PCK at 0.05 of the image, %",
    "mpck_bbox": "mean of PCK at 0.05 to 0.25 of the box, %",
    "median_error_px": "median error, pixels",
}
"""What of a report goes into ``model-index``, by metric type: its name there."""


@dataclass(frozen=True)
class Role:
    """What distinguishes the cards of the two models.

    Attributes:
        tag: of the Hub, and the name of the ``pipeline``.
        name, what: for people.
        argument: of ``TalkingPoints.from_pretrained``.
        row: of a report that measures this model.
        call: one line with a pair ``tp``.
        inference: lines with ``model``, ``processor`` and ``photo``, without the package.
    """

    tag: str
    name: str
    what: str
    argument: str
    row: str
    call: str
    inference: str


ROLES = {
    "point_descriptor": Role(
        tag="point-description",
        name="Point Descriptor",
        what="Photo and point in, words out.",
        argument="descriptor",
        row="descriptor",
        call='print(tp.describe("dog.jpg", (120, 80)).text)',
        inference="""inputs = processor(images=[photo], points=[[(0.4, 0.3)]])  # x, y as shares of width and height
output = model.generate(**inputs, max_new_tokens=96)[:, inputs["input_ids"].shape[1] :]
print(processor.batch_decode(output, skip_special_tokens=True)[0])""",
    ),
    "point_localizer": Role(
        tag="point-localization",
        name="Point Localizer",
        what="Photo and words in, point out, with a heat map, a confidence, and whether it is there at all.",
        argument="localizer",
        row="reference",
        call='print(tp.localize("dog.jpg", "the dog\'s left ear"))',
        inference="""inputs = processor(images=photo, text="the dog's left ear")
there = processor.post_process(model(**inputs), sizes=[(photo.height, photo.width)])[0]
print(there.x, there.y, there.confidence, there.presence)""",
    ),
}
"""By ``model_type``."""


@dataclass(frozen=True)
class Told:
    """Card fields that only the author can supply. Empty if not given.

    Attributes:
        base: Hub id of the base, or a text about it.
        datasets: Hub ids or names of the training data.
        license, license_name: Identifiers as the Hub knows them.
        about, data, training, limits, licence: Paragraphs that replace the default ones.
    """

    base: str = ""
    datasets: Sequence[str] = ()
    license: str = ""
    license_name: str = ""
    about: str = ""
    data: str = ""
    training: str = ""
    limits: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Weights:
    """What is published of a model.

    Attributes:
        model_type: "point_descriptor" or "point_localizer".
        parameters: how many; of an adapter, its own.
        megabytes: of the files with weights.
        adapter_of: for an adapter, Hub id or name of the model that it changes.
        base_revision: that model's commit, if it is known.
        own_config: whether an adapter brings the point model's configuration along, for a base that is none.
        own_processor: whether a processor lies beside the weights.
    """

    model_type: str
    parameters: int
    megabytes: float
    adapter_of: str = ""
    base_revision: str = ""
    own_config: bool = False
    own_processor: bool = True


def model_card(
    weights: Weights, told: Told, reports: Sequence[Mapping[str, Any]] = (), repo_id: str = "", revision: str = ""
) -> ModelCard:
    """The card of a descriptor, a localizer, or an adapter over one of them.

    Args:
        weights: what is published.
        told: Fields that only the author can supply.
        reports: of training/evaluate.py.
        repo_id: where it is published; empty for the pair that the package holds.
        revision: commit of the weights, which the snippets pin.

    Raises:
        KeyError: If a report lacks the row that measures this model.
    """
    role = ROLES[weights.model_type]
    name = repo_id.rpartition("/")[2] or f"Talking Points: bundled {role.name}"
    base = weights.adapter_of or told.base
    data = ModelCardData(
        license=told.license or None,
        license_name=told.license_name or None,
        library_name="peft" if weights.adapter_of else "transformers",
        base_model=base if is_hub_id(base) else None,
        datasets=[d for d in told.datasets if is_hub_id(d)] or None,
        pipeline_tag=TASK,
        tags=["talking-points", role.tag],
        model_name=name,
        eval_results=eval_results(role, reports) or None,
        metrics=["mpck_img"] if reports else None,
    )
    if not reports:
        data.pop("model_name")  # the front matter has it with figures only
    size = f"{weights.parameters:,} parameters, {weights.megabytes:.1f} MB."
    return ModelCard.from_template(
        data,
        str(TEMPLATES / "model_card.md"),
        name=name,
        role=role,
        weights=weights,
        facts=told,
        summary=f"An adapter over {base}: {size}" if weights.adapter_of else size,
        base_name=base,
        repo_id=repo_id,
        revision=revision,
        reports=bool(reports),
        figures=figures_table(reports),
        licence=told.licence or licence(told),
    )


def dataset_card(
    told: Told, counts: Mapping[str, tuple[int, int]], metadata: str, repo_id: str, revision: str = ""
) -> DatasetCard:
    """The card of a folder of photos with points.

    Args:
        told: Fields that only the author can supply.
        counts: by split, its photos and its points.
        metadata: name of the file that holds the points.
        repo_id: where it is published.
        revision: commit of the data, which the snippets pin.
    """
    points = sum(n for _, n in counts.values())
    data = DatasetCardData(
        license=told.license or None,
        license_name=told.license_name or None,
        task_categories=[TASK],
        size_categories=size_category(points),
        tags=["talking-points", "keypoints"],
        pretty_name=repo_id.rpartition("/")[2],
    )
    return DatasetCard.from_template(
        data,
        str(TEMPLATES / "dataset_card.md"),
        name=data.pretty_name,
        facts=told,
        counts=counts,
        metadata=metadata,
        repo_id=repo_id,
        revision=revision,
        licence=told.licence or licence(told),
    )


def eval_results(role: Role, reports: Sequence[Mapping[str, Any]]) -> list[EvalResult]:
    """The row of each report that measures this model, for the front matter's ``model-index``."""
    results = []
    for report in reports:
        row = report["rows"][role.row]
        values = {name: row.get(name) for name in PUBLISHED_METRICS}
        values |= {f"pck_img@{threshold}": value for threshold, value in row["pck_img"].items()}
        results += [
            EvalResult(
                task_type=TASK,
                task_name=role.name,
                dataset_type=report["dataset"],
                dataset_name=report["dataset"],
                dataset_split=report["split"],
                metric_type=metric,
                metric_name=name,
                metric_value=round(values[metric], 2),
            )
            for metric, name in PUBLISHED_METRICS.items()
            if values[metric] is not None
        ]
    return results


def figures_table(reports: Sequence[Mapping[str, Any]]) -> str:
    """Markdown tables of all rows of reports."""
    lines: list[str] = []
    for report in reports:
        lines += [
            f"{report['dataset']} {report['split']}: {report['n_points']:,} points in {report['n_images']} photos, "
            f"seed {report['seed']}",
            "",
            "| row | mpck_img | 95% interval | PCK_img@0.02 | @0.05 | @0.1 | @0.2 | mpck_bbox | median error, px |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in report["rows"].items():
            low, high = row["ci95"]
            shares = " | ".join(f"{row['pck_img'][t]:.1f}" for t in ("0.02", "0.05", "0.1", "0.2"))
            lines.append(
                f"| {name} | {row['mpck_img']:.1f} | {low:.1f} to {high:.1f} | {shares} | {row['mpck_bbox']:.1f} "
                f"| {'-' if row['median_error_px'] is None else format(row['median_error_px'], '.1f')} |"
            )
        lines.append("")
    return "\n".join(lines).strip()


def licence(told: Told) -> str:
    """A sentence about the licence."""
    stated = told.license_name or told.license
    if not stated:
        return "None was stated. The terms of the base and of the data apply; ask the author."
    return f"{stated}. The terms of the base and of the data apply as well."


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a Hub id, ``owner/name``."""
    owner, _, rest = name.partition("/")
    return all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in (owner, rest))


def size_category(n: int) -> str:
    """The Hub's category for a number of examples."""
    bounds = (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")
    return next((name for bound, name in bounds if n < bound), "n>10M")
