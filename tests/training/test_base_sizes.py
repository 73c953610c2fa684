"""The table of base models: counted as the Hub counts them, and memory by hand."""

import pytest

from training.reports.base_sizes import Size, measure, read_bases, table

# of the safetensors files on the Hub
PUBLISHED = {"HuggingFaceTB/SmolVLM-256M-Instruct": 256_484_928, "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032}


def test_parameters_are_those_of_the_hub_s_files() -> None:
    bases = read_bases()
    assert len(bases) == 15
    for name, parameters in PUBLISHED.items():
        size = measure(name, bases[name])
        assert size.parameters == parameters
        text = bases[name].text_config
        wide = text.num_attention_heads * text.head_dim
        narrow = text.num_key_value_heads * text.head_dim
        lora = 16 * (2 * (text.hidden_size + wide) + 2 * (text.hidden_size + narrow))  # q and o, k and v
        assert size.lora == text.num_hidden_layers * lora


def test_memory_and_settings() -> None:
    size = Size("me/base", 2**30, 2**29, 2**29, 2**29, (8, 8), 2**20, (3 * 2**20, 2**20))
    assert size.memory["bfloat16"] == 2.0
    assert size.memory["4 bits"] == pytest.approx(1 + 4.127 / 16)
    assert size.memory["LoRA"] == 2 + 4 * 16 / 1024
    assert size.memory["all weights"] == 16 * (1 + 3 / 1024)
    assert size.settings == "B"
    assert "| me/base | 1.07 B | 0.54 + 0.54 | 8 x 8 | 1.0 M + 3.1 or 1.0 M |" in table([size])
