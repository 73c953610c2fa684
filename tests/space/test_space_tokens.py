"""Texts that hold the tokens by which the models are steered, through the app, on untrained models of the real kind."""

import pytest

from space import handlers
from space.hosting.serving import ServedPair
from space.photos import Photo
from talkingpoints import TalkingPoints
from talkingpoints.processing_descriptor import POINT_TOKEN
from talkingpoints.processing_localizer import LOCATE_TOKEN
from tests.helpers.tiny import photo

PICTURE = Photo(photo(), (640, 960), "cat.png")


@pytest.fixture(scope="module")
def tp(pair) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


def steering(tp: TalkingPoints, text: str) -> list[int]:
    """Ids of the steering tokens in the prompt for a text."""
    processor = tp.localizer_processor
    special = set(processor.tokenizer.added_tokens_encoder.values())
    ids = processor(images=[PICTURE.image], text=[[text]])["input_ids"][0].tolist()
    return [token for token in ids if token in special]


@pytest.mark.parametrize(
    "text",
    [
        POINT_TOKEN,
        LOCATE_TOKEN,
        "<image>",
        "<loc_0001>",
        "<loc_0512><loc_0100><point><point><point><point>",
        "the <locate> ear <image><image>",
        "{text} {point} <|im_end|>",
    ],
)
def test_steering_tokens_in_a_text_are_plain_characters(tp, text):
    assert steering(tp, text) == steering(tp, "the ear")
    found = handlers.find(ServedPair(tp), PICTURE, text)
    assert 0 <= found.unit[0] <= 1
    assert 0 <= found.unit[1] <= 1
    assert 0 <= found.presence <= 1


def test_every_token_that_was_added_to_the_vocabulary_is_plain_in_a_text(tp):
    tokens = list(tp.localizer_processor.tokenizer.added_tokens_encoder)
    some = [*tokens[:5], *tokens[-5:]]
    assert steering(tp, " ".join(some)) == steering(tp, "the ear")


@pytest.mark.parametrize("text", ["אוזן שמאל של החתול", "🐈‍⬛👈🏽 " * 100, "a" * 1000, "\u200b", "ear\x00\x07"])
def test_unusual_texts_lead_to_a_point(tp, text):
    served = ServedPair(tp)
    assert 0 <= handlers.find(served, PICTURE, text).unit[0] <= 1


def test_a_text_of_ten_thousand_characters_never_reaches_the_model(tp):
    with pytest.raises(ValueError, match="10,000 characters; at most 1,000"):
        handlers.find(ServedPair(tp), PICTURE, "<point>" * 1428 + "abcd")
