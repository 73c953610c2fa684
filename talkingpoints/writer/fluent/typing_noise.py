"""What keyboards and haste do to a text, for readers to learn from: of its own making, not the forms of the evaluation.

Words that say which side is meant, and short words, keep their letters: "left" with a wrong letter is no text about a
side any more.
"""

import random
import re
from collections.abc import Callable

KEPT = frozenset({
    "left", "right", "upper", "lower", "top", "bottom", "front", "back", "above", "below", "not", "between", "middle",
    "first", "second", "third", "inner", "outer",
})  # fmt: skip
LEAST_LETTERS = 4
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
MARKS = (
    "!",
    "!!",
    " :)",
    " \U0001f642",
    " \U0001f44d",
    " \U0001f50e",
    " \U0001f914",
    "...",
    " <-",
    " *",
    " \U0001f4cd",
)
DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "second": "2nd", "third": "3rd"}
SPELLINGS = (
    ("grey", "gray"),
    ("centre", "center"),
    ("colour", "color"),
    ("tyre", "tire"),
    ("windscreen", "windshield"),
)
LIKELY = 0.45
"""Share of texts with some noise."""


def typed_noise(text: str, rng: random.Random, likely: float = LIKELY) -> str:
    """Change a text as people's typing does.

    Args:
        text: Any text.
        rng: Source of chance.
        likely: Probability that it is changed at all; then one to three changes are made.

    Returns:
        The text with changed letters, case, marks, blanks or spellings; its words keep their meaning.
    """
    if rng.random() >= likely:
        return _ended(text, rng)
    for change in rng.sample(_CHANGES, k=rng.choice((1, 1, 2, 3))):
        text = change(text, rng)
    return _ended(text, rng)


def _ended(text: str, rng: random.Random) -> str:
    """Full stop, first letter, or neither."""
    if rng.random() < 0.3 and text[-1:].isalnum():
        text += "."
    return text[:1].upper() + text[1:] if rng.random() < 0.3 else text


def _word(text: str, rng: random.Random, change: Callable[[str, random.Random], str]) -> str:
    """Change one or two words that may be changed."""
    words = re.split(r"(\W+)", text)
    free = [i for i, w in enumerate(words) if len(w) >= LEAST_LETTERS and w.isalpha() and w.lower() not in KEPT]
    for i in rng.sample(free, k=min(len(free), rng.choice((1, 1, 2)))):
        words[i] = change(words[i], rng)
    return "".join(words)


def _swap(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word) - 1)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _drop(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + word[i + 1 :]


def _double(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + word[i] + word[i:]


def _neighbour_key(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    row = next((keys for keys in KEYS if word[i].lower() in keys), None)
    if row is None:
        return word
    at = row.index(word[i].lower())
    return word[:i] + row[max(0, min(len(row) - 1, at + rng.choice((-1, 1))))] + word[i + 1 :]


def _shout(text: str, rng: random.Random) -> str:
    """Capitals: all of it, its start, or some words."""
    words = text.split(" ")
    first = rng.choice((0, 0, rng.randrange(len(words))))
    last = rng.choice((len(words), len(words), first + 1 + rng.randrange(3)))
    return " ".join(w.upper() if first <= i < last else w for i, w in enumerate(words))


def _titled(text: str, rng: random.Random) -> str:
    return " ".join(w[:1].upper() + w[1:] if len(w) > 2 or rng.random() < 0.5 else w for w in text.split(" "))


def _unmarked(text: str, rng: random.Random) -> str:
    """No marks, or none at words' ends."""
    text = re.sub(r"[,;:]", "" if rng.random() < 0.5 else " ", text)
    return re.sub(r" +", " ", text.replace("'", "") if rng.random() < 0.5 else text)


def _articles(text: str, rng: random.Random) -> str:
    """Without some or all articles."""
    count = rng.choice((0, 1, 2))
    return re.sub(r"\b(?:the|a|an) ", "", text, count=count) or text


def _marked(text: str, rng: random.Random) -> str:
    return f"{text}{rng.choice(MARKS)}" if rng.random() < 0.8 else f"{rng.choice(MARKS).strip()} {text}"


def _digits(text: str, rng: random.Random) -> str:
    return re.sub(r"\b(one|two|three|four|five|six|second|third)\b", lambda m: DIGITS[m[0]], text)


def _spelling(text: str, rng: random.Random) -> str:
    for one, other in SPELLINGS:
        text = re.sub(rf"\b{one}", other, text)
    return text


def _blanks(text: str, rng: random.Random) -> str:
    """A blank too many, or one too few after a comma."""
    return text.replace(", ", "," if rng.random() < 0.5 else "  , ", 1) if ", " in text else text.replace(" ", "  ", 1)


def _order(text: str, rng: random.Random) -> str:
    """Two phrases between commas change places; "the dog's ear" becomes "dog, ear"."""
    pieces = text.split(", ")
    if len(pieces) > 1:
        i = rng.randrange(len(pieces) - 1)
        pieces[i], pieces[i + 1] = pieces[i + 1], pieces[i]
        return ", ".join(pieces)
    return re.sub(r"\bthe ([a-z ]+)'s ([a-z ]+)", r"\1, \2", text, count=1)


_CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    lambda text, rng: _word(text, rng, _swap), lambda text, rng: _word(text, rng, _drop),
    lambda text, rng: _word(text, rng, _double), lambda text, rng: _word(text, rng, _neighbour_key),
    _shout, _titled, _unmarked, _articles, _marked, _digits, _spelling, _blanks, _order,
)  # fmt: skip
