"""COCO keypoints as points of their own: AP-10K, AnimalPose, people. There are no masks: each keypoint is a part."""

import numpy as np

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.dataset_builder.points.tasks import PartObject, PartPhoto
from talkingpoints.dataset_builder.sources.coco_parts import coco_photo
from talkingpoints.dataset_builder.sources.names import object_name
from talkingpoints.dataset_builder.sources.source import Folder, PartSource


class CocoPoints(PartSource):
    """One split, as :func:`load_keypoints` reads it; from a folder of this machine only.

    Raises:
        ValueError: what that reader refuses, or a bucket.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        if folder.remote:
            raise ValueError(f"{folder.place}: keypoints are read from folders of this machine only")
        self._rows = load_keypoints(folder.place, split).remove_columns("image")
        self.photos = [name.rpartition(".")[0] for name in self._rows["file_name"]]

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        row = self._rows[index]
        size = (row["height"], row["width"])
        objects = []
        for item in row["objects"]:
            x, y, width, height = item["bbox"]
            left, top = max(0, round(x)), max(0, round(y))
            mask = np.zeros(size, dtype=bool)
            mask[top : max(top, round(y + height)), left : max(left, round(x + width))] = True
            inside = {k["name"]: (k["x"], k["y"]) for k in item["keypoints"] if k["x"] < size[1] and k["y"] < size[0]}
            if mask.any():
                objects.append(PartObject(object_name(item["label"]), mask, {}, inside))
        image = coco_photo(self.folder, self.split, row["file_name"])
        return PartPhoto(self.name, self.split, self.photos[index], image, size, tuple(objects))
