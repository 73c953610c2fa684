"""Scenes of many kinds of things -> training examples: a photo, several of its points, a text and its claims for each.

Held-out kinds are refused. Texts are written after the photo was changed, from the changed photo, so left and right,
places and colours stay true.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
from PIL import Image

from talkingpoints.data.examples.augmentation import Augmentation, crop_box, recoloured
from talkingpoints.data.examples.photo_passes import PhotoPasses
from talkingpoints.data.examples.region_examples import MixedExamples
from talkingpoints.data.scenes.pixel_cache import PixelCache
from talkingpoints.data.scenes.point_sampling import DrawnPoint, draw_anywhere, draw_named, draw_nothing
from talkingpoints.data.scenes.scene_photos import ScenePhoto
from talkingpoints.data.scenes.scene_sets import load_scenes, refuse_held_out, scene_sets, trainable
from talkingpoints.writer.facts import PointFacts
from talkingpoints.writer.fluent.absent_texts import TIERS, absent_text
from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene
from talkingpoints.writer.fluent.lexicon import SIDES, lexicon
from talkingpoints.writer.fluent.observations import Observation, PhotoView, observe
from talkingpoints.writer.fluent.sentences import STYLES, write_fluent
from talkingpoints.writer.fluent.text_claims import TextClaim

IGNORED = -100
"""Target of a point that has none, as torch's cross entropy leaves out."""
LISTENING = {"fluent": 3.0, "brief": 2.0, "typed": 3.0, "plain": 1.0, "placed": 1.0, "look": 1.0}
"""Styles for a localizer to learn."""
_TRIES = 8


@dataclass(frozen=True)
class SceneOptions:
    """What examples are made of.

    Args:
        points_per_photo: n, points (and texts) per example.
        styles: style of `sentences.STYLES` -> weight.
        anywhere: share of points anywhere on a thing, not the own point of a part.
        nothing: share of points on no thing, where it is known that there is none.
        tiers: share of texts that are false of the photo, by tier (see absent_texts.py).
        augmentation: None for none.

    Raises:
        ValueError: an unknown style or tier, no positive weight, or shares that are none.
    """

    points_per_photo: int = 8
    styles: Mapping[str, float] = field(default_factory=lambda: {"plain": 1.0})
    anywhere: float = 0.15
    nothing: float = 0.05
    tiers: Mapping[int, float] = field(default_factory=dict)
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        unknown = [str(name) for name in (*(set(self.styles) - set(STYLES)), *(set(self.tiers) - set(TIERS)))]
        if unknown:
            raise ValueError(f"styles, tiers: {', '.join(unknown)}; allowed: {STYLES}, {TIERS}.")
        if not sum(self.styles.values()) > 0 or min(self.styles.values()) < 0:
            raise ValueError(f"styles: {dict(self.styles)}; weights must not be negative, and one must be above 0.")
        shares = (self.anywhere, self.nothing, *self.tiers.values())
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"anywhere, nothing, tiers: {shares}; shares of 0 or more, at most 1 together.")


class SceneExample(TypedDict):
    """One photo and n of its points: ``image`` RGB, ``points`` float32 (n, 2) in the unit square, ``texts`` n,
    ``presence`` float32 (n,): 0 where the text is false of the photo (its point is then meaningless). ``kinds``,
    ``parts``, ``sides`` int64 (n,): what is at each point, numbered as `Lexicon.kind_ids` and `part_ids`, sides 0 for
    none, 1 left, 2 right; `IGNORED` where not known. ``claims`` n: of each text. ``observed`` n: what is true of each
    point. ``facts`` and ``told`` are empty: the older writer's."""

    image: Image.Image
    points: np.ndarray
    texts: list[str]
    presence: np.ndarray
    kinds: np.ndarray
    parts: np.ndarray
    sides: np.ndarray
    claims: list[tuple[TextClaim, ...]]
    observed: list[Observation]
    facts: list[PointFacts]
    told: list[frozenset[str]]


class _Row(NamedTuple):
    """A point with its text; `present` is whether the text is true of the photo."""

    point: tuple[float, float]
    text: str
    claims: tuple[TextClaim, ...]
    seen: Observation
    present: bool


class SceneExamples(PhotoPasses):
    """Views of annotated photos.

    Args:
        photos: of `load_scenes`, without held-out kinds (`trainable`).
        options: what examples are made of.
        passes: how often each photo is shown.
        seed: of everything random.
        pixels: file that keeps the decoded photos; None decodes each time.

    Raises:
        ValueError: no photo of which something can be said, or a photo with a held-out kind.
    """

    def __init__(
        self,
        photos: Sequence[ScenePhoto],
        options: SceneOptions | None = None,
        passes: int = 1,
        seed: int = 0,
        pixels: Path | None = None,
    ):
        refuse_held_out(photos)
        self.photos = [photo for photo in photos if _drawn(photo.scene(), "named", np.random.default_rng(0))]
        super().__init__(range(len(self.photos)), passes, seed)
        self.options = options or SceneOptions()
        self._pixels = PixelCache(self.photos, pixels)

    def __getitem__(self, index: int) -> SceneExample:
        rng = self.chance(index)
        image, scene = self._view(self.photo_of(index), rng)
        view, options = PhotoView(scene, np.asarray(image)), self.options
        sources = ["anywhere", "nothing", *map(str, options.tiers)]
        shares = [options.anywhere, options.nothing, *options.tiers.values()]
        chosen = rng.choice(["named", *sources], size=options.points_per_photo, p=[1 - sum(shares), *shares]).tolist()
        rows = [self._row(view, source, rng) for source in chosen]
        present = np.array([row.present for row in rows])
        part_ids, kind_ids = lexicon().part_ids, lexicon().kind_ids
        return SceneExample(
            image=image,
            points=np.array([row.point for row in rows], np.float32),
            texts=[row.text for row in rows],
            presence=present.astype(np.float32),
            kinds=np.array([kind_ids.get(row.seen.kind, IGNORED) for row in rows], np.int64),
            parts=np.array([part_ids.get(row.seen.part, IGNORED) for row in rows], np.int64),
            sides=np.array([_side_id(row.seen) for row in rows], np.int64),
            claims=[row.claims for row in rows],
            observed=[row.seen for row in rows],
            facts=[],
            told=[],
        )

    def _view(self, photo: int, rng: np.random.Generator) -> tuple[Image.Image, AnnotatedScene]:
        """The photo and its scene, changed alike; a crop that leaves nothing to speak of is not made."""
        image, scene = Image.fromarray(self._pixels[photo]), self.photos[photo].scene()
        change = self.options.augmentation
        if change is None:
            return image, scene
        if rng.random() < change.crop:
            box = crop_box(image.size, change, rng)
            if box[2] - box[0] >= 32 and box[3] - box[1] >= 32:
                cropped = scene.cropped(box)
                if _drawn(cropped, "named", np.random.default_rng(0)):
                    image, scene = image.crop(box), cropped
        if rng.random() < change.flip:
            image, scene = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), scene.flipped()
        if rng.random() < change.colour:
            image = recoloured(image, change, rng)
        return image, scene

    def _row(self, view: PhotoView, source: str, rng: np.random.Generator) -> _Row:
        """A point and a text; where the source has none for this photo, of a named point."""
        place = source if source in ("anywhere", "nothing") else "named"
        drawn = _drawn(view.scene, place, rng) or _drawn(view.scene, "named", rng)
        assert drawn is not None  # the photo would not be here
        words = random.Random(int(rng.integers(2**31)))
        seen = observe(view, drawn.point, drawn.thing, drawn.part, drawn.exact)
        if source.isdigit():
            false = absent_text(int(source), view.scene, drawn.thing, seen, dict(self.options.styles), words)
            if false is not None:
                return _Row(drawn.point, false.text, false.claims, seen, False)
        styles = {
            style: weight for style, weight in self.options.styles.items() if style != "look" or not seen.ambiguous
        }
        styles = styles if sum(styles.values()) > 0 else dict(self.options.styles)
        style = words.choices(list(styles), list(styles.values()))[0]
        text = write_fluent(seen, style, words)
        return _Row(drawn.point, text.text, text.claims, seen, True)


def scene_mixture(
    data: str | Path,
    split: str,
    options: SceneOptions,
    length: int,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    cache: Path | None = None,
) -> MixedExamples:
    """Examples of many sets, each drawn as often as its weight says.

    Args:
        data: folder of all sets.
        split: "train" or "val".
        options: what examples are made of.
        length: number of examples.
        weights: by set; None takes those of scene_sets.json.
        seed: of everything random.
        cache: folder for what was read and decoded.

    Raises:
        ValueError: an unknown or held-out set, or what `load_scenes` refuses.
    """
    chosen = {name: o["weight"] for name, o in scene_sets().items()} if weights is None else dict(weights)
    for name, weight in chosen.items():
        if weight > 0 and scene_sets().get(name, {}).get("held_out"):
            raise ValueError(f"weights: {name} is held out and never trained on.")
    parts = []
    for number, (name, weight) in enumerate(sorted(chosen.items())):
        photos = trainable(load_scenes(data, name, split, cache)) if weight > 0 else []
        if photos:
            pixels = None if cache is None else cache / f"{name}_{split}.pixels"
            parts.append((SceneExamples(photos, options, seed=seed + number, pixels=pixels), weight))
    return MixedExamples(parts, length, seed)


def _drawn(scene: AnnotatedScene, source: str, rng: np.random.Generator) -> DrawnPoint | None:
    """A point of a source, None if a few draws find none."""
    draw = {"named": draw_named, "anywhere": draw_anywhere, "nothing": draw_nothing}[source]
    for _ in range(_TRIES):
        found = draw(scene, rng)
        if found is not None:
            return found
    return None


def _side_id(seen: Observation) -> int:
    if seen.kind is not None and seen.part is None:
        return IGNORED
    return 0 if seen.side is None else 1 + SIDES.index(seen.side)
