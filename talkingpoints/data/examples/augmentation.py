"""Random crops, mirrorings and colour changes of a photo together with its scene.

The words are written after the change, from the changed photo, so left and right, places and colours stay true.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from talkingpoints.writer.scene import Scene


@dataclass(frozen=True)
class Augmentation:
    """How much a photo is changed.

    Args:
        crop: probability of a random crop.
        smallest_crop: least share of each side that a crop keeps.
        flip: probability of mirroring left to right.
        colour: probability of changed brightness, contrast and saturation.
        colour_range: factors are drawn from [1 - colour_range, 1 + colour_range].
    """

    crop: float = 0.8
    smallest_crop: float = 0.5
    flip: float = 0.5
    colour: float = 0.5
    colour_range: float = 0.3


def augment(
    image: Image.Image, scene: Scene, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Image.Image, Scene]:
    """Change a photo and its scene alike.

    Args:
        image: RGB photo.
        scene: its annotation, unit coordinates.
        augmentation: how much.
        rng: source of chance.

    Returns:
        The changed photo and scene. A crop that would leave no keypoint is not made.
    """
    if rng.random() < augmentation.crop:
        left, top, right, bottom = crop_box(image.size, augmentation, rng)
        if right > left and bottom > top:
            # whole pixels, so that photo and scene are cut at the same place
            box = (left / image.width, top / image.height, right / image.width, bottom / image.height)
            cropped = scene.cropped(box)
            if any(item.keypoints for item in cropped.objects):
                image, scene = image.crop((left, top, right, bottom)), cropped
    if rng.random() < augmentation.flip:
        image, scene = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), scene.flipped()
    if rng.random() < augmentation.colour:
        image = recoloured(image, augmentation, rng)
    return image, scene


def crop_box(size: tuple[int, int], augmentation: Augmentation, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A crop drawn for a photo of ``size`` (width, height): left, top, right, bottom in whole pixels; maybe empty."""
    width, height = size
    side_x, side_y = rng.uniform(augmentation.smallest_crop, 1.0, size=2)
    x0, y0 = rng.uniform(0, 1 - side_x), rng.uniform(0, 1 - side_y)
    return round(x0 * width), round(y0 * height), round((x0 + side_x) * width), round((y0 + side_y) * height)


def recoloured(image: Image.Image, augmentation: Augmentation, rng: np.random.Generator) -> Image.Image:
    """The photo with other brightness, contrast and saturation."""
    low, high = 1 - augmentation.colour_range, 1 + augmentation.colour_range
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(rng.uniform(low, high)))
    return image
