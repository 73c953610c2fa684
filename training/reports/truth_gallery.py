"""Pictures of descriptions that were true, false, or admitted not to know, for the report page."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto
from talkingpoints.evaluation.truth.breakdowns import as_judged
from talkingpoints.evaluation.truth.ring import ringed

SHOWN, SIDE_PX = 8, 320
"""Pictures of each sort, one a photo, and their longer side."""


def truth_galleries(
    photos: Sequence[AnnotatedPhoto], records: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Pictures with a ring around the point, by sort: "true" (no false claim), "false" (the wrong thing) and "admitted"
    (said not to know it, or to be background).

    Args:
        photos: Annotated photos.
        records: Of `measure`, of the same photos in the same order.
    """
    found: dict[str, list[dict[str, Any]]] = {"true": [], "false": [], "admitted": []}
    for photo, record in zip(photos, records, strict=True):
        taken: set[str] = set()
        for point in record["points"]:
            judged = point["judged"]["descriptor"]
            sort = _sort(judged)
            if sort is None or sort in taken or len(found[sort]) >= SHOWN:
                continue
            taken.add(sort)
            image = Image.fromarray(photo.pixels)
            at = (point["point"][0] * image.width, point["point"][1] * image.height)
            picture = ringed(image, (0, 0, *image.size), at, SIDE_PX)
            kinds = "not annotated" if point["kinds"] is None else ", ".join(point["kinds"]) or "background"
            found[sort].append({"image": _url(picture), "text": point["texts"]["descriptor"], "kinds": kinds})
        photo.__dict__.pop("pixels", None)
    return found


def _sort(judged: Mapping[str, Any]) -> str | None:
    gated = as_judged(judged).gated
    if judged["said"] in ("unknown", "background"):
        return "admitted"
    if "object" in judged["types"] and gated[judged["types"].index("object")] is False:
        return "false"
    return "true" if judged["read"] and False not in gated and True in gated else None


def _url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
