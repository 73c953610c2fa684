"""A text together with what it claims, so that its truth can be checked and rewarded without reading it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextClaim:
    """One statement of a text about its point.

    Args:
        type: "object", "which", "part", "side", "place" or "look".
        slot: Within the type: "kind"; "order", "size", "count" or "tell" (the only black one); "part"; "own", "view" or
            "piece"; "photo", "extent", "object", "within", "near" or "touching"; "colour", "texture", "thing colour",
            "posture" or "facing".
        values: What is said: a kind or part of the lexicon, a side, (column, row) as words, colours, ...
        targets: Of "near" and "touching": (part, side) pairs, or (kind, "kind").
    """

    type: str
    slot: str
    values: tuple[str, ...]
    targets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FluentText:
    """A text and its claims.

    Args:
        text: As a reader sees it.
        claims: In the order of speech.
        style: Of `sentences.STYLES`.
    """

    text: str
    claims: tuple[TextClaim, ...]
    style: str

    def named(self, slot: str) -> tuple[str, ...]:
        """The values of the first claim of a slot; none if there is none."""
        return next((claim.values for claim in self.claims if claim.slot == slot), ())
