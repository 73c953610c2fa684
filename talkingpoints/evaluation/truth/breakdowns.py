"""Figures of records by group: by kind of thing, by what is said of it, and by variant of a text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from talkingpoints.evaluation.truth.scores import JudgedText
from talkingpoints.evaluation.truth.vocabulary import HELD_OUT, vocabulary

READ_WITHIN = 0.1
"""A variant counts as read within this unit distance."""
SAID = ("named", "background", "unknown", "other")
"""What a description says of the kind: one of the known kinds, background, that it does not know, another kind."""


def as_judged(judged: Mapping[str, Any], photo: str = "", key: str = "") -> JudgedText:
    """A row's entry of a record as a judged text."""
    types, slots, verdicts = (tuple(judged[name]) for name in ("types", "slots", "verdicts"))
    return JudgedText(photo, key, types, slots, verdicts, judged["read"])


def by_kind(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each annotated kind, the descriptor's texts on it: how many, share with the right kind, share all true."""
    counts: dict[str, list[tuple[bool, bool]]] = {}
    for record in records:
        for point in record["points"]:
            judged = point["judged"]["descriptor"]
            gated = as_judged(judged).gated
            kinds = [v for t, v in zip(judged["types"], gated, strict=True) if t == "object"]
            for kind in point["kinds"] or ("background",) if point["kinds"] is not None else ():
                counts.setdefault(kind, []).append((bool(kinds) and kinds[0] is True, False not in gated))
    return {
        kind: {
            "n": len(found),
            "kind_right": 100.0 * sum(right for right, _ in found) / len(found),
            "all_true": 100.0 * sum(true for _, true in found) / len(found),
        }
        for kind, found in sorted(counts.items(), key=lambda item: -len(item[1]))
    }


def kinds_said(records: Sequence[Mapping[str, Any]], known: frozenset[str]) -> dict[str, dict[str, Any]]:
    """What the descriptor says of points on things of known, of held-out and of further kinds, and on stuff: `n` and
    the shares of `SAID`, in 0..100. On things that it does not know, "named" names one of the known kinds anyway."""
    groups: dict[str, list[str]] = {name: [] for name in ("known", "held_out", "further", "stuff")}
    words = vocabulary()
    for record in records:
        for point in record["points"]:
            kinds = point["kinds"]
            if kinds is None:
                continue
            if not known.isdisjoint(kinds):
                name = "known"
            elif not set(HELD_OUT).isdisjoint(kinds):
                name = "held_out"
            else:
                name = "further" if any(words.is_thing(kind) for kind in kinds) else "stuff"
            groups[name].append(point["judged"]["descriptor"]["said"])
    return {
        name: {"n": len(said)} | {what: 100.0 * said.count(what) / len(said) if said else None for what in SAID}
        for name, said in groups.items()
    }


def variant_shares(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """PCK@0.1 (0..100) of the plain text and each variant, with the ratio to the plain text's; None without any."""
    rows = [record["variants"] for record in records if record["variants"]]
    if not rows:
        return None
    shares = {name: 100.0 * float(np.mean([row[name] <= READ_WITHIN for row in rows])) for name in rows[0]}
    plain = shares["plain"]
    ratios = {name: {"pck": share, "ratio": share / plain if plain else None} for name, share in shares.items()}
    return {"n": len(rows), **ratios}
