"""Give a trained localizer a tokenizer that knows more words, before it learns more ways of saying things.

    python -m training.bundled.renew_words --localizer talkingpoints/checkpoints/localizer --datasets DIR [DIR ...] \\
        --output_dir runs/words

The tokenizer is trained as `build_base.py` does, on the texts that the writer writes by now. A token that the old one
had keeps its embedding, another starts as the mean of the old pieces that it is made of; everything else stays. What
the language model could read, it nearly still can, in fewer tokens. ``--fresh`` takes an untrained language model
instead, for ablations. A few seconds on a CPU.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast, set_seed

from talkingpoints import PointLocalizer, PointLocalizerProcessor
from talkingpoints.adapters import load_whole
from talkingpoints.processing_localizer import LOCATE_TOKEN
from training.bundled.build_base import BaseArguments, build_tokenizer, written_texts
from training.sft.arguments import parse_arguments


@dataclass
class WordsArguments:
    """Whose words, and from which texts."""

    localizer: str = field(metadata={"help": "folder of a trained localizer whose tokenizer build_base.py made"})
    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders whose train split the tokenizer reads"})
    output_dir: str = field(metadata={"help": "folder to write"})
    fresh: bool = field(default=False, metadata={"help": "draw the language model's weights anew: it can read nothing"})
    vocab_size: int = 1536
    texts: int = 20000
    seed: int = 0


ARGUMENTS = (WordsArguments,)


def renew_words(model: PointLocalizer, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast) -> None:
    """Change a localizer's embeddings, in place, from one byte-level tokenizer to another.

    Args:
        model: reads by ``old``; special tokens keep their numbers.
        old: its tokenizer.
        new: has the same special tokens in the same places, and ``<locate>`` behind all others.

    Raises:
        ValueError: If a special token of ``new`` has another number in ``old``.
    """
    embeddings: Any = model.get_input_embeddings()
    before = embeddings.weight.data.clone()
    pieces = old.backend_tokenizer.model
    vocabulary = new.get_vocab()
    locate = vocabulary.pop(LOCATE_TOKEN)
    moved = [token for token in new.all_special_tokens if vocabulary.get(token, -1) != old.get_vocab().get(token, -1)]
    if set(moved) - {LOCATE_TOKEN}:
        raise ValueError(f"special tokens {moved} have other numbers in the old tokenizer")
    after = torch.empty(len(vocabulary), before.shape[1], dtype=before.dtype)
    for token, index in vocabulary.items():
        known = [index] if token in new.all_special_tokens else [piece.id for piece in pieces.tokenize(token)]
        after[index] = before[known].mean(0)
    model.vlm.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    embeddings = model.get_input_embeddings()  # new ones
    embeddings.weight.data.copy_(after)
    model.config.vlm_config = model.vlm.config
    model.config.locate_token_id = locate


def draw_language_model(model: PointLocalizer, seed: int) -> None:
    """Replace the language model, in place, by an untrained one of the same configuration."""
    set_seed(seed)
    new = AutoModelForImageTextToText.from_config(model.vlm.config, dtype=torch.float32)
    model.vlm.get_decoder().load_state_dict(new.get_decoder().state_dict())


def main(argv: list[str]) -> None:
    """Renew and save; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    model, processor = load_whole(arguments.localizer, PointLocalizer)
    wanted = BaseArguments(arguments.datasets, arguments.output_dir, texts=arguments.texts, seed=arguments.seed)
    tokenizer = build_tokenizer(written_texts(wanted), arguments.vocab_size)
    tokenizer.add_tokens([LOCATE_TOKEN], special_tokens=True)
    renew_words(model, processor.tokenizer, tokenizer)
    if arguments.fresh:
        draw_language_model(model, arguments.seed)
    model.save_pretrained(arguments.output_dir)
    renewed = PointLocalizerProcessor(
        image_processor=processor.image_processor,
        tokenizer=tokenizer,
        chat_template=processor.chat_template,
        base_processor_class=processor.base_processor_class,
        base_processor_kwargs=processor.base_processor_kwargs,
        instruction=processor.instruction,
    )
    renewed.save_pretrained(arguments.output_dir)
    print(f"{len(processor.tokenizer)} tokens before, {len(tokenizer)} now: {arguments.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
