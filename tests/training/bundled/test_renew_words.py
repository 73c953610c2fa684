"""A localizer with a new tokenizer."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from tests.helpers.drawn import drawn_dataset
from training import sft_localizer
from training.bundled import build_base, renew_words

TINY = ["--hidden_size", "32", "--intermediate_size", "48", "--num_hidden_layers", "1", "--num_attention_heads", "2",
        "--num_key_value_heads", "1", "--image_size", "32", "--vision_hidden_size", "16"]  # fmt: skip


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    drawn_dataset(folder / "drawn", n=2)
    data = ["--datasets", str(folder / "drawn")]
    build_base.main([*data, "--output_dir", str(folder / "base"), "--vocab_size", "280", "--texts", "16", *TINY])
    sft_localizer.main(
        [*data, "--base", str(folder / "base"), "--output_dir", str(folder / "localizer"), "--max_steps", "1",
         "--use_cpu", "True", "--report_to", "none", "--save_strategy", "no", "--eval_strategy", "no"]
    )  # fmt: skip
    return folder / "localizer"


def renewed(localizer: Path, *flags: str) -> Path:
    output = localizer.parent / "renewed"
    arguments = ["--localizer", str(localizer), "--datasets", str(localizer.parent / "drawn"), "--texts", "16"]
    renew_words.main([*arguments, "--output_dir", str(output), "--vocab_size", "400", *flags])
    return output


def test_more_words_and_the_same_weights(localizer: Path) -> None:
    output = renewed(localizer)
    before, after = AutoModel.from_pretrained(localizer), AutoModel.from_pretrained(output)
    old, new = (AutoProcessor.from_pretrained(folder).tokenizer for folder in (localizer, output))
    assert len(new) > len(old)
    texts = "The dog's left ear, far right."
    assert len(new.tokenize(texts)) < len(old.tokenize(texts))
    assert new.decode(new(texts)["input_ids"]) == texts
    weights, mapped = before.get_input_embeddings().weight, after.get_input_embeddings().weight
    shared = [token for token in new.get_vocab() if token in old.get_vocab() and token != "<locate>"]
    for token in shared:
        assert torch.equal(mapped[new.convert_tokens_to_ids(token)], weights[old.convert_tokens_to_ids(token)]), token
    longer = next(token for token in new.get_vocab() if token not in old.get_vocab())
    pieces = [piece.id for piece in old.backend_tokenizer.model.tokenize(longer)]
    torch.testing.assert_close(mapped[new.convert_tokens_to_ids(longer)], weights[pieces].mean(0))
    state = dict(before.named_parameters())
    assert all(
        torch.equal(value, state[name]) for name, value in after.named_parameters() if "embed_tokens" not in name
    )
    processor = AutoProcessor.from_pretrained(output)
    inputs = processor(images=[Image.new("RGB", (40, 30))], text=[[texts]])
    assert torch.isfinite(after(**inputs).points).all()


def test_an_untrained_language_model(localizer: Path) -> None:
    before, after = (
        AutoModel.from_pretrained(localizer),
        AutoModel.from_pretrained(renewed(localizer, "--fresh", "True")),
    )
    state = dict(before.named_parameters())
    for name, value in after.named_parameters():
        if "q_proj" in name and "language_model" in name:
            assert not torch.equal(value, state[name]), name
        elif "vision_tower" in name or "head" in name or name == "query":
            assert torch.equal(value, state[name]), name


def test_other_special_tokens_are_refused(localizer: Path) -> None:
    model = AutoModel.from_pretrained(localizer)
    old = AutoProcessor.from_pretrained(localizer).tokenizer
    other = build_base.build_tokenizer(iter(["a dog"]), 280)
    other.add_special_tokens({"additional_special_tokens": ["<other>", "<locate>"]})
    with pytest.raises(ValueError, match="have other numbers in the old tokenizer"):
        renew_words.renew_words(model, old, other)
