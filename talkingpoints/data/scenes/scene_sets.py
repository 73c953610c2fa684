"""Which data sets there are and how each is read: scene_sets.json as code.

Reading says what is there, held-out kinds too; what may be trained on is another question, which `trainable` answers
and `refuse_held_out` enforces.
"""

import hashlib
import json
import logging
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.data.scenes.coco_scenes import instance_scene, keypoint_scene, read_entries
from talkingpoints.data.scenes.scene_photos import ScenePhoto, hashed_split, packed_photo
from talkingpoints.data.scenes.voc_scenes import part_boxes, voc_scene
from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene
from talkingpoints.writer.fluent.lexicon import lexicon

SPLITS = ("train", "val", "test")
_log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def scene_sets() -> dict[str, dict[str, Any]]:
    """The options of each set, groups of kinds written out, by name."""
    text = (resources.files(__package__) / "scene_sets.json").read_text(encoding="utf-8")
    content = json.loads(text)
    for options in content["sets"].values():
        names = options.get("absent", ())
        options["absent"] = {k for n in names for k in (content["groups"][n[1:]] if n[0] == "@" else [n])}
    return dict(content["sets"])


def load_scenes(data: str | Path, name: str, split: str, cache: Path | None = None) -> list[ScenePhoto]:
    """Read one split of a set.

    Args:
        data: Folder of all sets.
        name: Of the set, as `scene_sets()` has it.
        split: "train", "val" or "test".
        cache: Folder that keeps what was read, for the next run; None reads anew.

    Returns:
        The photos, each with its scene; held-out kinds are there too.

    Raises:
        ValueError: If the set or the split is unknown, or the files are missing or do not fit each other.
    """
    sets = scene_sets()
    if name not in sets:
        raise ValueError(f"name: {name!r} is no set; allowed: {', '.join(sets)}.")
    if split not in SPLITS:
        raise ValueError(f"split: {split!r}; allowed: {', '.join(SPLITS)}.")
    folder = Path(data) / name
    if not folder.is_dir():
        raise ValueError(f"data: {folder} is not a folder; give the folder that holds {name!r}.")
    stamp = "" if cache is None else _stamp(folder, Path(data) / "voc_parts")
    file = None if cache is None else cache / f"{name}_{split}_{stamp}.pickle"
    if file is not None and file.is_file():
        found: list[ScenePhoto] = pickle.loads(file.read_bytes())
        return found
    options = sets[name]
    photos = [
        packed_photo(name, image, _completed(scene, options))
        for image, scene in _read(Path(data), name, split, options)
        if scene.things
    ]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(photos))
    return photos


def _stamp(*folders: Path) -> str:
    """A name for what scenes are made of: the code and vocabulary that make them, and the annotation files."""
    package = Path(__file__).parent
    code = [*package.iterdir(), *(package.parents[1] / "writer" / "fluent").iterdir()]
    code += [package.parents[1] / "writer" / "vocabulary" / name for name in ("kinds.json", "parts.json")]
    digest = hashlib.sha256()
    for file in sorted(file for file in code if file.suffix in (".py", ".json")):
        digest.update(file.read_bytes())
    for file in sorted(file for folder in folders for file in folder.rglob("*.json")):
        stat = file.stat()
        digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def held_out_kinds(photo: ScenePhoto) -> frozenset[str]:
    """The held-out kinds that a photo shows."""
    return frozenset(thing.kind for thing in photo.bare.things) & lexicon().held_out.keys()


def trainable(photos: Iterable[ScenePhoto]) -> list[ScenePhoto]:
    """The photos that a training or a choice of a model may see: those without a held-out kind."""
    return [photo for photo in photos if not held_out_kinds(photo) and not _is_held_out(photo.dataset)]


def refuse_held_out(photos: Iterable[ScenePhoto]) -> None:
    """Check that training sees no held-out kind.

    Raises:
        ValueError: If a photo shows one, or is of a held-out set.
    """
    for photo in photos:
        kinds = held_out_kinds(photo) or ({photo.dataset} if _is_held_out(photo.dataset) else ())
        if kinds:
            raise ValueError(
                f"{photo.image.name} of {photo.dataset} shows {', '.join(sorted(kinds))}: held out, never trained on; "
                "leave such photos out with trainable()"
            )


def _is_held_out(name: str) -> bool:
    return bool(scene_sets().get(name, {}).get("held_out"))


def _completed(scene: AnnotatedScene, options: dict[str, Any]) -> AnnotatedScene:
    """What the set says of all its photos: which kinds may be counted, and which are certainly absent."""
    here = {thing.kind for thing in scene.things}
    wider = here | ({"person"} if options.get("owner") == "person" else set())
    absent = (scene.absent | options["absent"]) - wider
    counted = frozenset(options.get("counted", ())) - scene.counted  # readers give those that may not be counted
    return replace(scene, absent=frozenset(absent), counted=counted)


def _read(data: Path, name: str, split: str, options: dict[str, Any]) -> Iterator[tuple[Path, AnnotatedScene]]:
    folder, kind = data / name, options["format"]
    if kind == "panoptic":
        yield from _panoptic(folder, split, options)
        return
    if kind == "pascal":
        yield from _pascal(data, folder, split, options)
        return
    shares: dict[str, float] = options.get("splits", {})
    own_split = split != "test" and bool(shares)  # val is cut out of train
    file = folder / "annotations" / f"{'train' if own_split else split}.json"
    boxes = part_boxes(data / "voc_parts" / "annotations" / f"{split}.json") if kind == "voc" else {}
    names = sorted({c["name"] for _, found in read_entries(file) for _, c in found} - {"_background_"})
    options = options | {"categories": names}
    for entry in read_entries(file):
        photo = entry[0]["file_name"]
        if own_split and hashed_split(photo, shares) != split:
            continue
        image = folder / "images" / photo
        if not image.is_file():
            raise ValueError(f"{file} lists {photo}, which is not in {image.parent}")
        if kind == "voc":
            mask = folder / "masks" / f"{Path(photo).stem}.png"
            yield image, voc_scene(entry, options, mask, boxes.get(photo))
        elif kind == "keypoints":
            yield image, keypoint_scene(entry, options)
        else:
            yield image, instance_scene(entry, options, image)


def _panoptic(folder: Path, split: str, options: dict[str, Any]) -> Iterator[tuple[Path, AnnotatedScene]]:
    from talkingpoints.data.scenes.mask_scenes import panoptic_scene, panoptic_uncounted

    for part in ("train2017", "val2017"):
        json_file = folder / "annotations" / f"panoptic_{part}.json"
        for photo in PanopticPhotos(json_file, folder / part, folder / f"panoptic_{part}"):
            if hashed_split(photo.image.name, options["splits"]) == split:
                scene = panoptic_scene(photo)
                yield photo.image, replace(scene, counted=panoptic_uncounted(photo))


def _pascal(data: Path, folder: Path, split: str, options: dict[str, Any]) -> Iterator[tuple[Path, AnnotatedScene]]:
    """PASCAL-Part's photos by hash; those that AnimalPose has too stay in AnimalPose's split."""
    from talkingpoints.data.scenes.mask_scenes import PascalScenes

    known: dict[str, str] = {}
    for other in SPLITS:
        file = data / "animalpose" / "annotations" / f"{other}.json"
        if file.is_file():
            known |= {Path(entry[0]["file_name"]).stem: other for entry in read_entries(file)}
    scenes = PascalScenes(folder)
    for number, name in enumerate(scenes.names()):
        if known.get(name, hashed_split(name, options["splits"])) == split:
            yield scenes.scene(number)
