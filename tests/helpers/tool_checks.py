"""What the annotation tools' own libraries read of our files, and of the layouts that the readers are tested with.

    python -m tests.helpers.tool_checks write FOLDER          # in this project's environment
    python tests/helpers/tool_checks.py label_studio FOLDER   # in one with label-studio-sdk, and so on

Each tool pins other versions of the same packages, so each has an environment of its own; see .ci/full. Only the
standard library and the tool are imported there.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

LAYOUTS = Path(__file__).resolve().parents[1] / "formats" / "layouts"
SIZE = (640, 480)
POINTS = [  # x, y, text, label
    (320.0, 240.0, "The cat's nose, <pink> & wet.", "cat"),
    (0.25, 479.5, "Éte\u2028 two lines", "paw"),
    (639.75, 0.5, "", "cat"),
]


def write(folder: Path) -> None:
    """Our files, a folder for each tool, with their photo."""
    from PIL import Image

    from talkingpoints.data.formats.conversion import write_annotations
    from talkingpoints.data.formats.records import PhotoRecord, PointRecord

    photo = folder / "cat.png"
    folder.mkdir(parents=True)
    Image.new("RGB", SIZE).save(photo)
    for name in ("label_studio", "datumaro", "cvat", "coco", "labelme"):
        points = [PointRecord(*point) for point in POINTS]
        record = PhotoRecord("cat.png", (SIZE[1], SIZE[0]), points, path=photo)
        write_annotations([record], folder / name, name, copy_photos=True)


def same(found: list[tuple[float, float, str, str]], texts: bool = True) -> None:
    """Whether all points are there, to half a pixel, with label and text."""
    wanted = [point if texts else (*point[:2], "", point[3]) for point in POINTS]
    assert len(found) == len(wanted), found
    for one, other in zip(sorted(found), sorted(wanted), strict=True):
        assert abs(one[0] - other[0]) <= 0.5 and abs(one[1] - other[1]) <= 0.5, (one, other)
        assert one[2:] == other[2:], (one, other)


def label_studio(folder: Path) -> None:
    """The SDK checks our predictions against our configuration, and its converter reads the export."""
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.label_interface import LabelInterface

    config = (folder / "label_studio/labeling_config.xml").read_text(encoding="utf-8")
    tasks = json.loads((folder / "label_studio/tasks.json").read_text(encoding="utf-8"))
    interface = LabelInterface(config)
    interface.validate()  # raises for a configuration that is none
    for task in tasks:
        for prediction in task["predictions"]:
            errors = interface.validate_prediction(prediction, return_errors=True)
            assert errors in ([], True), errors
    words = [one["value"] for task in tasks for p in task["predictions"] for one in p["result"]]
    texts = {(one["x"], one["y"]): one["text"][0] for one in words if "text" in one}
    points = [one for one in words if "keypointlabels" in one]
    same([
        (p["x"] / 100 * SIZE[0], p["y"] / 100 * SIZE[1], texts.get((p["x"], p["y"]), ""), p["keypointlabels"][0])
        for p in points
    ])  # fmt: skip
    export = next((LAYOUTS / "label_studio").glob("*.json"))
    parsed = list(Converter(config, str(folder)).iter_from_json_file(str(export)))
    assert [len(task["output"]["kp"]) for task in parsed] == [2], "the cancelled annotation is passed over"


def datumaro(folder: Path) -> None:
    """Datumaro imports our Datumaro, CVAT and COCO files, and two layouts.

    It refuses COCO files in which an object has no keypoints, as one of that layout.
    """
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    for form, kind in (("datumaro", "datumaro"), ("cvat", "cvat"), ("coco", "coco_person_keypoints")):
        source = folder / form
        if form == "coco":  # Datumaro wants the name that COCO's own files have
            target = source / "annotations" / "person_keypoints_train.json"
            (source / "annotations" / "train.json").rename(target)
        dataset = Dataset.import_from(str(source), kind)
        labels = [label.name for label in dataset.categories()[AnnotationType.label]]
        found = []
        for item in dataset:
            assert item.media.size in (None, (SIZE[1], SIZE[0])), item.media.size
            captions = {one.group: one.caption for one in item.annotations if one.type is AnnotationType.caption}
            for one in item.annotations:
                if one.type is AnnotationType.points:
                    text = one.attributes.get("text") or captions.get(one.group, "") if form != "coco" else ""
                    found.append((*one.points[:2], text, labels[one.label]))
        same(found, texts=form != "coco")
    for layout, kind in (("datumaro", "datumaro"), ("cvat_task", "cvat")):
        copy = folder / f"{layout}_layout"
        shutil.copytree(LAYOUTS / layout, copy)
        (copy / "images" / "more").mkdir(parents=True)
        for photo in ("cat.jpg", "more/dog.jpg"):  # Datumaro wants the photos there
            shutil.copy(folder / "cat.png", copy / "images" / photo)
        items = list(Dataset.import_from(str(copy), kind))
        assert any(one.type is AnnotationType.points for item in items for one in item.annotations), layout


def labelme(folder: Path) -> None:
    """LabelMe opens our file and the layout."""
    import labelme._label_file as label_file

    for file in (folder / "labelme/cat.json", None):
        if file is None:  # the layout, with a photo beside it
            (folder / "labelme/cat.jpg").write_bytes((folder / "labelme/cat.png").read_bytes())
            content = json.loads((LAYOUTS / "labelme/cat.json").read_text())
            content["imagePath"] = "cat.jpg"
            file = folder / "labelme" / "layout.json"
            file.write_text(json.dumps(content))
        opened = label_file.LabelFile(str(file))
        shapes = [one for one in opened.shapes if one["shape_type"] == "point"]
        if file.name == "cat.json":
            same([(*s["points"][0], s["description"], s["label"]) for s in shapes])
        else:
            assert [s["description"] for s in shapes] == ["The cat's nose, pink.", ""]


CHECKS: dict[str, Callable[[Path], None]] = {
    "write": write,
    "label_studio": label_studio,
    "datumaro": datumaro,
    "labelme": labelme,
}

if __name__ == "__main__":
    name, target = sys.argv[1:]
    CHECKS[name](Path(target))
    print(f"{name}: right")
