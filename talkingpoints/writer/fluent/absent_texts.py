"""Texts that are false of a photo, for a localizer to learn to refuse: four tiers, as truth is measured by.

1. Another known kind than those in the photo. 2. A thing that the lexicon does not know, or nonsense. 3. The right
kind, but the part is not visible. 4. The right kind with a wrong attribute or a contradiction. No text names a held-out
kind.
"""

import json
import random
import string
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib import resources

from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene
from talkingpoints.writer.fluent.lexicon import lexicon
from talkingpoints.writer.fluent.neighbours import Near
from talkingpoints.writer.fluent.observations import LYING, STANDING, Observation
from talkingpoints.writer.fluent.phrasing import Phrasing
from talkingpoints.writer.fluent.sentences import BRIEF, FLUENT, TYPED, framed_text, write_fluent
from talkingpoints.writer.fluent.text_claims import FluentText, TextClaim

OTHER_KIND, UNKNOWN_KIND, HIDDEN_PART, WRONG = 1, 2, 3, 4
TIERS = (OTHER_KIND, UNKNOWN_KIND, HIDDEN_PART, WRONG)
NONSENSE_SHARE = 0.25
FAR_COLOURS = {
    "black": ("white", "orange", "tan", "red", "yellow"), "white": ("black", "brown", "dark brown", "red", "green"),
    "brown": ("white", "grey", "black", "blue"), "dark brown": ("white", "orange", "grey"),
    "tan": ("black", "dark grey"), "grey": ("orange", "brown", "white", "red"), "orange": ("black", "white", "grey"),
    "red": ("blue", "green", "white"), "green": ("red", "white", "black"), "blue": ("red", "yellow", "orange"),
    "yellow": ("blue", "black", "purple"), "pink": ("green", "black"), "purple": ("yellow", "white"),
}  # fmt: skip
_MACHINE = (
    "windscreen",
    "front light",
    "tailgate",
    "front door",
    "back bumper",
    "pedal",
    "crankset",
    "rear derailleur",
)
_BODY = (
    "eye",
    "nose",
    "ear",
    "tail",
    "front paw",
    "back paw",
    "throat",
    "belly",
    "hair",
    "beak",
    "wing",
    "elbow",
    "mouth",
)
IMPOSSIBLE = {
    "animal": ("wing", "beak", *_MACHINE), "hoofed": ("wing", "beak", *_MACHINE),
    "person": ("wing", "beak", "horn", "tailbase", "withers", "front paw", "back paw", "muzzle", *_MACHINE),
    "bird": ("front paw", "back paw", "wrist", "hair", "horn", "elbow", *_MACHINE),
    "car": _BODY, "bicycle": ("windscreen", "bonnet", "front door", *_BODY),
}  # fmt: skip
"""Parts that no thing with the part words of an owner has."""
SIDED_IMPOSSIBLE = frozenset({"eye", "ear", "wing", "front paw", "back paw", "elbow", "wrist", "front light"})
_TRIES = 10


@lru_cache(maxsize=1)
def kind_parts() -> dict[str, tuple[tuple[str, bool], ...]]:
    """(part, whether it has sides) of each kind that has parts, as the data annotate them."""
    file = resources.files("talkingpoints.writer") / "vocabulary" / "kind_parts.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    return {kind: tuple((name, sided) for name, sided in parts) for kind, parts in found.items()}


def absent_text(
    tier: int, scene: AnnotatedScene, thing: int | None, seen: Observation, styles: dict[str, float], rng: random.Random
) -> FluentText | None:
    """A text of a tier about a photo.

    Args:
        tier: One of `TIERS`.
        scene: The photo's annotation.
        thing: Index of the thing that the text is to be near to, for tiers 3 and 4; None for none.
        seen: What is true at some point of the photo, for texts that are right but for one thing.
        styles: Style -> weight.
        rng: Source of chance.

    Returns:
        The text, its claims, which are false; None where the tier has no text for this photo.

    Raises:
        ValueError: If the tier is unknown.
    """
    makers: dict[int, Callable[[], FluentText | None]] = {
        OTHER_KIND: lambda: _other_kind(scene, seen, styles, rng),
        UNKNOWN_KIND: lambda: _unknown_kind(seen, rng),
        HIDDEN_PART: lambda: _hidden_part(scene, thing, seen, styles, rng),
        WRONG: lambda: _wrong(scene, thing, seen, styles, rng),
    }
    if tier not in makers:
        raise ValueError(f"tier: {tier}; allowed: {TIERS}.")
    found = makers[tier]()
    return None if found is None or lexicon().names_held_out(found.text) else found


def _style(styles: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(styles), list(styles.values()))[0]


def imagined(kind: str, rng: random.Random) -> Observation:
    """What could be seen of a thing of some kind, made up."""
    parts = kind_parts().get(kind, ())
    name, sided = rng.choice(parts) if parts else (None, False)
    side = rng.choice(("left", "right")) if sided else None
    other, other_sided = rng.choice(parts) if parts else (None, False)
    near: tuple[Near, ...] = ()
    if other is not None and other != name:
        direction = rng.choice(("above", "below", "left", "right", "above left", "below right"))
        near = (Near(other, rng.choice(("left", "right")) if other_sided else None, direction, rng.random() < 0.5),)
    return Observation(
        kind, number=1, column=rng.randrange(3), row=rng.randrange(3), part=name, side=side, has_other=sided, near=near,
        view_side=rng.choice((None, "left", "right")) if sided else None, fifths=(rng.randrange(5), rng.randrange(5)),
        spot=(rng.choice(("black", "white", "brown", "grey", "tan", "dark grey", "red", "blue", "green")),),
        texture=rng.choice(("smooth", "lightly textured", "textured")), extent=rng.choice(("", "", "fills")),
    )  # fmt: skip


def swapped(seen: Observation, kind: str, rng: random.Random) -> Observation:
    """What is true at a point, but of another kind of thing."""
    new = imagined(kind, rng)
    there = {name for name, _ in kind_parts().get(kind, ())}
    same = seen.part if seen.part in there else None
    return replace(
        new, column=seen.column, row=seen.row, fifths=seen.fifths or new.fifths, spot=seen.spot, texture=seen.texture,
        extent=seen.extent, view_side=seen.view_side if new.side else None, part=same or new.part,
        side=seen.side if same else new.side, has_other=seen.has_other if same else new.has_other,
        near=tuple(n for n in seen.near if not n.is_kind and n.name in there and (n.name, n.side) != (same, seen.side)),
    )  # fmt: skip


def _other_kind(
    scene: AnnotatedScene, seen: Observation, styles: dict[str, float], rng: random.Random
) -> FluentText | None:
    kinds = sorted(scene.absent)
    if not kinds:
        return None
    partly = [kind for kind in kinds if kind in kind_parts()]
    kind = rng.choice(partly if partly and rng.random() < 0.7 else kinds)
    false = swapped(seen, kind, rng) if rng.random() < 0.5 else imagined(kind, rng)
    for _ in range(_TRIES):
        text = write_fluent(false, _style(styles, rng), rng)
        if text.named("kind") == (kind,):
            return text
    return None


def _unknown_kind(seen: Observation, rng: random.Random) -> FluentText:
    claim = (TextClaim("object", "kind", ("other",)),)
    if rng.random() < NONSENSE_SHARE:
        return FluentText(_nonsense(rng), claim, TYPED)
    noun = rng.choice(lexicon().unknown_words)
    say = Phrasing(
        replace(seen, kind="person", noun="") if seen.kind is None else replace(seen, number=1, noun=""), rng
    )
    thing = f"the {noun}"
    parts = (
        "top",
        "middle",
        "edge",
        "handle",
        "left side",
        "right side",
        "bottom",
        "tail",
        "front",
        "back",
        "eye",
        "leg",
    )
    form = rng.choice(("thing", "thing", "part", "part of", "placed", "look"))
    text = {
        "thing": thing, "part": f"{thing}'s {rng.choice(parts)}", "part of": f"the {rng.choice(parts)} of {thing}",
        "placed": f"{thing} {say.place()}", "look": f"{thing}, {say.look(texture=False)}",
    }[form]  # fmt: skip
    if seen.part is not None and rng.random() < 0.3:
        text = say.part_of(thing)
    if rng.random() < 0.5:
        return FluentText(framed_text(say, text, rng), claim, TYPED)
    return FluentText(f"{text[:1].upper()}{text[1:]}.", claim, FLUENT)


def _nonsense(rng: random.Random) -> str:
    """Letters, marks, words without a sense, and remarks that ask for no point."""
    table = _nonsense_words()
    kind = rng.choice(("keys", "keys", "letters", "marks", "words", "remark", "remark", "empty talk"))
    if kind == "keys":
        rows = rng.choices(
            ("asdfgh", "qwertz", "qwerty", "zxcvb", "jkl", "uiop", "hjkl", "wasd"), k=rng.choice((1, 2, 3))
        )
        return " ".join(row[: rng.randrange(3, 7)] for row in rows)
    if kind == "letters":
        letters = string.ascii_lowercase + ("0123456789" if rng.random() < 0.3 else "")
        return " ".join("".join(rng.choices(letters, k=rng.randrange(2, 9))) for _ in range(rng.randrange(1, 4)))
    if kind == "marks":
        return "".join(rng.choices(table["marks"], k=rng.randrange(1, 5)))
    if kind == "words":
        return " ".join(rng.choices(table["words"], k=rng.randrange(1, 6)))
    return rng.choice(table["remarks"])


@lru_cache(maxsize=1)
def _nonsense_words() -> dict[str, list[str]]:
    file = resources.files("talkingpoints.writer") / "vocabulary" / "nonsense.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _alone(scene: AnnotatedScene, thing: int | None) -> bool:
    """Whether the photo shows nothing else of the thing's kind, as far as is annotated."""
    if thing is None or scene.things[thing].kind not in lexicon().kinds:
        return False
    return sum(item.kind == scene.things[thing].kind for item in scene.things) == 1


def _hidden_part(
    scene: AnnotatedScene, thing: int | None, seen: Observation, styles: dict[str, float], rng: random.Random
) -> FluentText | None:
    if thing is None or not _alone(scene, thing):
        return None
    item = scene.things[thing]
    shown = {near for part in item.parts for near in lexicon().same_part(part.name)}
    sided = {(part.name, part.side) for part in item.parts}
    hidden = [h for h in sorted(item.hidden, key=str) if h not in sided and (h[1] is not None or h[0] not in shown)]
    if not hidden:
        return None
    name, side = rng.choice(hidden)
    false = replace(
        seen, part=name, side=side, view_side=None, piece_view=None, has_other=False, touching=None, within=None,
        near=tuple(n for n in seen.near if (n.name, n.side) != (name, side)) if rng.random() < 0.5 else (),
    )  # fmt: skip
    for _ in range(_TRIES):
        text = write_fluent(false, _style(styles, rng), rng)
        other_shown = side is not None and (name, "right" if side == "left" else "left") in sided
        if (
            text.named("kind") == (seen.kind,)
            and text.named("part") == (name,)
            and (not other_shown or text.named("own"))
        ):
            return text
    return None


def _wrong(
    scene: AnnotatedScene, thing: int | None, seen: Observation, styles: dict[str, float], rng: random.Random
) -> FluentText | None:
    """One attribute of the only thing of its kind is wrong, or part and kind contradict each other."""
    if thing is None or not _alone(scene, thing) or seen.kind != scene.things[thing].kind:
        return None
    counted = seen.kind in scene.counted
    box = scene.things[thing].box
    ways: list[tuple[str, Observation]] = []
    if counted and len(seen.colours) == 1 and seen.colours[0] in FAR_COLOURS:
        ways += [("thing colour", replace(seen, colours=(rng.choice(FAR_COLOURS[seen.colours[0]]),)))] * 3
    if counted and seen.posture:
        other = STANDING if seen.posture == LYING else LYING
        ways.append(("posture", replace(seen, posture=other, facing=None)))
    if counted and seen.facing:
        ways.append(("facing", replace(seen, facing={"left": "right", "right": "left"}[seen.facing], posture=None)))
    if counted:
        which = rng.choice(("left", "right", "second left", "second right", "middle"))
        number = 3 if which == "middle" or " " in which else 2
        ways.append(("order", replace(seen, counted=True, number=number, which=which, tell=None, size=None)))
    if max(box[2] - box[0], box[3] - box[1]) < 0.4 and counted and (seen.column != 1 or seen.row != 1):
        ways.append(("photo", replace(seen, column=2 - seen.column, row=2 - seen.row, extent="", near=())))
    impossible = IMPOSSIBLE.get(lexicon().owner(seen.kind or ""), ())
    if impossible:
        name = rng.choice(impossible)
        sided = name in SIDED_IMPOSSIBLE
        side = rng.choice(("left", "right")) if sided else None
        ways.append(("part", replace(seen, part=name, side=side, view_side=None, piece_view=None, has_other=sided,
                                     within=None, touching=None, near=())))  # fmt: skip
    if not ways:
        return None
    slot, false = rng.choice(ways)
    styles = {style: weight for style, weight in styles.items() if style in (FLUENT, TYPED, BRIEF)} or {FLUENT: 1.0}
    wanted = {"part": false.part, "photo": None}.get(slot, "")
    for _ in range(4 * _TRIES):
        text = write_fluent(false, _style(styles, rng), rng)
        said = text.named(slot)
        if said and text.named("kind") == (seen.kind,) and (not wanted or said == (wanted,)):
            return text
    return None
