"""CVAT for images 1.1: one XML file.

Layout (docs.cvat.ai, "XML annotation format"): ``image[id, name, width, height]`` holds ``points[label,
points="x,y;.."]`` and ``skeleton[label]`` with one ``points[label, outside, occluded]`` for each keypoint;
``attribute[name]`` holds free text. Pixels. ``outside="1"`` says that a keypoint is not there.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as plain  # only writes; what comes from outside goes through defusedxml

from defusedxml import DefusedXmlException, ElementTree

from talkingpoints.data.formats.interface import Format, ReadOptions, files_below, folder_of, words
from talkingpoints.data.formats.records import (
    UNLABELLED,
    Annotations,
    Losses,
    PhotoRecord,
    PointRecord,
    Skeleton,
    no_label_note,
    skeletons,
    without_lone_groups,
)
from talkingpoints.data.validation.fields import shown

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNREADABLE = "characters that XML cannot hold"


def fits(path: Path) -> bool:
    """Whether there is an XML file with ``annotations``."""
    if path.is_file() and path.suffix.lower() != ".xml":
        return False
    for file in files_below(path, ".xml"):
        try:
            if _root(file).tag == "annotations":
                return True
        except ValueError:
            if path.is_file():
                raise
    return False


def read(path: Path, options: ReadOptions) -> Annotations:
    """Points and skeletons of all images; boxes, polygons, tracks and tags are left out."""
    found = Annotations([], str(path))
    for file in files_below(path, ".xml"):
        root = _root(file)
        if root.tag != "annotations":
            found.left_out["XML files of another kind"] += 1
            continue
        where = f"{file}, images (row 0 is the first)"
        for row, image in enumerate(root.iter("image")):
            with found.findings.entry(where, row, f", image {shown(image.get('name'))}"):
                found.photos.append(_photo(image, row, folder_of(path), options, found))
        found.left_out["tracks of a video"] += len(root.findall("track"))
    return found


def _photo(image: Any, row: int, folder: Path, options: ReadOptions, found: Annotations) -> PhotoRecord:
    name = image.get("name")
    if not name:
        raise ValueError("name is missing")
    size = (_whole(image, "height"), _whole(image, "width"))
    photo = PhotoRecord(name, size, split=image.get("subset") or "", row=row, folder=folder)
    most = max((_whole(shape, "group_id") for shape in image if shape.get("group_id")), default=0)
    for number, shape in enumerate(image):
        group = _whole(shape, "group_id") if shape.get("group_id") else most + 1 + number
        if shape.tag == "points":
            photo.points += _points(shape, "", group, options)
        elif shape.tag == "skeleton":
            for keypoint in shape.iter("points"):
                if keypoint.get("outside") == "1":
                    found.left_out["keypoints that are marked as not there"] += 1
                else:
                    photo.points += _points(keypoint, words(shape.get("label")), group, options)
        else:
            found.left_out[f"shapes of type {shape.tag}"] += 1
    photo.points = without_lone_groups(photo.points)
    return photo


def _points(shape: Any, skeleton: str, group: int, options: ReadOptions) -> Iterator[PointRecord]:
    """The points of an element; in a skeleton, its own label is a keypoint's name."""
    attributes = {words(one.get("name")): words(one.text) for one in shape.iter("attribute")}
    label = words(shape.get("label"))
    for pair in (shape.get("points") or "").split(";"):
        try:
            x, y = map(float, pair.split(","))
        except ValueError:
            raise ValueError(f'points must be "x,y;x,y;...", got {shown(shape.get("points"))}') from None
        rest = {name: value for name, value in attributes.items() if name != options.text_attribute}
        yield PointRecord(
            x,
            y,
            attributes.get(options.text_attribute, ""),
            skeleton or label,
            label if skeleton else "",
            group,
            shape.get("occluded") == "1",
            attributes=rest,
        )


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``annotations.xml``; its labels and their attributes must exist in the task that imports it."""
    losses = Losses()
    root = plain.Element("annotations")
    plain.SubElement(root, "version").text = "1.1"
    task = plain.SubElement(plain.SubElement(root, "meta"), "task")
    plain.SubElement(task, "size").text = str(len(photos))
    plain.SubElement(task, "mode").text = "annotation"
    _labels(plain.SubElement(task, "labels"), photos)
    for number, photo in enumerate(photos):
        height, width = photo.size or (0, 0)
        image = plain.SubElement(
            root, "image", id=str(number), name=_xml(photo.file_name, losses), width=str(width), height=str(height)
        )
        if photo.split:
            image.set("subset", photo.split)
        for one in skeletons(photo.points):
            _write_object(image, one, losses)
    losses.count((point for photo in photos for point in photo.points), "score")
    losses.count_photos(photos, "absent")
    no_label_note(losses, photos)
    plain.indent(root, " ")
    plain.ElementTree(root).write(folder / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return losses


def _write_object(image: plain.Element, one: Skeleton, losses: Losses) -> None:
    label = _xml(one.label or UNLABELLED, losses)
    parent = image
    if one.names:
        parent = plain.SubElement(image, "skeleton", label=label, source="auto", z_order="0")
    for position, point in enumerate(one.points):
        name = _xml(one.names[position], losses) if one.names else label
        shape = plain.SubElement(
            parent, "points", label=name, source="auto", occluded=str(int(point.occluded)), outside="0",
            points=f"{point.x:.3f},{point.y:.3f}", z_order="0",
        )  # fmt: skip
        if not one.names:
            del shape.attrib["outside"]  # only keypoints of a skeleton have it
        for key, value in {"text": point.text, **point.attributes}.items():
            if value:
                plain.SubElement(shape, "attribute", name=_xml(key, losses)).text = _xml(value, losses)
    if one.group is not None:
        (parent if one.names else shape).set("group_id", str(one.group))


def _labels(parent: plain.Element, photos: Sequence[PhotoRecord]) -> None:
    """The labels with their attributes, as the task that takes the file must have them."""
    known: dict[tuple[str, str], set[str]] = {}
    for photo in photos:
        for one in skeletons(photo.points):
            kind = "skeleton" if one.names else "points"
            attributes = {name for point in one.points for name in point.attributes}
            attributes |= {"text"} if any(point.text for point in one.points) else set()
            known.setdefault((one.label or UNLABELLED, kind), set()).update(attributes)
    for (name, kind), attributes in known.items():
        label = plain.SubElement(parent, "label")
        plain.SubElement(label, "name").text = _xml(name, Losses())
        plain.SubElement(label, "type").text = kind
        listed = plain.SubElement(label, "attributes")
        for attribute in sorted(attributes):
            entry = plain.SubElement(listed, "attribute")
            for key, value in {"name": attribute, "mutable": "False", "input_type": "text"}.items():
                plain.SubElement(entry, key).text = _xml(value, Losses())


def _xml(text: str, losses: Losses) -> str:
    clean, count = _NOT_XML.subn("\ufffd", text)
    losses[_UNREADABLE] += count
    return clean


def _root(file: Path) -> Any:
    try:
        return ElementTree.parse(file, forbid_dtd=True).getroot()
    except (ElementTree.ParseError, DefusedXmlException, OSError, LookupError) as error:
        raise ValueError(f"{file} is no valid XML, or holds a DTD or entities: {error}") from error


def _whole(element: Any, name: str) -> int:
    value = element.get(name) or ""
    if not value.isdecimal() or len(value) > 9:
        raise ValueError(f"{name} must be a whole number, got {shown(element.get(name))}")
    return int(value)


FORMAT = Format(
    "cvat",
    "CVAT for images 1.1",
    "annotations.xml with <annotations>, <image name width height> and <points> or <skeleton>",
    fits,
    read,
    write,
)
