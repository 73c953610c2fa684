"""Texts about a point made from its annotation: the reference, and what must do badly or be refused.

The reference is the writer's text from the annotation. Controls differ from it in one fact. Absent texts speak of what
the photo does not show, in four tiers: another known kind, a kind that the model was never told of (or nonsense), a
part that is not visible, a wrong attribute.
"""

import dataclasses
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto, Item, Named
from talkingpoints.evaluation.truth.places import Place, truth_at
from talkingpoints.evaluation.truth.vocabulary import HELD_OUT, vocabulary
from talkingpoints.writer import phrases
from talkingpoints.writer.facts import PointFacts, point_facts, split_side
from talkingpoints.writer.object_colours import object_colours_of
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, swap_sides
from talkingpoints.writer.styles import write

STYLE = "canonical"
KNOWN = ("dog", "cat", "sheep", "horse", "cow", "person")
"""Kinds that the bundled pair was trained to name."""
NEVER_TOLD = ("tiger", "penguin", "robot", "submarine", "piano", "cactus")
"""Kinds for tier 2 beside the held-out ones; a model may learn to refuse these."""
NONSENSE = ("glorp", "frindle", "quaxer", "blivet")
NONSENSE_PARTS = ("sprocket", "wibble", "flange")
ANIMAL_PARTS = ("left ear", "right eye", "nose", "right front paw", "left back knee", "tailbase")
PERSON_PARTS = ("left ear", "right eye", "nose", "right wrist", "left knee", "right shoulder")
WRONG_PARTS = {
    "dog": "left front hoof", "cat": "left front hoof", "sheep": "right front claw", "horse": "right front claw",
    "cow": "left wing", "person": "tail",
}  # fmt: skip
"""Parts that a kind does not have: a contradiction."""
OPPOSITE = {
    "black": "white", "white": "black", "grey": "orange", "dark grey": "white", "brown": "white", "dark brown": "white",
    "tan": "black", "orange": "black", "red": "green", "pink": "black", "yellow": "purple", "green": "red",
    "blue": "orange", "purple": "yellow",
}  # fmt: skip


@dataclass(frozen=True)
class AbsentText:
    """A text about what the photo does not show; `tier` is 1 to 4, `variety` says which sort within it, `held_out`
    whether it speaks of a kind that no training may see."""

    text: str
    tier: int
    variety: str
    held_out: bool = False


def full_name(named: Named | Item) -> str:
    """ "left ear"."""
    return f"{named.side} {named.part}".strip()


def scene_of_photo(photo: AnnotatedPhoto) -> tuple[Scene, dict[int, int]]:
    """The photo's things as the writer's scene, and the place in it of each item that is a thing."""
    objects: list[SceneObject] = []
    places: dict[int, int] = {}
    for index, item in enumerate(photo.items):
        if item.part or not vocabulary().is_thing(item.kind) or min(_sides(item)) <= 0:
            continue
        places[index] = len(objects)
        named = tuple(Keypoint(full_name(n), n.x, n.y) for n in item.named)
        objects.append(SceneObject(item.kind, item.box, named))
    return Scene(tuple(objects), photo.size), places


def _sides(item: Item) -> tuple[float, float]:
    return item.box[2] - item.box[0], item.box[3] - item.box[1]


def facts_at(photo: AnnotatedPhoto, place: Place) -> PointFacts | None:
    """What the writer may say of a point; None where the annotation does not tell enough (a part of a thing whose box
    is unknown, or an unnamed place)."""
    scene, places = scene_of_photo(photo)
    if place.item is None:
        kinds = truth_at(photo, place).kinds
        return point_facts(scene, place.point, photo.pixels, None) if kinds == frozenset() else None
    item = photo.items[place.item]
    if item.part:
        return None
    if place.item not in places:
        return point_facts(scene, place.point, photo.pixels, None)
    part = None if place.named is None else full_name(item.named[place.named])
    return point_facts(scene, place.point, photo.pixels, places[place.item], part)


def reference_text(facts: PointFacts, style: str = STYLE) -> str:
    """The writer's text."""
    return write(facts, style, random.Random(0))


def neighbour_place(photo: AnnotatedPhoto, place: Place) -> Place | None:
    """The nearest other named point of the same thing, of another part; None without one."""
    if place.item is None or place.named is None:
        return None
    item = photo.items[place.item]
    own, truth = item.named[place.named], truth_at(photo, place)
    others = [(truth.distance(n), i) for i, n in enumerate(item.named) if n.part != own.part]
    if not others:
        return None
    index = min(others)[1]
    return Place((item.named[index].x, item.named[index].y), place.item, index)


def flipped_texts(facts: PointFacts, style: str = STYLE) -> dict[str, str]:
    """The reference with one word changed: "side", "part" and "kind", as far as the point has them."""
    flips = {}
    if facts.part is not None:
        if facts.side is not None:
            flips["side"] = dataclasses.replace(facts, part=swap_sides(facts.part))
        own = vocabulary().same(split_side(facts.part)[1])
        parts = PERSON_PARTS if facts.label == "person" else ANIMAL_PARTS
        other = next(bare for bare in (split_side(part)[1] for part in parts) if bare not in own)
        flips["part"] = dataclasses.replace(facts, part=f"{facts.side} {other}" if facts.side else other)
    if facts.label is not None:
        hoofed = facts.label in phrases.HOOFED
        kinds = [kind for kind in KNOWN if kind not in (facts.label, "person") and (kind in phrases.HOOFED) == hoofed]
        flips["kind"] = dataclasses.replace(facts, label=kinds[0])
    return {name: reference_text(changed, style) for name, changed in flips.items()}


def part_text(kind: str, part: str) -> str:
    """ "the dog's left ear"; of a thing without a part "the dog"."""
    if not part:
        return f"the {kind}"
    side, bare = split_side(part)
    owner = phrases.possessive(f"the {kind}")
    template = phrases.part_templates(bare, kind.rpartition(" ")[2])[0]
    return template.format(its=owner, side=f"{side} " if side else "")


def present_texts(photo: AnnotatedPhoto, places: Sequence[Place]) -> list[tuple[str, Place]]:
    """For each place, the barest text about it ("the dog's left ear") and the reference, where both can be said of
    one thing only: with two dogs "the dog's left ear" has two answers."""
    found: list[tuple[str, Place]] = []
    for place in places:
        if place.item is None:
            continue
        item = photo.items[place.item]
        alone = sum(other.kind == item.kind and not other.part for other in photo.items) <= 1
        if item.part:
            alone &= sum((o.kind, o.part, o.side) == (item.kind, item.part, item.side) for o in photo.items) == 1
        named = full_name(item.named[place.named]) if place.named is not None else full_name(item)
        if alone and (named or place.named is None):
            found.append((part_text(item.kind, named), place))
        facts = facts_at(photo, place)
        if facts is not None and facts.label is not None:
            found.append((reference_text(facts), place))
    return found


def absent_texts(photo: AnnotatedPhoto, rng: random.Random, held_out: bool) -> list[AbsentText]:
    """Texts about what the photo does not show, one or two of each tier that it allows.

    Args:
        photo: The annotated photo.
        rng: Of the drawing.
        held_out: Whether held-out kinds may be spoken of: never where something is chosen by the answers.
    """
    shown = photo.kinds()
    texts = [AbsentText(part_text(kind, _some_part(kind, rng)), 1, "kind") for kind in _other_known(photo, rng)]
    strange = [kind for kind in (*NEVER_TOLD, *(HELD_OUT if held_out else ())) if kind not in shown]
    for kind in rng.sample(strange, 2):
        animal = "animal" in vocabulary().widened([kind])
        part = rng.choice(ANIMAL_PARTS[:3]) if animal else ""
        texts.append(AbsentText(part_text(kind, part), 2, "kind", kind in HELD_OUT))
    texts.append(AbsentText(part_text(rng.choice(NONSENSE), rng.choice(NONSENSE_PARTS)), 2, "nonsense"))
    things = [item for item in photo.items if not item.part and item.named]
    for item in things[:2]:
        same = [other for other in things if other.kind == item.kind]
        if len(same) == 1:
            texts += _of_hidden_parts(item, rng)
            texts += _wrong(photo, item, rng)
    return texts


def _other_known(photo: AnnotatedPhoto, rng: random.Random) -> list[str]:
    """One known kind that the photo does not show; no person where people may stand unannotated."""
    shown = photo.kinds()
    sure = [kind for kind in KNOWN if kind not in shown and (kind != "person" or kind in photo.complete)]
    return rng.sample(sure, 1) if sure else []


def _some_part(kind: str, rng: random.Random) -> str:
    return rng.choice(PERSON_PARTS if kind == "person" else ANIMAL_PARTS)


def _of_hidden_parts(item: Item, rng: random.Random) -> Iterable[AbsentText]:
    """A part that its kind has and of which none is labelled, left or right."""
    shown = {full_name(named) for named in item.named}
    parts = PERSON_PARTS if item.kind == "person" else ANIMAL_PARTS if item.kind in KNOWN else ()
    hidden = [p for p in parts if p not in shown]
    for part in rng.sample(hidden, min(1, len(hidden))):
        yield AbsentText(part_text(item.kind, part), 3, "hidden")


def _wrong(photo: AnnotatedPhoto, item: Item, rng: random.Random) -> Iterable[AbsentText]:
    """A colour that the thing does not have, and a part that its kind does not have."""
    named = tuple(Keypoint(full_name(n), n.x, n.y) for n in item.named)
    colours = object_colours_of(photo.pixels, SceneObject(item.kind, item.box, named))
    part = full_name(rng.choice(item.named))
    if len(colours) == 1:
        yield AbsentText(part_text(f"{OPPOSITE[colours[0]]} {item.kind}", part), 4, "colour")
    if item.kind in WRONG_PARTS:
        yield AbsentText(part_text(item.kind, WRONG_PARTS[item.kind]), 4, "contradiction")
