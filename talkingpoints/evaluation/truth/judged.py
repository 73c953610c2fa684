"""Texts whose claims were judged by looking at the photos, and how far two judges, or a judge and the rule, agree.

The file is JSON: `texts`, each with its photo, point and claims, and `judgings`, each with who looked and how, and the
verdicts by text id, in the order of the claims: true, false, or null where the photo does not tell or a parent claim
is false.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingpoints.evaluation.truth.claims import PARENTS, TYPES, Claim

Verdicts = Mapping[str, Sequence[bool | None]]


@dataclass(frozen=True)
class Agreement:
    """How many claims two judgings both decided, and on how many they agree, by type and in all ("all")."""

    decided: Mapping[str, int]
    agreed: Mapping[str, int]

    def share(self, name: str = "all") -> float | None:
        """Share of the decided claims on which they agree, 0..1; None without any."""
        return self.agreed[name] / self.decided[name] if self.decided[name] else None


def claim_json(claim: Claim) -> dict[str, Any]:
    """What a judge is shown of a claim."""
    return {"type": claim.type, "slot": claim.slot, "words": claim.words, "values": list(claim.values)}


def question(claim: Mapping[str, Any]) -> str:
    """The question about one claim, as the sheets and the judge's prompt ask it."""
    words, said = claim["words"], " ".join(claim["values"])
    return {
        "object": f'Is the point on what "{words}" says?',
        "which": f'Of the objects of this kind, is it on the one that "{words}" names?',
        "part": f'Is the point on, or right beside, "{words}" (left and right ignored)?',
        "side": f'Is it the {said} one, from the owner\'s own view: "{words}"?',
        "place": f'Is "{words}" a fair account of where it is?',
        "look": f'Does it look "{words}" at and around the point?',
    }[claim["type"]]


def read_judged(file: Path) -> dict[str, Any]:
    """Read a file of judged texts.

    Raises:
        ValueError: If the layout is another, or a judging names an unknown text or has another number of verdicts.
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"texts", "judgings"} <= content.keys():
        raise ValueError(f"{file.name} must hold an object with 'texts' and 'judgings'")
    claims = {text["id"]: text["claims"] for text in content["texts"]}
    for judging in content["judgings"]:
        for name in ("judge", "how", "verdicts"):
            if name not in judging:
                raise ValueError(
                    f"{file.name}: a judging lacks {name!r}; it must say who looked, how, and the verdicts"
                )
        for key, verdicts in judging["verdicts"].items():
            if key not in claims:
                raise ValueError(f"{file.name}: {judging['judge']!r} judged {key!r}, which is no text of the file")
            if len(verdicts) != len(claims[key]) or not all(v is None or isinstance(v, bool) for v in verdicts):
                raise ValueError(
                    f"{file.name}, {key!r}: {len(verdicts)} verdicts for {len(claims[key])} claims by "
                    f"{judging['judge']!r}; each is true, false or null"
                )
    return dict(content)


def agreement(texts: Sequence[Mapping[str, Any]], first: Verdicts, second: Verdicts) -> Agreement:
    """Compare two judgings claim by claim, on claims that both decided and whose parents both call true."""
    decided = dict.fromkeys((*TYPES, "all"), 0)
    agreed = dict(decided)
    for text in texts:
        if text["id"] not in first or text["id"] not in second:
            continue
        types = [claim["type"] for claim in text["claims"]]
        slots = [claim["slot"] for claim in text["claims"]]
        one, two = first[text["id"]], second[text["id"]]
        for i, kind in enumerate(types):
            parents = [j for j, t in enumerate(types) if t in PARENTS[kind] and slots[j] != "count"]
            if one[i] is None or two[i] is None or any(one[j] is False or two[j] is False for j in parents):
                continue
            for name in (kind, "all"):
                decided[name] += 1
                agreed[name] += one[i] == two[i]
    return Agreement(decided, agreed)
