"""Panoptic segmentation-captioning: PQ, caption scores with coverage, and the dense-captioning mAP in both modes.

    python -m training.reports.evaluate_segments --truth coco/annotations/pix2cap_coco_val.json --truth_id_maps \\
        coco/panoptic_val2017 --predictions runs/segments/predictions.json --output runs/segments/report.json

Predictions are COCO panoptic JSON with a ``caption``, and for the corrected mAP a ``score``, for each segment, and PNGs
beside it. METEOR of the mAP is nltk's with WordNet where it is there; else the released mode has no figure, and the
corrected one takes METEOR 1.5 (Java) where that can run. What is not run says why.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.evaluation.metrics.caption_scores import METRICS, caption_scores, meteor_scores, no_meteor
from talkingpoints.evaluation.metrics.dense_captioning import MODES, Meteor, dense_captioning
from talkingpoints.evaluation.metrics.panoptic_quality import Overlaps, PanopticEvaluation, Quality, overlaps, pairs_of
from talkingpoints.evaluation.metrics.word_meteor import WordMeteor
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class SegmentEvaluationArguments:
    """What is compared with what."""

    truth: str = field(metadata={"help": "COCO panoptic JSON with descriptions"})
    predictions: str = field(metadata={"help": "the same with captions"})
    output: str = field(metadata={"help": "JSON file for the report"})
    truth_id_maps: str | None = field(default=None, metadata={"help": "folder of its PNGs; default: as COCO names it"})
    prediction_id_maps: str | None = field(default=None, metadata={"help": "likewise"})
    metrics: list[str] = field(default_factory=lambda: list(METRICS), metadata={"help": f"of {METRICS}"})
    map_modes: list[str] = field(default_factory=lambda: list(MODES), metadata={"help": f"of {MODES}"})


def meteor_for(mode: str) -> tuple[Meteor | None, str]:
    """What compares captions in a mode, and its name or why there is none."""
    try:
        return WordMeteor(), "nltk with WordNet"
    except RuntimeError as error:
        reason = str(error)
    if mode == "released":
        return None, reason
    if other := no_meteor():
        return None, f"{reason}; {other}"
    return meteor_scores, "METEOR 1.5"


def dense(photos: list[Overlaps], mode: str) -> dict[str, Any]:
    """The mAP in one mode, x 100."""
    meteor, name = meteor_for(mode)
    result = dense_captioning(photos, mode, meteor)
    described: Any = {"not_run": name} if result.map is None else round(100 * result.map, 4)
    return {
        "map": described,
        "detection_map": round(100 * result.detection, 4),
        "meteor": name if result.map is not None else None,
        "by_threshold": {
            f"iou {iou:g}" + (f" meteor {score:g}" if score >= 0 else ""): round(100 * value, 4)
            for (iou, score), value in result.by_threshold.items()
        },
    }


def percent(quality: Quality) -> dict[str, float]:
    """PQ, SQ and RQ x 100, and the number of categories."""
    values = {"pq": quality.pq, "sq": quality.sq, "rq": quality.rq}
    return {**{name: round(100 * value, 6) for name, value in values.items()}, "categories": quality.categories}


def evaluate(arguments: SegmentEvaluationArguments) -> dict[str, Any]:
    """The report."""
    maps = (arguments.truth_id_maps, arguments.prediction_id_maps)
    truth, predictions = (
        PanopticPhotos(Path(file), Path(file).parent, None if folder is None else Path(folder))
        for file, folder in zip((arguments.truth, arguments.predictions), maps, strict=True)
    )
    evaluation = PanopticEvaluation(truth.categories)
    photos: list[Overlaps] = []
    for one, other in tqdm(pairs_of(truth, predictions), total=len(truth), desc="photos", unit="photo"):
        photos.append(overlaps(one, other))
        evaluation.add(photos[-1], one.image_id)
    kinds = {"all": evaluation.quality(), "things": evaluation.quality(True), "stuff": evaluation.quality(False)}
    quality = {name: None if values is None else percent(values) for name, values in kinds.items()}
    references = [[match.truth.description or ""] for match in evaluation.matches]
    candidates = [match.predicted.description or "" for match in evaluation.matches]
    scores = caption_scores(references, candidates, arguments.metrics)
    return {
        "photos": len(photos),
        "quality": quality,
        "matched_segments": len(evaluation.matches),
        "coverage": 100 * evaluation.coverage(),
        "captions_of_matched_segments": scores.to_json(),
        "captions": scores.times(evaluation.coverage()).to_json(),
        "dense_captioning": {mode: dense(photos, mode) for mode in arguments.map_modes},
    }


def main(argv: list[str]) -> None:
    """Evaluate; see the module docstring."""
    (arguments,) = parse_arguments((SegmentEvaluationArguments,), argv)
    report = evaluate(arguments)
    file = Path(arguments.output)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    print(json.dumps({name: report[name] for name in ("quality", "coverage", "captions")}, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
