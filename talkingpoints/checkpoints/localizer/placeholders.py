"""Vectors that stand in place of placeholder tokens, as an argument of the call that they belong to.

A base looks its tokens up, puts image features among them and hands the result to its language model, together with
every keyword that it does not know itself. One such keyword carries the vectors; a hook on the language model takes it
out and writes them. The hook knows nothing of any call: threads, beams, pieces of a prompt and compiled graphs cannot
mix their points up. The base still gets ``input_ids``, so its position ids, masks and token types stay its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

KEYWORD = "placeholders"


@dataclass
class Placeholders:
    """What stands at the placeholders of R rows, for the piece of their sequence that is run.

    Attributes:
        places: (R, K) columns of the piece. Those outside of it belong to another piece and change nothing.
        values: (R, K, D) vectors at the language model's width.
        written: True once the language model has got them.
    """

    places: torch.Tensor
    values: torch.Tensor
    written: bool = False

    def write(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Embeddings (R, S, D) of the piece -> the same with the vectors at their places."""
        self.written = True
        columns = torch.arange(embeddings.shape[1], device=embeddings.device)
        here = self.places.to(embeddings.device)[:, None] == columns[:, None]  # (R, S, K)
        which = here.int().argmax(-1, keepdim=True).expand(-1, -1, self.values.shape[-1])  # (R, S, D)
        values = self.values.to(embeddings).gather(1, which)
        return torch.where(here.any(-1, keepdim=True), values, embeddings)

    def behind(self, length: int) -> "Placeholders":
        """The same for the piece that starts at column ``length`` of this one."""
        return Placeholders(self.places - length, self.values)


def find_places(mask: torch.Tensor, count: int) -> torch.Tensor:
    """The columns where each row of a mask is True.

    Args:
        mask: (R, S) bool, True ``count`` times in each row.
        count: K.

    Returns:
        (R, K), from left to right; S for what a row lacks.

    Raises:
        ValueError: If a row holds another number of placeholders (not while a graph is traced).
    """
    if not torch.compiler.is_compiling():
        found = mask.sum(1)
        if not (found == count).all():
            raise ValueError(f"each row needs {count} placeholder tokens, one for each embedding, got {found.tolist()}")
    ranks = torch.arange(count, device=mask.device)
    return (mask.cumsum(1)[:, None] <= ranks[:, None]).sum(-1)


def accept_placeholders(vlm: PreTrainedModel) -> None:
    """Let a base's language model take the keyword; once is enough, for all models over that base."""
    decoder = vlm.get_decoder()
    if _write not in decoder._forward_pre_hooks.values():
        decoder.register_forward_pre_hook(_write, with_kwargs=True)


def _write(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
    given = kwargs.pop(KEYWORD, None)
    if given is None:
        return None
    kwargs["inputs_embeds"] = given.write(kwargs["inputs_embeds"])
    return args, kwargs


def run_with(module: nn.Module, placeholders: Placeholders | None, inputs: Mapping[str, Any], **kwargs: Any) -> Any:
    """Call a base, or its part below the language-modelling head, with what stands at its placeholders.

    Raises:
        RuntimeError: If the language model has not got the vectors: it was replaced, or its family drops keywords.
    """
    if placeholders is None:
        return module(**inputs, **kwargs)
    output = module(**inputs, **kwargs, **{KEYWORD: placeholders})
    if not placeholders.written:
        raise RuntimeError(
            f"the point has not reached the language model of this {type(module).__name__}: if it was replaced, call "
            "talkingpoints.placeholders.accept_placeholders(model.vlm)"
        )
    return output
