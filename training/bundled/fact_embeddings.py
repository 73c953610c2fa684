"""Facts about points as numbers: what a text mentions -> one vector, the sum of an embedding for each fact.

``pretrain_facts.py`` learns the embeddings, together with a localizer's head; ``sft_facts.py`` then teaches the
language model to turn words into such vectors.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from talkingpoints.data.examples.keypoint_examples import PointExample
from talkingpoints.writer.facts import split_side
from talkingpoints.writer.styles import PointFacts

UNSAID = 0
"""Value of a fact that a text does not mention; known values start at 1."""
UNKNOWN = -1
"""Value of all facts of a text whose facts are unknown: nothing is learned from it."""

_FIELDS = ("label", "image_column", "image_row", "which", "size", "part", "region", "view_side")
_PLACES = ("column", "row", "third_column", "third_row", "point_column", "point_row", "colours")
FACTS = (*_FIELDS, *_PLACES, "object_colours", "object_colours_too", "near", "near_too", "direction")
"""The facts, in order: fields of ``PointFacts``, the object's one or two colours (people name two in either order, so
here they stand in the order of the alphabet), then what is near (one or two names) and in which direction."""

_DISTANCE_WEIGHT = 10.0
_READER_RATE = 0.02
_WEIGHTS = "fact_embeddings.safetensors"
_VALUES = "fact_values.json"


class FactVocabulary:
    """Facts -> integers, one for each of ``FACTS``.

    Args:
        values: the known values of each fact.
    """

    def __init__(self, values: Sequence[Sequence[str]]):
        self.values = [list(known) for known in values]
        self._index = [{value: i + 1 for i, value in enumerate(known)} for known in self.values]

    @classmethod
    def of(cls, examples: Sequence[PointExample]) -> "FactVocabulary":
        """All values that occur in some examples."""
        rows = [_values(facts, told) for example in examples for facts, told in _pairs(example)]
        return cls([sorted({v for v in column if v is not None}) for column in zip(*rows, strict=True)])

    @property
    def sizes(self) -> list[int]:
        """How many integers each fact can be."""
        return [len(known) + 1 for known in self.values]

    def encode(self, example: PointExample) -> torch.Tensor:
        """(n, len(FACTS)) for the n texts of an example: what each mentions, ``UNSAID`` elsewhere.

        A value that the vocabulary does not know counts as unsaid.
        """
        rows = [_values(facts, told) for facts, told in _pairs(example)]
        return torch.tensor(
            [[index.get(v or "", UNSAID) for index, v in zip(self._index, row, strict=True)] for row in rows]
        )


class FactEmbeddings(nn.Module):
    """Integers (..., len(FACTS)) -> (..., width), the sum of what is mentioned.

    Args:
        vocabulary: of the integers.
        width: of the vectors; the localizer's hidden size.
    """

    def __init__(self, vocabulary: FactVocabulary, width: int):
        super().__init__()
        self.vocabulary = vocabulary
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in vocabulary.sizes)
        self.reader_weight: torch.Tensor
        self.reader_bias: torch.Tensor
        self.register_buffer("reader_weight", torch.zeros(sum(vocabulary.sizes), width))
        self.register_buffer("reader_bias", torch.zeros(sum(vocabulary.sizes)))

    def forward(self, facts: torch.Tensor) -> torch.Tensor:
        vectors = [table(facts[..., i]) for i, table in enumerate(self.tables)]
        return sum(vectors[1:], vectors[0])

    def reading_loss(self, query: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        """How far hidden states of the query token (R, width) are from the facts (R, len(FACTS)) that were told, over
        the rows whose facts are not ``UNKNOWN``; 0 where there is none.

        The squared distance to the sum, both after layer normalisation, as the head sees them, and the cross-entropy
        of each fact's value as :meth:`fit_readers` reads it. The first alone learns facts that move the sum little, and
        rarer ones, slowly; the second alone does not make the sum that the head knows.
        """
        known = (facts != UNKNOWN).all(-1)
        query, facts, width = query[known], facts[known], query.shape[-1:]
        if not len(query):
            return query.sum().float()
        query = functional.layer_norm(query.float(), width)
        loss = _DISTANCE_WEIGHT * functional.mse_loss(query, functional.layer_norm(self(facts), width))
        for i, logits in enumerate(self.read(query)):
            loss = loss + functional.cross_entropy(logits, facts[:, i])
        return loss

    def read(self, query: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of layer-normalised vectors (R, width) the logits of each fact's values, by the fitted readers."""
        return (query @ self.reader_weight.T + self.reader_bias).split(self.vocabulary.sizes, dim=-1)

    def fit_readers(self, facts: torch.Tensor, steps: int = 200) -> None:
        """Fit linear classifiers that read each fact's value off the sums of texts' facts (n, len(FACTS)).

        They are not the embeddings themselves: what all sums have in common points the way of "unsaid", and a fact
        that moves the sum little would be taken for unsaid however clearly it is told.
        """
        with torch.enable_grad():
            sums = functional.layer_norm(self(facts).detach(), self.reader_weight.shape[1:])
            weight, bias = (x.clone().requires_grad_() for x in (self.reader_weight, self.reader_bias))
            optimizer = torch.optim.Adam([weight, bias], lr=_READER_RATE)
            for _ in range(steps):
                logits = (sums @ weight.T + bias).split(self.vocabulary.sizes, dim=-1)
                losses = [functional.cross_entropy(one, facts[:, i]) for i, one in enumerate(logits)]
                loss = sum(losses[1:], losses[0])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.reader_weight.copy_(weight.detach())
        self.reader_bias.copy_(bias.detach())

    @torch.no_grad()
    def fit(self, queries: torch.Tensor, facts: torch.Tensor, ridge: float = 1.0) -> None:
        """Set the embeddings so that their sums come as near to given vectors as they can, by ridge regression.

        Args:
            queries: (n, width), what a trained language model makes of n texts.
            facts: (n, len(FACTS)), what the texts tell. A value that no text tells moves the sum by a random vector, as
                far as others do: from zero it would stay faint, and a faint fact is hardly learned.
            ridge: weight of the embeddings' squares.
        """
        chosen = [nn.functional.one_hot(facts[:, i], size) for i, size in enumerate(self.vocabulary.sizes)]
        design = torch.cat(chosen, dim=1).double()
        gram = design.T @ design + ridge * torch.eye(design.shape[1], dtype=torch.double)
        weights = torch.linalg.solve(gram, design.T @ queries.double()).float()
        parts = weights.split(self.vocabulary.sizes)
        occur = [one.any(0) for one in chosen]
        moves = [(rows - rows[UNSAID])[there][1:].norm(dim=-1) for rows, there in zip(parts, occur, strict=True)]
        length = torch.cat(moves).median() if sum(map(len, moves)) else torch.tensor(1.0)
        for table, rows, there in zip(self.tables, parts, occur, strict=True):
            assert isinstance(table, nn.Embedding)
            random = functional.normalize(torch.randn(rows.shape), dim=-1) * length
            untold = ~there
            untold[UNSAID] = False
            table.weight.copy_(torch.where(untold[:, None], rows[UNSAID] + random, rows))

    def save(self, folder: str | Path) -> None:
        """Write weights and vocabulary into a folder."""
        save_file(self.state_dict(), Path(folder) / _WEIGHTS)
        (Path(folder) / _VALUES).write_text(json.dumps(self.vocabulary.values, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "FactEmbeddings":
        """What :meth:`save` wrote.

        Raises:
            ValueError: If the folder holds none.
        """
        folder = Path(folder)
        if not (folder / _WEIGHTS).is_file():
            raise ValueError(f"{folder} holds no {_WEIGHTS}; pretrain_facts.py writes it")
        vocabulary = FactVocabulary(json.loads((folder / _VALUES).read_text(encoding="utf-8")))
        weights = load_file(folder / _WEIGHTS)
        embeddings = cls(vocabulary, weights["tables.0.weight"].shape[1])
        embeddings.load_state_dict(weights)
        return embeddings


def _pairs(example: PointExample) -> list[tuple[PointFacts, frozenset[str]]]:
    if len(example["facts"]) != len(example["texts"]):
        raise ValueError("what one's own texts tell is not known: facts need annotated keypoints")
    return list(zip(example["facts"], example["told"], strict=True))


def _values(facts: PointFacts, told: frozenset[str]) -> list[str | None]:
    """The value of each of ``FACTS``, None where it is not told or there is none."""
    fields = {name: getattr(facts, name) if name in told else None for name in (*_FIELDS, *_PLACES)}
    fields["label"] = (facts.label or "background") if "label" in told else None
    for name in ("part", "region"):
        fields[name] = _sided(fields[name], facts.side if "side" in told else None)
    fields["colours"] = None if fields["colours"] is None else fields["colours"][0]
    both = sorted(facts.object_colours) if "object_colours" in told else []
    fields["object_colours"] = both[0] if both else None
    fields["object_colours_too"] = both[1] if len(both) > 1 else None
    near = facts.near if "near" in told else ()
    fields["near"] = near[0].name if near else None
    fields["near_too"] = near[1].name if len(near) > 1 else None
    fields["direction"] = f"{near[0].direction}{', close' if near[0].close else ''}" if near else None
    return [None if fields[name] is None else str(fields[name]) for name in FACTS]


def _sided(name: str | None, side: str | None) -> str | None:
    """A part or region with the object's own side if that is told, else without: "left ear", "ear"."""
    if name is None:
        return None
    bare = split_side(name)[1]
    return bare if side is None else f"{side} {bare}"
