"""Texts of the fluent writer: true of the scene, without nonsense, and in step with their claims."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest

from talkingpoints.writer.fluent.absent_texts import IMPOSSIBLE, TIERS, absent_text, kind_parts
from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene, ScenePart, Thing
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon
from talkingpoints.writer.fluent.observations import PhotoView, facing, observe, posture
from talkingpoints.writer.fluent.point_colours import spot_look, thing_colours
from talkingpoints.writer.fluent.sentences import STYLES, write_fluent
from talkingpoints.writer.fluent.typing_noise import KEPT, typed_noise

SIZE = (100, 200)
PARTS = (
    ScenePart("nose", None, (0.4, 0.3)), ScenePart("eye", "left", (0.37, 0.24)),
    ScenePart("eye", "right", (0.33, 0.24)), ScenePart("withers", None, (0.25, 0.35)),
    ScenePart("tailbase", None, (0.08, 0.36)),
    ScenePart("front paw", "left", (0.25, 0.75)), ScenePart("back paw", "left", (0.09, 0.75)),
)  # fmt: skip
DOG = Thing("dog", (0.05, 0.2, 0.42, 0.8), PARTS, hidden=frozenset({("front paw", "right")}))
CAT = Thing("cat", (0.6, 0.2, 0.9, 0.8), tuple(replace(p, point=(p.point[0] + 0.5, p.point[1])) for p in PARTS))


def view_of(*things: Thing, colours: tuple[tuple[int, int, int], ...] = ()) -> PhotoView:
    """A photo of things on grey, each box of one colour."""
    pixels = np.full((*SIZE, 3), 128, np.uint8)
    owners = np.zeros(SIZE, np.int16)
    for i, thing in enumerate(things):
        x0, y0, x1, y1 = thing.box
        rows, columns = slice(int(y0 * 100), int(y1 * 100)), slice(int(x0 * 200), int(x1 * 200))
        owners[rows, columns] = i + 1
        pixels[rows, columns] = colours[i] if i < len(colours) else (120, 72, 30)
    scene = AnnotatedScene(
        tuple(things), SIZE, owners, np.zeros(SIZE, np.int16), frozenset({"dog", "cat"}), frozenset({"bird", "car"})
    )
    return PhotoView(scene, pixels)


def test_plain_text_goes_from_coarse_to_fine_and_claims_what_it_says():
    seen = observe(view_of(DOG, CAT), PARTS[1].point, 0, 1)
    text = write_fluent(seen, "plain", random.Random(0))
    assert text.text == (
        "The left eye of the dog on the left of the photo, on the right as you look at it; just above and to the left "
        "of the nose, brown and smooth."
    )
    said = {(claim.type, claim.slot): claim.values for claim in text.claims}
    assert said[("object", "kind")] == ("dog",) and said[("part", "part")] == ("eye",)
    assert said[("side", "own")] == ("left",) and said[("side", "view")] == ("right",)
    assert said[("place", "near")] == ("above left",) and said[("look", "colour")] == ("brown",)


@pytest.mark.parametrize("style", STYLES)
def test_texts_name_the_kind_and_never_a_point_between_itself(style):
    view, rng = view_of(DOG, CAT), random.Random(1)
    for _ in range(150):
        part = rng.randrange(len(PARTS))
        text = write_fluent(observe(view, CAT.parts[part].point, 1, part), style, rng)
        assert text.named("kind") in (("cat",), ("animal",)) and text.named("part") == (PARTS[part].name,)
        assert not re.search(r"between (the [\w ]+) and \1\b", text.text.lower())
        if style != "typed":
            assert not re.search(r"\d|[{}]| ,|\b(a [aeiou]|of of|the the)\b|  ", text.text), text.text
        targets = {t for claim in text.claims for t in claim.targets}
        assert (PARTS[part].name, PARTS[part].side or "") not in targets


def test_a_mirrored_photo_gets_the_mirrored_text():
    view = view_of(DOG, CAT)
    mirrored = PhotoView(view.scene.flipped(), view.pixels[:, ::-1].copy())
    text = write_fluent(observe(mirrored, (1 - PARTS[1].point[0], PARTS[1].point[1]), 0, 1), "plain", random.Random(0))
    assert text.text.startswith(
        "The right eye of the dog on the right of the photo, on the left as you look at it; just above and to the right"
    )


def test_several_of_a_kind_are_told_apart_by_what_differs():
    other = replace(
        DOG, box=(0.55, 0.2, 0.92, 0.8), parts=tuple(replace(p, point=(p.point[0] + 0.5, p.point[1])) for p in PARTS)
    )
    view = view_of(DOG, other, colours=((20, 20, 20), (240, 240, 240)))
    seen = observe(view, PARTS[0].point, 0, 0)
    assert (seen.which, seen.tell, seen.number) == ("left", "black", 2)
    texts = {write_fluent(seen, "brief", random.Random(i)).text for i in range(60)}
    assert any("black one of two dogs" in t for t in texts) and any("left one of two dogs" in t for t in texts)
    looks = [write_fluent(seen, "look", random.Random(i)) for i in range(20)]
    assert all(t.named("tell") == ("black",) and "left" not in t.text for t in looks)
    uncounted = PhotoView(replace(view.scene, counted=frozenset()), view.pixels)
    assert observe(uncounted, PARTS[0].point, 0, 0).ambiguous


def test_unknown_things_and_background_name_no_kind_and_no_owner():
    thing = Thing(UNKNOWN, (0.6, 0.2, 0.9, 0.8), noun="toaster")
    view = view_of(DOG, thing)
    for style in STYLES:
        text = write_fluent(observe(view, (0.75, 0.5), 1), style, random.Random(2))
        assert text.named("kind") == (UNKNOWN,) and "toaster" not in text.text and "dog" not in text.text
    alone = view_of(thing)
    for style in STYLES:
        text = write_fluent(observe(alone, (0.1, 0.1), None), style, random.Random(3))
        assert text.named("kind") == ("background",) and not text.named("near")
    beside = write_fluent(observe(view, (0.1, 0.05), None), "plain", random.Random(0)).text
    assert beside.startswith("Background at the") or "above the dog" in beside


def test_posture_and_facing_are_noted_only_where_they_are_clear():
    assert posture(DOG, SIZE) == "standing" and facing(DOG) == "right"
    lying = replace(DOG, parts=tuple(replace(p, point=(p.point[0], 0.45)) if "paw" in p.name else p for p in PARTS))
    assert posture(lying, SIZE) == "lying"
    assert posture(replace(DOG, parts=PARTS[:3]), SIZE) is None and facing(replace(DOG, parts=PARTS[1:3])) is None


@pytest.mark.parametrize(
    "rgb, word",
    [((0, 150, 100), "green"), ((140, 150, 165), "grey"), ((110, 105, 50), "olive"), ((200, 30, 30), "red"),
     ((10, 10, 10), "black")],
)  # fmt: skip
def test_colours_are_those_that_people_name(rgb, word):
    assert spot_look(np.full((50, 50, 3), rgb, np.uint8), (0.5, 0.5))[0] == (word,)


def test_colours_are_of_the_thing_at_the_point():
    pixels = np.full((100, 100, 3), (200, 30, 30), np.uint8)
    pixels[50:53] = (250, 250, 250)
    labels = np.zeros((100, 100), np.int16)
    labels[50:53] = 1
    assert spot_look(pixels, (0.5, 0.515), labels, 1)[0] == ("white",)
    assert thing_colours(pixels, Thing("person", (0, 0, 1, 1)), labels == 1, None) == ()


@pytest.mark.parametrize("tier", TIERS)
def test_absent_texts_are_false_and_name_no_held_out_kind(tier):
    view, rng, styles = view_of(DOG, CAT), random.Random(4), dict.fromkeys(STYLES, 1.0)
    found = []
    for _ in range(200):
        part = rng.randrange(len(PARTS))
        seen = observe(view, PARTS[part].point, 0, part)
        text = absent_text(tier, view.scene, 0, seen, styles, rng)
        if text is not None:
            found.append(text)
    assert len(found) > 50
    for text in found:
        assert not lexicon().names_held_out(text.text)
        if tier == 1:
            assert text.named("kind")[0] in view.scene.absent
        if tier == 3:
            assert text.named("part") == ("front paw",) and text.named("own") == ("right",)
        if tier == 4:
            part = text.named("part")
            wrong = part and part[0] in IMPOSSIBLE["animal"]
            wrong |= text.named("thing colour") not in ((), ("brown",)) or text.named("posture") == ("lying",)
            wrong |= (
                text.named("facing") == ("left",)
                or bool(text.named("order"))
                or text.named("photo") not in ((), ("left", "middle"))
            )
            assert wrong, text
    with pytest.raises(ValueError, match="tier: 5; allowed"):
        absent_text(5, view.scene, 0, seen, styles, rng)


def test_typing_noise_changes_letters_but_no_side():
    text, rng = "the left ear of the second dog, just above the right eye", random.Random(5)
    noisy = [typed_noise(text, rng, 1.0) for _ in range(500)]
    assert len(set(noisy)) > 300
    assert all("left" in t.lower() and "right" in t.lower() for t in noisy)
    assert any(t.isupper() for t in noisy) and any("2nd" in t for t in noisy)
    assert {"left", "right", "not"} <= KEPT


def test_lexicon_reads_annotators_names_and_is_complete():
    words = lexicon()
    assert len(words.kinds) >= 30 and len(words.parts) >= 150
    assert words.part_of("left_front_paw") == ("left", "front paw")
    assert words.part_of("outer corner of the right eye") == ("right", "outer corner of the eye")
    assert words.part_of("Left Eye") == ("left", "eye") and words.part_of("hood")[1] == "bonnet"
    assert (
        words.kind_of("sofa") == "couch" and words.kind_of("zebra") == "zebra" and words.kind_of("toaster") == UNKNOWN
    )
    nouns = {word for entry in words.kinds.values() for word in entry["words"]}
    assert nouns.isdisjoint(words.unknown_words) and not [w for w in words.unknown_words if words.names_held_out(w)]
    assert set(words.unknown_words).isdisjoint(words.parts)
    for kind, parts in kind_parts().items():
        assert kind in words.kinds and all(part in words.parts for part, _ in parts)
    for part, entry in words.parts.items():
        assert set(entry.get("within", ())) <= set(words.parts), part
    assert words.names_held_out("two KANGAROOS") and not words.names_held_out("beard")


def test_wrong_arguments_are_refused():
    view = view_of(DOG)
    with pytest.raises(ValueError, match="outside the photo"):
        observe(view, (1.2, 0.5), 0)
    with pytest.raises(ValueError, match="part: 9 of 7"):
        observe(view, (0.2, 0.5), 0, 9)
    with pytest.raises(ValueError, match="style: 'long' is unknown"):
        write_fluent(observe(view, (0.2, 0.5), 0), "long", random.Random(0))
