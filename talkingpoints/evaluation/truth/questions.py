"""Claims of any describer, found and judged by a vision language model behind an OpenAI-compatible server.

The rule reads our own dialect only. For other texts the model lists the claims (prompts/claims.txt), and answers one
question about each while it looks at the photo with the point in a ring (prompts/claim.txt). Answers that are none of
yes, no and unclear are asked for again and at last counted as unparsable, never as right or wrong.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from talkingpoints.evaluation.truth.claims import TYPES
from talkingpoints.evaluation.truth.judged import question
from talkingpoints.evaluation.truth.ring import whole_and_crop
from talkingpoints.llm.asker import Asker
from talkingpoints.llm.prompt_files import Prompt
from talkingpoints.llm.requests import GaveUpError, RejectedError, WriteRequest

PROMPTS = Path(__file__).parent / "prompts"
ANSWERS: Mapping[str, bool | None] = {"yes": True, "no": False, "unclear": None}
SIDES_PX = (768, 512)
SLOTS = {"object": "kind", "which": "order", "part": "part", "side": "own", "place": "photo", "look": "colour"}
SCHEMA = {
    "type": "object",
    "properties": {
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"enum": list(TYPES)}, "words": {"type": "string"}},
                "required": ["type", "words"],
            },
        }
    },
    "required": ["claims"],
}


@dataclass(frozen=True)
class Asked:
    """Verdicts of a text's claims, None for unclear, and which claims got no usable answer."""

    claims: list[dict[str, Any]]
    verdicts: list[bool | None]
    unparsable: tuple[int, ...]


class ClaimJudge:
    """Asks a model about claims.

    Args:
        asker: Asks the model and keeps its answers.
        claims, claim: The two prompts; None takes the package's own.
    """

    def __init__(self, asker: Asker, claims: Prompt | None = None, claim: Prompt | None = None) -> None:
        self.asker = asker
        self.claims_prompt = claims or Prompt.read(PROMPTS / "claims.txt")
        self.claim_prompt = claim or Prompt.read(PROMPTS / "claim.txt")

    async def claims(self, key: str, text: str) -> list[dict[str, Any]] | None:
        """The claims that the model finds in a text; None where it gives no usable list."""
        request = WriteRequest(
            f"{key}/claims", self.claims_prompt.version, self.claims_prompt.filled(text=text), read_claims,
            schema=SCHEMA,
        )  # fmt: skip
        try:
            return await self.asker.ask(request)
        except (RejectedError, GaveUpError):
            return None

    async def judge(
        self, key: str, text: str, claims: list[dict[str, Any]], image: Image.Image, point_px: tuple[float, float]
    ) -> Asked:
        """One question for each claim.

        Args:
            key: Names the text; unique.
            text: The description.
            claims: Each with `type`, `words` and `values`, as in the file of judged texts.
            image: The photo.
            point_px: (x, y) in pixels.

        Raises:
            ServerError: If the server cannot be asked at all.
        """
        verdicts: list[bool | None] = []
        lost: list[int] = []
        for i, claim in enumerate(claims):
            request = WriteRequest(
                f"{key}/{i}", self.claim_prompt.version,
                self.claim_prompt.filled(text=text, question=question(claim)), read_answer,
                images=lambda: whole_and_crop(image, point_px, SIDES_PX),
            )  # fmt: skip
            try:
                verdicts.append(ANSWERS[await self.asker.ask(request)])
            except (RejectedError, GaveUpError):
                verdicts.append(None)
                lost.append(i)
        return Asked(claims, verdicts, tuple(lost))


def read_answer(words: str) -> str:
    """ "yes", "no" or "unclear".

    Raises:
        ValueError: If the words begin with none of them.
    """
    first = words.strip().lower().strip("\"'*").partition(" ")[0].strip(".,:;!\"'*")
    if first not in ANSWERS:
        raise ValueError(f"the judge said {words[:40]!r}; allowed: {', '.join(ANSWERS)}")
    return first


def read_claims(words: str) -> list[dict[str, Any]]:
    """Claims from a model's JSON, in the order of `TYPES`.

    Raises:
        ValueError: If it is no such JSON, or a claim has an unknown type or no words.
    """
    start, end = words.find("{"), words.rfind("}")
    try:
        entries = json.loads(words[start : end + 1])["claims"]
        found = [{"type": e["type"], "slot": SLOTS[e["type"]], "words": e["words"], "values": []} for e in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no list of claims: {words[:60]!r}") from error
    if not found or not all(isinstance(e["words"], str) and e["words"].strip() for e in found):
        raise ValueError("a claim without words, or no claim")
    return sorted(found, key=lambda entry: TYPES.index(entry["type"]))
