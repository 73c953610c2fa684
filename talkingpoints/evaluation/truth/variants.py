"""Ten ways to type one text, for asking whether a listener reads or matches: the point must stay where it was.

Made by rule and by the text alone, so that everybody gets the same ones. Training noise must be of another making.
"""

import random
import re
from collections.abc import Callable

SYNONYMS = {
    "photo": "shot", "left": "left-hand", "right": "right-hand", "front": "fore", "back": "hind", "paw": "foot",
    "nose": "snout", "centre": "middle", "upper": "higher", "lower": "bottom", "dark": "deep", "just": "right",
    "person": "human", "shoulder": "shoulder joint", "wrist": "hand joint", "throat": "front of the neck",
}  # fmt: skip
NOT_SWAPPED = ("left", "right")
SHORTEST = 4
"""Letters of a word that may lose or swap one."""


def variants(text: str) -> dict[str, str]:
    """The text in ten variants, by name.

    Args:
        text: One description.
    """
    makers: dict[str, Callable[[str, random.Random], str]] = {
        "capitals": lambda t, _: t.upper(),
        "title_case": lambda t, _: t.title(),
        "swapped_letters": lambda t, rng: _in_one_word(t, rng, _swapped),
        "dropped_letter": lambda t, rng: _in_one_word(t, rng, _dropped),
        "digits_and_emoji": lambda t, _: f"1) {t} \N{WHITE DOWN POINTING BACKHAND INDEX} #2",
        "question": lambda t, _: f"Where is this: {_lowered(t).rstrip('.')}?",
        "polite": lambda t, _: f"Could you please help me? I mean this: {t} Thank you so much!",
        "not_the_other": lambda t, _: f"{t.rstrip('.')}, not the other one.",
        "synonyms": lambda t, _: re.sub(r"[a-z]+", lambda m: SYNONYMS.get(m[0], m[0]), t),
        "word_order": lambda t, _: _turned(t),
    }
    return {name: make(text, random.Random(f"{name} {text}")) for name, make in makers.items()}


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _in_one_word(text: str, rng: random.Random, change: Callable[[str, random.Random], str]) -> str:
    """The text with one of every four long words changed, at least one; sides stay as they are."""
    pieces = text.split(" ")
    long = [
        i for i, piece in enumerate(pieces)
        if len(re.sub(r"\W", "", piece)) >= SHORTEST and not piece.lower().startswith(NOT_SWAPPED)
    ]  # fmt: skip
    for i in rng.sample(long, min(len(long), max(1, len(long) // 4))):
        pieces[i] = change(pieces[i], rng)
    return " ".join(pieces)


def _swapped(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 2) if len(word) > 3 else 0
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _dropped(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1 :]


def _turned(text: str) -> str:
    """Sentences in the other order; of one sentence the pieces between commas."""
    pieces = re.findall(r"[^.]+\.?", text.strip())
    if len(pieces) > 1:
        return " ".join(piece.strip() for piece in reversed(pieces))
    return ", ".join(piece.strip(" .") for piece in reversed(text.split(",")))
