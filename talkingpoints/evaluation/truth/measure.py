"""Truth, refusal and robust reading of a pair on one set, photo by photo.

Each photo is opened once: its points are described, all texts about it are localized, and what came out goes into a
file at once, so that a run that was cut goes on. `summary` makes the figures of the records.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from talkingpoints.evaluation.truth import refusal
from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto
from talkingpoints.evaluation.truth.breakdowns import as_judged, by_kind, kinds_said, variant_shares
from talkingpoints.evaluation.truth.checking import judge
from talkingpoints.evaluation.truth.claims import BACKGROUND, UNKNOWN
from talkingpoints.evaluation.truth.parsing import parse
from talkingpoints.evaluation.truth.places import Place, PointTruth, places_of, truth_at
from talkingpoints.evaluation.truth.scores import JudgedText, differences, figures
from talkingpoints.evaluation.truth.sets import is_held_out
from talkingpoints.evaluation.truth.texts import (
    KNOWN,
    absent_texts,
    facts_at,
    flipped_texts,
    neighbour_place,
    present_texts,
    reference_text,
)
from talkingpoints.evaluation.truth.variants import variants
from talkingpoints.points import unit_distance

CONTROLS = ("neighbour", "other_photo", "never_looks", "flipped_side", "flipped_part", "flipped_kind")
ROWS = ("descriptor", "reference", *CONTROLS)
"""Whose texts are judged: the descriptor's, the writer's from the annotation, and controls that must do worse: the
reference of the nearest other named point, the descriptor on another photo and on a grey one, and the reference with
its side, part or kind changed."""
POINTS = 3
"""Points of a photo."""
VARIANT_PHOTOS = 200
"""Photos of which one text is read in its variants."""


@dataclass(frozen=True)
class Asking:
    """What is measured.

    Attributes:
        points: Of each photo.
        known: Kinds that the describer knows.
        choosing: Whether something is chosen by the answers: then held-out kinds are not asked for, and only present
            and absent texts are read.
        seed: Of the drawing.
    """

    points: int = POINTS
    known: frozenset[str] = frozenset(KNOWN)
    choosing: bool = False
    seed: int = 0


def measure(
    pair: Any, photos: Sequence[AnnotatedPhoto], asking: Asking, file: Path | None = None, *, progress: bool = False
) -> list[dict[str, Any]]:
    """Measure a pair on photos.

    Args:
        pair: Describes and localizes (a `TalkingPoints`).
        photos: Of one split of one set.
        asking: What is asked.
        file: Keeps each photo's record as a line of JSON; photos that it holds are not measured again. None for none.
        progress: Whether to show a progress bar.

    Returns:
        A record for each photo, as JSON values.

    Raises:
        ValueError: If the file holds records of another question.
    """
    question = json.dumps({"asking": [asking.points, sorted(asking.known), asking.choosing, asking.seed]})
    kept = {} if file is None else _read(file, question)
    other: Image.Image | None = None
    records = []
    for index, photo in enumerate(tqdm(photos, desc="truth", unit="photo", disable=not progress)):
        name = photo.file.name
        if name not in kept:
            image = Image.fromarray(photo.pixels)
            kept[name] = _record(pair, photo, image, other, asking, index < VARIANT_PHOTOS and not asking.choosing)
            if file is not None:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(kept[name]) + "\n")
            other = image
            del photo.__dict__["pixels"]  # else the pixels of all photos stay in memory
        records.append(kept[name])
    return records


def _read(file: Path, question: str) -> dict[str, dict[str, Any]]:
    """Records by photo; a line that was cut off is measured again."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(question + "\n", encoding="utf-8")
        return {}
    content = file.read_text(encoding="utf-8")
    first, *lines = content.split("\n")
    if first != question:
        raise ValueError(f"{file} holds answers to another question: {first}; now it is {question}")
    whole = [line for line in lines[:-1] if line]
    if lines and lines[-1]:
        file.write_text("\n".join([first, *whole, ""]), encoding="utf-8")
    records = [json.loads(line) for line in whole]
    return {record["photo"]: record for record in records}


def _record(
    pair: Any, photo: AnnotatedPhoto, image: Image.Image, other: Image.Image | None, asking: Asking, varied: bool
) -> dict[str, Any]:
    rng = random.Random(f"{asking.seed} {photo.file.name}")
    places = places_of(photo, rng, asking.points)
    rows = {} if asking.choosing else _texts(pair, photo, image, other, places)
    points = []
    for i, place in enumerate(places):
        truth = truth_at(photo, place)
        texts = {row: text for row, said in rows.items() if (text := said[i]) is not None}
        points.append(
            {
                "point": [round(value, 4) for value in place.point],
                "kinds": None if truth.kinds is None else sorted(truth.kinds),
                "texts": texts,
                "judged": {row: _judged(text, truth, asking.known) for row, text in texts.items()},
            }
        )
    held = is_held_out(photo)
    return {
        "photo": photo.file.name,
        "held_out": held,
        "points": points,
        "heard": _heard(pair, photo, image, places, asking, rng),
        "variants": _varied(pair, photo, image, places) if varied else None,
    }


def _texts(
    pair: Any, photo: AnnotatedPhoto, image: Image.Image, other: Image.Image | None, places: Sequence[Place]
) -> dict[str, list[str | None]]:
    """By row, a text or None for each place."""
    grey = Image.new("RGB", image.size, (128, 128, 128))
    facts = [facts_at(photo, place) for place in places]
    rows: dict[str, list[str | None]] = {
        "descriptor": _described(pair, image, places),
        "reference": [None if f is None else reference_text(f) for f in facts],
        "neighbour": [None] * len(places),
        "other_photo": _described(pair, other, places) if other is not None else [None] * len(places),
        "never_looks": _described(pair, grey, places),
    }
    rows |= {f"flipped_{name}": [None] * len(places) for name in ("side", "part", "kind")}
    for i, (place, own) in enumerate(zip(places, facts, strict=True)):
        near = neighbour_place(photo, place)
        beside = None if near is None else facts_at(photo, near)
        rows["neighbour"][i] = None if beside is None else reference_text(beside)
        if own is not None:
            for name, text in flipped_texts(own).items():
                rows[f"flipped_{name}"][i] = text
    return rows


def _described(pair: Any, image: Image.Image, places: Sequence[Place]) -> list[str | None]:
    points_px = [(place.point[0] * image.width, place.point[1] * image.height) for place in places]
    return [said.text for said in pair.describe(image, points_px)]


def _judged(text: str, truth: PointTruth, known: frozenset[str]) -> dict[str, Any]:
    parsed = parse(text)
    kinds = [value for claim in parsed.claims if claim.type == "object" for value in claim.values]
    said = "other"
    for name, values in (("named", known), ("unknown", {UNKNOWN}), ("background", {BACKGROUND})):
        if not values.isdisjoint(kinds):
            said = name
            break
    return {
        "types": [claim.type for claim in parsed.claims],
        "slots": [claim.slot for claim in parsed.claims],
        "verdicts": judge(parsed.claims, truth, known),
        "read": parsed.read,
        "said": said,
    }


def _heard(
    pair: Any, photo: AnnotatedPhoto, image: Image.Image, places: Sequence[Place], asking: Asking, rng: random.Random
) -> list[dict[str, Any]]:
    """What the localizer makes of present and absent texts."""
    present = present_texts(photo, places)
    absent = absent_texts(photo, rng, not asking.choosing)
    texts = [text for text, _ in present] + [text.text for text in absent]
    answers = pair.localize(image, texts) if texts else []
    rows: list[dict[str, Any]] = []
    for i, answer in enumerate(answers):
        row = {"text": texts[i], "presence": float(answer.presence), "confidence": _number(answer.confidence)}
        if i < len(present):
            row |= {"tier": 0, "error": float(unit_distance(answer.unit, present[i][1].point))}
        else:
            text = absent[i - len(present)]
            row |= {"tier": text.tier, "error": None, "variety": text.variety, "held_out": text.held_out}
        rows.append(row)
    return rows


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _varied(pair: Any, photo: AnnotatedPhoto, image: Image.Image, places: Sequence[Place]) -> dict[str, float] | None:
    """Unit errors of the first reference text, plain and in its variants."""
    for place in places:
        facts = facts_at(photo, place)
        if place.named is not None and facts is not None:
            texts = {"plain": reference_text(facts)} | variants(reference_text(facts))
            answers = pair.localize(image, list(texts.values()))
            return {
                name: float(unit_distance(answer.unit, place.point))
                for name, answer in zip(texts, answers, strict=True)
            }
    return None


def judged_texts(records: Iterable[Mapping[str, Any]], row: str) -> list[JudgedText]:
    """The judged texts of one row."""
    found = []
    for record in records:
        for i, point in enumerate(record["points"]):
            judged = point["judged"].get(row)
            if judged is not None:
                found.append(as_judged(judged, record["photo"], f"{record['photo']} {i}"))
    return found


def heard_texts(records: Iterable[Mapping[str, Any]]) -> list[refusal.Heard]:
    """The present and absent texts of records."""
    return [
        refusal.Heard(
            record["photo"], row["tier"], row["presence"],
            np.nan if row["confidence"] is None else row["confidence"],
            np.nan if row["error"] is None else row["error"],
            bool(record["held_out"] or row.get("held_out")),
        )
        for record in records for row in record["heard"]
    ]  # fmt: skip


def summary(
    records: Sequence[Mapping[str, Any]],
    points: Mapping[str, float] | None = None,
    known: frozenset[str] = frozenset(KNOWN),
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of records, as JSON values.

    Args:
        records: Of `measure`.
        points: Operating points by name, chosen elsewhere; None takes the default threshold alone.
        known: Kinds that the describer knows.
        seed: Of the bootstrap.

    Returns:
        `n_photos`; `truth`: by row, see `scores.figures`; `minus_reference`: the descriptor's precision minus the
        reference's, paired; `by_kind`: precision of the descriptor's claims for each kind; `kinds_said`: for points on
        known, held-out and further kinds, shares of what `SAID` lists; `refusal`: by operating point, and for held-out
        kinds apart; `calibration`; `variants`: PCK@0.1 of each by the plain text's.
    """
    rows = {row: judged_texts(records, row) for row in ROWS}
    truth = {row: figures(texts, rows["reference"], seed=seed) for row, texts in rows.items() if texts}
    heard = heard_texts(records)
    thresholds = {"default": 0.5} if points is None else dict(points)
    sorts = {"all": heard, "held_out": [h for h in heard if h.tier == 0 or h.held_out]}
    sorts["further"] = [h for h in heard if not h.held_out]
    return {
        "n_photos": len(records),
        "truth": truth,
        "minus_reference": differences(rows["descriptor"], rows["reference"], seed=seed) if rows["reference"] else None,
        "by_kind": by_kind(records),
        "kinds_said": kinds_said(records, known),
        "refusal": {
            name: {sort: refusal.refusal_figures(some, threshold, seed=seed) for sort, some in sorts.items() if some}
            for name, threshold in thresholds.items()
        },
        "calibration": refusal.calibration(heard) if heard else None,
        "variants": variant_shares(records),
    }
