"""Typed claims: read by rule, held against annotations, scored with gating, and the rows that must do badly."""

import asyncio
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints.evaluation.truth import judged, scores, sets, texts
from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto, Item, Named, read_photos, split_name
from talkingpoints.evaluation.truth.checking import judge
from talkingpoints.evaluation.truth.claims import Claim
from talkingpoints.evaluation.truth.parsing import parse
from talkingpoints.evaluation.truth.places import Place, inner_point, places_of, truth_at
from talkingpoints.evaluation.truth.questions import ClaimJudge, read_answer, read_claims
from talkingpoints.evaluation.truth.scores import JudgedText
from talkingpoints.evaluation.truth.vocabulary import Vocabulary, vocabulary
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Asker, Limits
from talkingpoints.llm.requests import Completion
from talkingpoints.writer.styles import ALL_STYLES, FREE, write
from tests.helpers.drawn import drawn_dataset

DOG = ("A dog in the centre of the photo. "
       "Its left ear, far right, top of the dog, just above and right of the left eye."
       " Brown, smooth.")  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return read_photos(drawn_dataset(tmp_path_factory.mktemp("drawn"), n=4), "test")


@pytest.fixture
def photo():
    """A brown dog on the left half of a grey photo, and a cat on the right half."""
    pixels = np.full((100, 200, 3), 128, np.uint8)
    pixels[20:80, 20:80] = (120, 72, 30)
    named = (Named("ear", "left", 0.38, 0.2), Named("eye", "left", 0.35, 0.3), Named("nose", "", 0.25, 0.4))
    dog = Item("dog", frozenset({"dog", "animal"}), (0.1, 0.2, 0.4, 0.8), named=named)
    cat = Item("cat", frozenset({"cat", "animal"}), (0.6, 0.2, 0.9, 0.8))
    made = AnnotatedPhoto(None, (100, 200), (dog, cat))
    made.__dict__["pixels"] = pixels
    return made


def verdicts_of(photo, place, text, known=frozenset()):
    claims = parse(text).claims
    return {(c.type, c.slot): v for c, v in zip(claims, judge(claims, truth_at(photo, place), known), strict=True)}


def test_every_claim_of_a_text_is_found():
    parsed = parse(DOG)
    assert parsed.read
    found = [(c.type, c.slot, c.values) for c in parsed.claims]
    assert found == [
        ("object", "kind", ("dog",)), ("part", "part", ("ear",)), ("side", "own", ("left",)),
        ("place", "near", ("above right",)), ("place", "photo", ()), ("place", "object", ()),
        ("look", "colour", ("brown",)), ("look", "texture", ("smooth",)),
    ]  # fmt: skip
    where = parsed.claims[5]
    assert (where.across.low, where.across.high, where.down.low, where.down.high) == (0.8, 1.0, 0.0, 0.2)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("the second from the left of three cows", {("object", "cow"), ("which", "second left"), ("which", "3")}),
        ("The larger dog's nose", {("object", "dog"), ("which", "larger"), ("part", "nose")}),
        ("Background, to the left of the cat, level with its top.", {("object", "background"), ("place", "left")}),
        (
            "The left eye of the cat that fills the photo, on the right as you look at it, at the very top of the cat; "
            "just above and to the right of the nose, olive and smooth.",
            {
                ("object", "cat"), ("part", "eye"), ("side", "left"), ("side", "right"), ("look", "olive"),
                ("place", "above right"), ("look", "smooth"), ("place", "that fills the photo"),
            },
        ),
        ("a spot on the white dog, not the one on the left", {("object", "dog"), ("look", "white")}),
        ("Something I do not know.", {("object", "unknown")}),
        ("the bird's left wing, blue", {("object", "bird"), ("part", "wing"), ("side", "left"), ("look", "blue")}),
        ("the car's wheel", {("object", "car"), ("part", "wheel")}),
    ],
)  # fmt: skip
def test_texts_of_other_kinds_and_frames(text, claims):
    parsed = parse(text)
    assert parsed.read, parsed.left_over
    assert {(c.type, c.values[0]) for c in parsed.claims if c.values} == claims


def test_words_that_no_rule_knows_make_a_text_unread():
    parsed = parse("The dog's glorp, brown")
    assert (not parsed.read and parsed.left_over == ("its", "glorp")) or parsed.left_over == ("glorp",)
    assert not parse("").read


def test_what_the_writer_says_is_read_and_true_in_all_styles(drawn):
    rng, read, told = random.Random(0), 0, 0
    for photo in drawn:
        for place in places_of(photo, rng, 4):
            facts = texts.facts_at(photo, place)
            for style in (style for style in ALL_STYLES if style != FREE):
                parsed = parse(write(facts, style, rng))
                told += 1
                read += parsed.read
                assert False not in judge(parsed.claims, truth_at(photo, place)), parsed.text
    assert told > 100 and read / told >= 0.98


def test_a_true_text_and_each_flipped_word(photo):
    place = Place((0.38, 0.2), 0, 0)
    facts = texts.facts_at(photo, place)
    own = verdicts_of(photo, place, texts.reference_text(facts))
    assert set(own.values()) == {True}
    flipped = texts.flipped_texts(facts)
    for name, type_ in (("side", "side"), ("part", "part"), ("kind", "object")):
        changed = verdicts_of(photo, place, flipped[name])
        assert {t for (t, _), verdict in changed.items() if verdict is False} <= {type_, "side"}, name
        assert changed[type_, {"side": "own", "part": "part", "object": "kind"}[type_]] is False


def test_the_neighbours_text_loses_its_part(photo):
    place = Place((0.38, 0.2), 0, 0)
    beside = texts.facts_at(photo, texts.neighbour_place(photo, place))
    assert beside.part == "left eye"
    assert verdicts_of(photo, place, texts.reference_text(beside))["part", "part"] is False


def test_kinds_background_and_what_is_not_known(photo):
    on_cat, off = Place((0.75, 0.5), 1), Place((0.5, 0.05))
    assert verdicts_of(photo, on_cat, "a dog")["object", "kind"] is False
    assert verdicts_of(photo, on_cat, "an animal")["object", "kind"] is True
    assert verdicts_of(photo, on_cat, "background")["object", "kind"] is False
    assert verdicts_of(photo, off, "background")["object", "kind"] is True
    unsure = "something I do not know"
    assert verdicts_of(photo, on_cat, unsure, frozenset({"cat"}))["object", "kind"] is False
    assert verdicts_of(photo, on_cat, unsure, frozenset({"dog"}))["object", "kind"] is True


def test_what_the_annotation_does_not_tell_is_not_judged(photo):
    assert verdicts_of(photo, Place((0.75, 0.5), 1), "the cat's left ear")["part", "part"] is None


def test_which_place_and_look(photo):
    nose = Place((0.25, 0.4), 0, 2)
    said = verdicts_of(photo, nose, "the left one of two dogs, on the right of the photo, blue")
    assert said["which", "order"] is False and said["which", "count"] is False
    assert said["place", "photo"] is False and said["look", "colour"] is False
    assert verdicts_of(photo, nose, "the dog, on the left of the photo, brown")["place", "photo"] is True


def test_gating_and_figures():
    wrong = JudgedText("a", "a 0", ("object", "part", "side"), ("kind", "part", "own"), (False, True, True))
    right = JudgedText("b", "b 0", ("object", "which", "part", "look"), ("kind", "count", "part", "colour"),
                       (True, False, True, None))  # fmt: skip
    unread = JudgedText("b", "b 1", (), (), (), read=False)
    assert wrong.gated == (False, False, False)
    assert right.gated == (True, False, True, None)  # a wrong count selects nothing
    found = scores.figures([wrong, right, unread], [right])
    assert found["precision"]["part"]["mean"] == 50 and found["ungated"]["part"]["mean"] == 100
    assert found["precision"]["look"] is None and found["n_undecided"] == 1 and found["n_unread"] == 1
    assert found["all_true"]["mean"] == 0 and found["false_claims"]["mean"] == 2
    assert found["coverage"]["part"] == 100 and found["coverage"]["side"] is None
    silent = JudgedText("b", "b 0", ("object",), ("kind",), (True,))
    assert scores.coverage([silent], [right])["part"] == 0


def test_differences_are_paired():
    one = [JudgedText(str(i), str(i), ("object",), ("kind",), (i % 2 == 0,)) for i in range(20)]
    assert scores.differences(one, one)["object"] == {"difference": 0.0, "ci95": [0.0, 0.0]}
    all_true = [JudgedText(t.photo, t.key, t.types, t.slots, (True,)) for t in one]
    assert scores.differences(all_true, one)["all_true"]["difference"] == 50
    assert scores.differences(one, one)["part"] is None


def test_annotations_of_parts_and_splits(tmp_path):
    (tmp_path / "annotations").mkdir()
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 50}],
        "categories": [{"id": 1, "name": "back_left_door", "supercategory": ""}, {"id": 2, "name": "_background_"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 20],
             "segmentation": [[10, 10, 50, 10, 50, 30, 10, 30]]},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]},
        ],
    }  # fmt: skip
    (tmp_path / "annotations" / "val.json").write_text(json.dumps(content))
    (photo,) = read_photos(tmp_path, "val", owner="car")
    (door,) = photo.items
    assert (door.kind, door.part, door.side) == ("car", "back door", "left") and "vehicle" in door.kinds
    x, y = inner_point(photo, door)
    assert 0.19 < x < 0.41 and 0.3 < y < 0.5
    part, side = split_name("outer corner of the right eye", vocabulary())
    assert side == "right" and "eye" in vocabulary().enclosing(part)
    assert split_name("tip of the left wing", vocabulary()) == ("wing", "left")
    with pytest.raises(ValueError, match=r"test\.json is not there"):
        read_photos(tmp_path, "test")
    names = [f"{i:05d}.jpg" for i in range(2000)]
    shares = [sum(sets.hashed_split(n) == s for n in names) / 2000 for s in sets.SPLITS]
    assert np.allclose(shares, list(sets.HASHED_SHARES.values()), atol=0.03)


def test_a_vocabulary_with_a_dangling_link():
    with pytest.raises(ValueError, match=r"'cat' has is_a \['beast'\], which have no entry"):
        Vocabulary({"kinds": {"cat": {"words": ["cat"], "is_a": ["beast"]}}, "parts": {}})


def test_agreement_leaves_out_what_is_gated_or_unsure(tmp_path):
    claims = [{"type": t, "slot": s, "words": t, "values": []} for t, s in (("object", "kind"), ("part", "part"))]
    content = {"texts": [{"id": i, "claims": claims} for i in ("a", "b", "c")],
               "judgings": [{"judge": "x", "how": "y", "verdicts": {"a": [True, False], "b": [False, None]}}],
               }  # fmt: skip
    file = tmp_path / "judged.json"
    file.write_text(json.dumps(content))
    read = judged.read_judged(file)
    found = judged.agreement(read["texts"], read["judgings"][0]["verdicts"], {"a": [True, True], "b": [False, True]})
    assert (found.decided["all"], found.agreed["all"], found.share("part")) == (3, 2, 0.0)
    content["judgings"][0]["verdicts"]["a"] = [True]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="'a': 1 verdicts for 2 claims"):
        judged.read_judged(file)


def test_the_published_judgings_fit_their_texts():
    content = judged.read_judged(Path("training/judged_texts.json"))
    assert len(content["texts"]) == 200
    for text in content["texts"]:
        assert [judged.claim_json(claim) for claim in parse(text["text"]).claims] == text["claims"], text["id"]


class Scripted:
    """A judge that says "yes" of the dog, once "maybe", and nonsense of looks."""

    identity = "scripted"

    def __init__(self):
        self.asked = []

    async def complete(self, request):
        self.asked.append((request.text, [image.size for image in request.images()]))
        if "List what it claims" in request.text:
            return Completion(
                'Sure: {"claims": [{"type": "look", "words": "red"}, {"type": "object", "words": "dog"}]}'
            )
        if "Does it look" in request.text:
            return Completion("well")
        return Completion("Yes." if len(self.asked) > 2 else "maybe")


def test_a_judge_answers_one_question_a_claim_and_unusable_answers_are_apart(tmp_path):
    chat, image = Scripted(), Image.new("RGB", (60, 40), "brown")
    with AnswerStore(tmp_path / "answers.jsonl") as store:
        judge_ = ClaimJudge(Asker(chat, store, Limits(first_wait_s=0, unusable_attempts=2)))
        claims = asyncio.run(judge_.claims("k", "a red dog"))
        assert [claim["type"] for claim in claims] == ["object", "look"]
        asked = asyncio.run(judge_.judge("k", "a red dog", claims, image, (30, 20)))
    assert asked.verdicts == [True, None] and asked.unparsable == (1,)
    assert chat.asked[-1][1] == [(768, 512), (512, 512)] and '"red"' in chat.asked[-1][0]
    assert read_answer('"No," it is not') == "no"
    with pytest.raises(ValueError, match="the judge said 'perhaps'"):
        read_answer("perhaps")
    with pytest.raises(ValueError, match="no list of claims"):
        read_claims('{"claims": [{"type": "mood", "words": "sad"}]}')


def test_claims_hash_and_differ():
    assert Claim("object", "kind", ("dog",), "dog") == Claim("object", "kind", ("dog",), "dog")
