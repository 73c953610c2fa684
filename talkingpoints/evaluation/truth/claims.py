"""What a description says, as typed claims that are true or false of a point."""

from dataclasses import dataclass

TYPES = ("object", "which", "part", "side", "place", "look")
BACKGROUND, UNKNOWN = "background", "unknown"
"""Values of object claims that name no kind: no thing is there, or a thing that the describer does not know."""


@dataclass(frozen=True)
class Range:
    """A stretch of a box's or the photo's side, as shares of it from the left or from the top."""

    low: float
    high: float


@dataclass(frozen=True)
class Claim:
    """One statement about the point.

    Attributes:
        type: One of `TYPES`.
        slot: What within the type: "kind"; "order", "size" or "count"; "part"; "own" or "view"; "photo", "object" or
            "near"; "colour" or "texture".
        values: What is said. Kinds, parts and colours that one word may mean are alternatives in one tuple.
        words: How it was said.
        across, down: Of places in the photo or the object: the stretch on each axis, None where nothing is said.
        target: Of the slot "near": what the direction is seen from, ("part", name, side) or ("kind", name, "").
    """

    type: str
    slot: str
    values: tuple[str, ...]
    words: str
    across: Range | None = None
    down: Range | None = None
    targets: tuple[tuple[str, frozenset[str], str], ...] = ()


@dataclass(frozen=True)
class Parsed:
    """The claims of a text, in the order of `TYPES`, and the words that no rule could read."""

    text: str
    claims: tuple[Claim, ...]
    left_over: tuple[str, ...] = ()

    @property
    def read(self) -> bool:
        """Whether every word was read and something was claimed; texts that were not read are counted apart."""
        return bool(self.claims) and not self.left_over


PARENTS = {
    "object": (),
    "which": ("object",),
    "part": ("object", "which"),
    "side": ("object", "which", "part"),
    "place": ("object", "which"),
    "look": ("object", "which"),
}
"""A claim counts only if the claims of these types are true: a wrong object makes everything said of it worthless.
Of the type "which" the count ("of two dogs") opens nothing: it selects no object."""
