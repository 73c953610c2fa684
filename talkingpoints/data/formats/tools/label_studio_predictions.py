"""Predictions for Label Studio, and the labeling configuration that they fit; see ``label_studio`` for the layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.records import UNLABELLED, Losses, PhotoRecord, no_label_note

MODEL_VERSION = "talkingpoints"
POINT_WIDTH = 0.5
"""Size in which Label Studio draws a point, in percent."""
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <KeyPointLabels name="kp" toName="image">
{labels}
  </KeyPointLabels>
  <TextArea name="text" toName="image" perRegion="true" editable="true"/>
</View>
"""


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``tasks.json`` with predictions, and ``labeling_config.xml`` for the project that imports it."""
    losses = Losses()
    labels = list(dict.fromkeys(point.label or UNLABELLED for photo in photos for point in photo.points))
    tasks = [{"data": {"image": photo.file_name}, "predictions": [_prediction(photo)]} for photo in photos]
    (folder / "tasks.json").write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    lines = "\n".join(f"    <Label value={_attribute(label)}/>" for label in labels)
    (folder / "labeling_config.xml").write_text(CONFIG.replace("{labels}", lines), encoding="utf-8")
    losses.count((point for photo in photos for point in photo.points), "name", "group", "occluded", "attributes")
    losses.count_photos(photos, "absent", "split")
    no_label_note(losses, photos)
    return losses


def _attribute(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("\n", "&#10;")
    return f'"{escaped}"'


def _prediction(photo: PhotoRecord) -> dict[str, Any]:
    height, width = photo.size or (0, 0)
    frame = {"original_width": width, "original_height": height, "image_rotation": 0}
    results: list[dict[str, Any]] = []
    for number, point in enumerate(photo.points):
        place = {"x": point.x / width * 100, "y": point.y / height * 100, "width": POINT_WIDTH}
        one = {"id": f"point-{number}", "to_name": "image", **frame}
        value = {**place, "keypointlabels": [point.label or UNLABELLED]}
        score = {} if point.score is None else {"score": point.score}
        results.append({**one, "from_name": "kp", "type": "keypointlabels", "value": value, **score})
        if point.text:
            results.append({**one, "from_name": "text", "type": "textarea", "value": {**place, "text": [point.text]}})
    scores = [point.score for point in photo.points if point.score is not None]
    score = {"score": sum(scores) / len(scores)} if scores else {}
    return {"model_version": MODEL_VERSION, "result": results, **score}
