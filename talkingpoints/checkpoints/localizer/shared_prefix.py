"""One run of an image's prefix for many rows of text about it."""

from dataclasses import dataclass

import torch
from transformers import Cache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from .families import row_positions, token_types
from .placeholders import Placeholders, run_with
from .vision_language import VisualFeatures, rows_per_image


@dataclass
class SharedPrefix:
    """The prefix, through the last image token, that all rows of each image have in common.

    Running it once is equal to running the whole rows (up to rounding) for models whose image tokens see nothing behind
    the image.

    Attributes:
        vlm: the base model.
        visual: B encoded images.
        times: rows per image.
        length: tokens of the prefix.
    """

    vlm: PreTrainedModel
    visual: VisualFeatures
    times: int
    length: int

    @classmethod
    def find(
        cls, vlm: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor | None, visual: VisualFeatures
    ) -> "SharedPrefix | None":
        """The prefix of rows (B * times, S); None if there is nothing to share (see :func:`shared_length`)."""
        times = rows_per_image(len(input_ids), len(visual))
        length = shared_length(input_ids, attention_mask, vlm.config.image_token_id, times)
        return cls(vlm, visual, times, length) if length else None

    def start(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[Cache, torch.Tensor | None, torch.Tensor]:
        """Run each image's prefix once.

        Args:
            input_ids: (B * times, S), the whole rows.
            attention_mask: same shape.

        Returns:
            Keys and values for every row, the position ids (3, B * times, S) of whole rows where the family does not
            just count, and the prefixes' hidden states (B, length, D).

        Raises:
            RuntimeError: If the model has kept no keys and values.
        """
        types = token_types(self.vlm, input_ids)
        per_row = {name: value.repeat_interleave(self.times, 0) for name, value in self.visual.per_image.items()}
        positions = row_positions(self.vlm, input_ids, attention_mask, types, per_row)
        first = {name: value[:: self.times, : self.length] for name, value in types.items()}
        if positions is not None:
            first["position_ids"] = positions[:, :: self.times, : self.length]
        prefix = self.vlm.base_model(
            input_ids=input_ids[:: self.times, : self.length],
            attention_mask=attention_mask[:: self.times, : self.length],
            mm_encoder_outputs={"image": self.visual.encoder_output},
            use_cache=True,
            **first,
        )
        cache = prefix.past_key_values
        if cache is None or cache.get_seq_length() != self.length:
            raise RuntimeError(
                "the image prefix was not kept: gradient checkpointing turns caches off; "
                "train with share_image_prefix=false or without gradient checkpointing"
            )
        cache.batch_repeat_interleave(self.times)
        return cache, positions, prefix.last_hidden_state

    def run(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        placeholders: Placeholders | None,
        whole: bool = False,
    ) -> BaseModelOutputWithPast:
        """The base model, without its head, over the rows.

        Args:
            input_ids, attention_mask: as for :meth:`start`.
            placeholders: of the whole rows, none of them in the prefix.
            whole: give the hidden states of the prefix as well.

        Returns:
            The base model's output over the S - length tokens behind the prefix; the cache covers all.
        """
        cache, positions, states = self.start(input_ids, attention_mask)
        inputs = {
            "input_ids": input_ids[:, self.length :],
            "attention_mask": attention_mask,
            "past_key_values": cache,
            "use_cache": True,
        }
        if positions is not None:
            inputs["position_ids"] = positions[:, :, self.length :]
        behind = None if placeholders is None else placeholders.behind(self.length)
        output = run_with(self.vlm.base_model, behind, inputs)
        if whole:
            states = states.repeat_interleave(self.times, 0)
            output.last_hidden_state = torch.cat([states, output.last_hidden_state], 1)
        return output


def shared_length(input_ids: torch.Tensor, attention_mask: torch.Tensor | None, image_token_id: int, times: int) -> int:
    """Length of the prefix (through the last image token) that the ``times`` rows of each image have in common.

    0 if there is nothing to share: one row per image, no mask, no image token, padding before its end (photos with
    other numbers of image tokens, padded on the left), rows whose prefixes differ or end elsewhere, or a graph that is
    being traced, which cannot depend on any of this.
    """
    if times == 1 or attention_mask is None or torch.compiler.is_compiling():
        return 0
    is_image = input_ids == image_token_id
    if not is_image.any(1).all():
        return 0
    ends = input_ids.shape[1] - is_image.flip(1).int().argmax(1)
    length = int(ends[0])
    if not attention_mask[:, :length].all():
        return 0
    grouped = input_ids[:, :length].unflatten(0, (-1, times))
    return length if bool((ends == length).all()) and bool((grouped == grouped[:, :1]).all()) else 0
