"""What all COCO files have in common: images with ids of their own, categories, and annotations that name both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from talkingpoints.data.validation.fields import Box, Name, Side, Whole, checked, shown
from talkingpoints.data.validation.findings import Findings


class CocoImage(TypedDict):
    """A photo: sizes in pixels."""

    id: Whole
    file_name: Name
    width: Side
    height: Side


class CocoCategory(TypedDict):
    """A category."""

    id: Whole
    name: Name
    supercategory: NotRequired[str | None]


class CocoAnnotation(TypedDict):
    """An annotation of a photo."""

    id: NotRequired[Any]
    image_id: Whole
    category_id: Whole
    bbox: NotRequired[Box | None]
    segmentation: NotRequired[Any]


def source(file: Path, section: str) -> str:
    """How findings name a list of a file."""
    return f"{file}, {section} (row 0 is the first)"


def coco_images(
    file: Path, entries: Sequence[Any], findings: Findings, kind: Any = CocoImage, names_once: bool = True
) -> dict[int, tuple[int, Any]]:
    """The images of a COCO file with their rows, by their id; those that are left out are in the findings.

    Args:
        file: is named in findings.
        entries: the list ``images``.
        findings: takes what is wrong: fields of other types, an id or a file name that comes twice (as when two exports
            were merged: nobody knows which photo an annotation is about).
        kind: their type.
        names_once: whether a file name may come once only, too.
    """
    where = source(file, "images")
    found: dict[int, tuple[int, Any]] = {}
    names: dict[str, int] = {}
    twice: set[int] = set()
    for number, entry in enumerate(entries):
        with findings.entry(where, number):
            image = checked(kind, entry)
            name = image.get("file_name")
            if image["id"] in found or image["id"] in twice:
                twice.add(image["id"])
                raise ValueError(f"id {image['id']} comes twice, here for {shown(name)}; were two exports merged?")
            if names_once and name in names:
                twice |= {image["id"], names[name]}
                raise ValueError(f"photo {shown(name)} is listed twice, as id {names[name]} and {image['id']}")
            found[image["id"]] = number, image
            names[name] = image["id"]
    return {key: one for key, one in found.items() if key not in twice}


def coco_categories(file: Path, entries: Sequence[Any], kind: Any = CocoCategory) -> dict[int, Any]:
    """The categories of a COCO file by their id.

    Raises:
        ValueError: A field of another type, or an id that comes twice.
    """
    found: dict[int, Any] = {}
    for number, entry in enumerate(entries):
        try:
            category = checked(kind, entry)
        except ValueError as error:
            raise ValueError(f"{file}: categories, row {number}: {error}") from None
        if category["id"] in found:
            raise ValueError(f"{file}: category {category['id']} comes twice")
        found[category["id"]] = category
    return found


def about(entry: Any) -> str:
    """How findings name an annotation beside its row."""
    return f", id {shown(entry['id'])}" if isinstance(entry, Mapping) and "id" in entry else ""


def image_of(annotation: Mapping[str, Any], images: Mapping[int, Any], listed: frozenset[Any]) -> Any:
    """The image of an annotation, None for one that is listed and was left out.

    Raises:
        ValueError: No image has that id.
    """
    key = annotation["image_id"]
    if key not in images and key not in listed:
        raise ValueError(f"image_id {key} is not in 'images'")
    return images.get(key)


def listed_ids(entries: Sequence[Any]) -> frozenset[Any]:
    """All ids that a list gives, also of entries that are left out."""
    return frozenset(
        entry["id"] for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("id"), int | str)
    )
