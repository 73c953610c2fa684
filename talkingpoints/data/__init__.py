"""Datasets in, texts out: the COCO-keypoints reader, scenes, and the writer of descriptions."""

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, scene_of
from talkingpoints.writer.styles import CANONICAL, STYLES, PointFacts, point_facts, write

__all__ = [
    "CANONICAL",
    "STYLES",
    "Keypoint",
    "PointFacts",
    "Scene",
    "SceneObject",
    "load_keypoints",
    "point_facts",
    "scene_of",
    "write",
]
