"""The style "free": what it tells is what it says, what it makes up does not touch the point."""

import dataclasses
import functools
import hashlib
import random
import re
import time

import pytest

from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer import free_style as free
from talkingpoints.writer import free_words, phrases
from talkingpoints.writer.facts import PointFacts, point_facts
from talkingpoints.writer.free_words import parts, words
from talkingpoints.writer.phrases import has_position
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, swap_sides
from talkingpoints.writer.styles import ALL_STYLES, FREE, write, write_told
from tests.data.test_coco_keypoints import real
from tests.writer.test_styles import BROWN, random_facts
from training.bundled.fact_embeddings import FACTS, FactVocabulary

# Seen from its right side, looking right in the photo: ears side by side, front paws one above the other.
HORSE = SceneObject(
    "horse",
    (0.1, 0.1, 0.9, 0.9),
    (
        Keypoint("left ear", 0.8, 0.2), Keypoint("right ear", 0.6, 0.2),
        Keypoint("left front paw", 0.7, 0.6), Keypoint("right front paw", 0.68, 0.8),
        Keypoint("left eye", 0.8, 0.3), Keypoint("right eye", 0.79, 0.3),
        Keypoint("left back knee", 0.2, 0.7), Keypoint("tailbase", 0.12, 0.4),
    ),
)  # fmt: skip
SCENE = Scene((HORSE,), (80, 100))


def facts_of(part: str, scene: Scene = SCENE, label: str = "horse") -> PointFacts:
    item = dataclasses.replace(scene.objects[0], label=label)
    keypoint = next(k for k in item.keypoints if k.name == part)
    return point_facts(dataclasses.replace(scene, objects=(item,)), (keypoint.x, keypoint.y), BROWN, 0, part)


@pytest.mark.parametrize(
    ("part", "view_side"),
    [
        ("left ear", "right"), ("right ear", "left"), ("left front paw", "upper"), ("right front paw", "lower"),
        ("left eye", None), ("left back knee", None), ("tailbase", None),
    ],
)  # fmt: skip
def test_side_in_the_photo(part, view_side):
    assert facts_of(part).view_side == view_side
    mirrored = facts_of(swap_sides(part), SCENE.flipped()).view_side
    assert mirrored == (None if view_side is None else swap_sides(view_side))


@pytest.mark.parametrize(
    ("label", "part", "region"),
    [
        ("dog", "left eye", "head"), ("dog", "throat", "head"), ("dog", "left front elbow", "front leg"),
        ("dog", "right back paw", "back leg"), ("dog", "withers", "body"), ("fox", "left knee", "back leg"),
        ("fox", "root of tail", "body"), ("person", "left elbow", "arm"), ("person", "left knee", "leg"),
        ("person", "right hip", "body"), ("dog", "left whisker", None), ("dog", None, None),
    ],
)  # fmt: skip
def test_region(label, part, region):
    scene = Scene((dataclasses.replace(HORSE, label=label),), (80, 100))
    assert point_facts(scene, (0.5, 0.5), BROWN, 0, part).region == region


def test_third_of_the_photo_of_the_point_and_not_of_the_object():
    facts = facts_of("right front paw")
    assert (facts.image_column, facts.image_row, facts.point_column, facts.point_row) == (1, 1, 2, 2)


def tables(*names: str) -> list[str]:
    """All strings of some tables of the phrases, however deep."""
    return [text for name in names for text in strings(getattr(words, name))]


def strings(table) -> list[str]:
    if isinstance(table, str):
        return [table]
    return [text for entry in (table.values() if isinstance(table, dict) else table) for text in strings(entry)]


def test_what_is_made_up_says_nothing_about_the_place():
    made_up = tables(
        "ANIMAL_ADJECTIVES", "PATTERNS", "PERSON_ADJECTIVES", "HUES", "GARMENTS", "WORN", "BORNE", "ANIMAL_POSES",
        "PERSON_POSES", "PLACES_NEARBY", "WHICHEVER", "GROUNDS",
    )  # fmt: skip
    for text in made_up:
        assert not has_position(text), text
        assert not re.search(r"\b(left|right|larger|bigger|smaller)\b", text), text


@functools.cache
def pattern(templates: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the templates, with anything in its slots and with or without a leading "the"."""
    plain = [re.sub(r"\{[a-z]+\}\s*", r"[\\w'(), -]*?", t.strip().removeprefix("the ")) for t in templates]
    return re.compile(r"(?<!\w)(?:" + "|".join(sorted(plain, key=len, reverse=True)) + r")(?!\w)", re.IGNORECASE)


def without_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free, "SLIPS", 0.0)


HEIGHTS = (
    r"\b((top|bottom|upper|lower)(most)?|highest|lowest|high|low|up|down|mid\w*|half\w*|height|cent\w+|vertically|"
    r"neither)\b"
)
WIDTHS = r"\b(left|right|middle|mid\w*|cent\w+|half\w*|horizontally|either|both|along|across)\b"


def test_what_is_told_is_said(monkeypatch):
    without_slips(monkeypatch)
    seen = set()
    for seed in range(2000):
        part = ("left ear", "right front paw", "tailbase", "left back knee")[seed % 4]
        label = ("horse", "dog", "cat")[seed % 3]
        facts = facts_of(part, label=label)
        text, told = write_told(facts, FREE, random.Random(seed))
        seen |= told
        if "label" in told:
            assert pattern(words.ANIMALS[label]).search(text), (text, told)
        key = part.removeprefix("left ").removeprefix("right ")
        key = key.replace("paw", "hoof") if label == "horse" else key
        assert ("part" in told) != ("region" in told)
        said = parts.ANIMAL_PARTS[key] if "part" in told else parts.REGIONS[facts.region]
        assert pattern(said).search(text), (text, told)
        if "side" in told and facts.side:
            assert re.search(rf"\b{facts.side}\b", text, re.IGNORECASE), text
        if "view_side" in told and facts.view_side:
            height = {"upper": "|higher|further up", "lower": "|further down"}.get(facts.view_side, "")
            assert re.search(rf"\b({facts.view_side}(most)?{height})\b", text, re.IGNORECASE), text
        if told & {"point_row", "image_row", "row", "third_row"}:
            assert re.search(HEIGHTS, text.lower()), text
        if told & {"point_column", "image_column", "column", "third_column"}:
            assert re.search(WIDTHS, text.lower()) or facts.point_column == 1, text
        if "colours" in told:
            assert "brown" in text.lower(), text
            assert pattern(words.SPOT_COLOURS).search(text), text
        if "near" in told and facts.near:
            assert re.search(r"\b(at|above|below|over|under|underneath|left|right) (of )?(\w+ )*the\b", text.lower()), (
                text
            )
    assert seen >= {
        "label", "part", "region", "side", "view_side", "point_row", "point_column", "image_row", "column", "row",
        "third_row", "third_column", "colours", "near",
    }  # fmt: skip


def test_what_is_not_told_does_not_change_the_text():
    """Of every fact; test_writer.py holds the same for what is told."""
    changed = {
        "view_side": "lower", "region": "body", "part": "left nostril", "side": "right", "point_column": 0,
        "point_row": 0, "column": 0, "row": 4, "third_column": 0, "third_row": 2, "image_column": 0, "image_row": 0,
        "colours": ("teal",), "texture": "rough", "size": "larger", "which": "left", "object_colours": ("tan", "grey"),
    }  # fmt: skip
    for seed in range(500):
        facts = facts_of(("left ear", "left front paw")[seed % 2], label="dog")
        text, told = write_told(facts, FREE, random.Random(seed))
        for name, value in changed.items():
            if name not in told and not (name == "region" and "part" in told):
                other, told_then = write_told(dataclasses.replace(facts, **{name: value}), FREE, random.Random(seed))
                assert (other, told_then) == (text, told), (name, text, other)


def of_two(label: str, colours: tuple[str, ...]) -> PointFacts:
    """A point of the right one of two, of known colours."""
    facts = facts_of("left ear", label=label)
    return dataclasses.replace(facts, n_same=2, which="right", size="larger", object_colours=colours)


def colour_words(label: str, colour: str) -> re.Pattern[str]:
    """What an object of this colour may be called."""
    table = words.CLOTHES if label == "person" else words.COATS
    said = (*table[colour], *words.COATS_OF.get(label, {}).get(colour, ()))
    return re.compile(rf"\b({'|'.join(said)})\b", re.IGNORECASE)


@pytest.mark.parametrize(("label", "first", "second"), [("dog", "black", "white"), ("horse", "brown", "grey"),
                                                         ("person", "blue", "white")])  # fmt: skip
@pytest.mark.parametrize("two", [False, True])
def test_the_colours_of_the_object_are_said_when_told_and_only_then(label, first, second, two, monkeypatch):
    without_slips(monkeypatch)
    monkeypatch.setattr(words, "HUES", ("checked",))  # of hats and collars, made up
    monkeypatch.setattr(words, "SPOT_COLOURS", ("there",))
    facts = of_two(label, (first, second) if two else (first,))
    told_often = {2: 0, 1: 0}
    for seed in range(1500):
        one = dataclasses.replace(facts, n_same=1, which=None, size=None)
        for asked in (facts, one):
            text, told = write_told(asked, FREE, random.Random(seed))
            told_often[asked.n_same] += "object_colours" in told
            said = [bool(colour_words(label, colour).search(text)) for colour in (first, second)]
            assert said == ([True, two] if "object_colours" in told else [False, False]), text
    assert 0.42 < told_often[2] / 1500 < 0.52 and 0.29 < told_often[1] / 1500 < 0.38


def test_the_black_one_of_several(monkeypatch):
    without_slips(monkeypatch)
    texts = [write_told(of_two("dog", ("black",)), FREE, random.Random(seed)) for seed in range(3000)]
    ones = [(text.lower(), told) for text, told in texts if re.search(r"\bone of the\b(?! pair)", text)]
    assert len(ones) > 30
    assert all("n_same" in told and "which" not in told and "size" not in told for _, told in ones)
    bare = [told for text, told in texts if re.search(r"\b(black|dark) one\b(?! of the)", text, re.IGNORECASE)]
    assert len(bare) > 50 and not any("label" in told for told in bare)
    both = [text.lower() for text, told in texts if {"which", "object_colours"} <= told]
    assert len(both) > 300
    ranked = r"(right(-hand)?|larger|bigger) (jet-)?(black|dark)(?! in colou?r)"
    assert not any(re.search(ranked, text) for text in both)
    nothing = [write_told(of_two("dog", ()), FREE, random.Random(seed)) for seed in range(300)]
    assert sum("object_colours" in told for _, told in nothing) > 100
    told_nothing = [text for text, told in nothing if "colours" not in told]
    assert not any(re.search(r"\b(black|white|brown|one of the(?! pair))\b", text) for text in told_nothing)


def test_words_of_what_is_not_told_are_missing(monkeypatch):
    without_slips(monkeypatch)
    facts = facts_of("left ear", label="dog")
    probes = {
        "label": rf"\b({'|'.join(map(re.escape, words.ANIMALS['dog']))})\b",
        "part": r"\bears?\b",
        "colours": r"where it is|\bpatch\b|it's .* there\b",
    }
    for seed in range(1000):
        text, told = write_told(facts, FREE, random.Random(seed))
        text = re.sub(pattern(words.PLACES_NEARBY + words.BORNE + words.ANIMAL_POSES), " ", text.lower())
        for name in probes:
            assert name in told or not re.search(probes[name], text), (name, text)
        if not told & {"side", "view_side", "point_column", "image_column", "column", "third_column", "near"}:
            assert not re.search(r"\b(left|right)\b", text), text
        if not told & {"view_side", "point_row", "image_row", "row", "third_row", "near"}:
            assert not re.search(r"\b(top|bottom|upper|lower|high|low)\b", text), text


def test_texts_are_many_and_of_a_length_that_people_type():
    facts = facts_of("left ear", label="dog")
    texts = [write(facts, FREE, random.Random(seed)) for seed in range(3000)]
    lengths = sorted(len(text.split()) for text in texts)
    assert len(set(texts)) > 2800
    assert lengths[0] >= 2
    assert lengths[-1] <= 28
    assert 9 <= lengths[1500] <= 16
    assert len({text[0].isupper() for text in texts}) == len({text.endswith(".") for text in texts}) == 2


def test_labels_and_parts_that_no_table_knows():
    rng = random.Random(0)
    facts = dataclasses.replace(facts_of("left ear"), label="king cheetah", part="left whisker", region=None)
    texts = [write(facts, FREE, rng) for _ in range(200)]
    assert all("whisker" in text.lower() or free.SLIPS for text in texts)
    assert sum("king cheetah" in text.lower() for text in texts) > 150


def test_free_texts_in_numbers():
    """The part without its side is a value of its own, and so is a region with its side."""
    examples = [
        {"texts": [""], "facts": [facts_of("left ear")], "told": [frozenset(told)]}
        for told in ({"part"}, {"part", "side"}, {"region", "side"}, {"region", "label", "view_side"})
    ]
    vocabulary = FactVocabulary.of(examples)
    said = []
    for example in examples:
        row = vocabulary.encode(example)[0].tolist()
        said.append({n: known[v - 1] for n, known, v in zip(FACTS, vocabulary.values, row, strict=True) if v})
    assert said == [
        {"part": "ear"}, {"part": "left ear"}, {"region": "left head"},
        {"region": "head", "label": "horse", "view_side": "right"},
    ]  # fmt: skip


def test_two_colours_are_the_same_facts_in_either_order():
    example = {
        "texts": [""] * 4,
        "facts": [of_two("dog", c) for c in (("white", "brown"), ("brown", "white"), ("white",), ())],
    }
    example["told"] = [frozenset({"object_colours"})] * 4
    vocabulary = FactVocabulary.of([example])
    first, second = FACTS.index("object_colours"), FACTS.index("object_colours_too")
    assert (vocabulary.values[first], vocabulary.values[second]) == (["brown", "white"], ["white"])
    assert vocabulary.encode(example)[:, [first, second]].tolist() == [[1, 1], [1, 1], [2, 0], [0, 0]]
    example["told"] = [frozenset({"label"})] * 4
    assert vocabulary.encode(example)[:, [first, second]].tolist() == [[0, 0]] * 4


def test_other_styles_say_what_they_said_before_this_one_came():
    lines = []
    for seed, facts in enumerate(random_facts(150, seed=11)):
        for style in ALL_STYLES:
            if style != FREE:
                text, told = write_told(facts, style, random.Random(seed))
                lines.append(f"{text} {sorted(told)}")
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == "960bd0c35576196f"


def test_a_text_about_another_photo_names_its_label():
    """That "the animal" is not here would be wrong of a photo of another animal."""
    rows = load_keypoints(real("animalpose"), "val").select(range(60))
    examples = PointExamples(rows, 8, {FREE: 1.0}, negatives=0.5, seed=0)
    told = [
        t for i in range(20) for t, here in zip(examples[i]["told"], examples[i]["presence"], strict=True) if not here
    ]
    assert len(told) > 20
    assert all("label" in t for t in told)


def test_a_text_takes_a_fraction_of_a_millisecond():
    facts = random_facts(60)
    rng, durations = random.Random(0), []
    for _ in range(5):
        start = time.perf_counter()
        for item in facts:
            write(item, FREE, rng)
        durations.append((time.perf_counter() - start) / len(facts))
    assert min(durations) < 0.2e-3


def slots(table) -> set[str]:
    return {slot for text in strings(table) for slot in re.findall(r"\{(\w+)\}", text)}


def test_further_words_fit_their_tables():
    own = {**phrases.tables("free_parts"), **phrases.tables("free_phrases")}
    needed = {"QUESTIONS": "{x}", "COMMANDS": "{x}", "STATEMENTS": "{x}", "OWNER_FIRST": "{part}", "REGIONS": "{d}",
              "ANIMAL_PARTS": "{d}", "PERSON_PARTS": "{d}"}  # fmt: skip
    for name, more in phrases.tables("free_words").items():
        assert slots(more) <= slots(own[name]) | ({"ns"} if name.startswith("WHICH") else set()), name
        assert not any(re.search(r"\d", text) for text in strings(more)), name
        assert all(needed.get(name, "") in text for text in strings(more)), name
        if isinstance(more, dict) and name != "PLURALS":
            assert set(more) <= set(own[name]), name
        # a side that is written out would not turn with a mirrored photo; "right under" is none
        sides = r"\b(left|right)(most|-hand)?\b(?! (under|where|at|below|above|beside|next|by|behind|on top|in front))"
        assert not [text for text in strings(more) if re.search(sides, text)], name


def test_words_that_are_held_back_stay_so():
    """The held styles' words for places and parts; what the common words share with them, they share already."""
    places = (*phrases.HELD_PHOTO_COLUMNS, *phrases.HELD_PHOTO_ROWS, *phrases.HELD_COLUMNS, *phrases.HELD_ROWS)
    plain = [re.sub(r"\{\w+\}\s?", "", text) for held in phrases.HELD_PART_WORDS.values() for text in held]
    own = phrases.tables("free_parts")
    named = strings([*own["ANIMAL_PARTS"].values(), *own["PERSON_PARTS"].values()])
    common = {re.sub(r"\{\w+\}\s?", "", text) for text in named}
    for text in strings(list(phrases.tables("free_words").values())):
        assert not any(word in text for word in (*phrases.HELD_FRAMES, *places)), text
        assert re.sub(r"\{\w+\}\s?", "", text) not in {*plain} - common, text


def test_a_tables_own_words_stay_common():
    merged = free_words.widened({"GROUNDS": ("a", "b"), "KEPT": ("c",)})
    more = phrases.tables("free_words")["GROUNDS"]
    assert merged["KEPT"] == ("c",) and set(merged["GROUNDS"]) == {"a", "b", *more}
    assert merged["GROUNDS"].count("a") == round(len(more) / 2) and merged["GROUNDS"][:2] == ("a", "b")
    rows = free_words.widened({"PHOTO_ROWS": (("a",), ("b",), ("c",))})["PHOTO_ROWS"]
    assert [row[0] for row in rows] == ["a", "b", "c"] and all(len(row) > 1 for row in rows)
