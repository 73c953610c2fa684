"""The table of base models: counted as the Hub counts them, and memory by hand."""

import re
from pathlib import Path

import pytest

from tests.helpers.drawn import drawn_dataset
from tests.helpers.families import family_base
from training import sft_descriptor, sft_localizer
from training.reports.base_sizes import Size, activation_memory, measure, read_bases, table
from training.sft.arguments import parse_arguments

CONFIGS = Path(sft_descriptor.__file__).parent / "configs" / "gpu_24gb"
BASES = sorted(file for file in CONFIGS.glob("*.yaml") if file.stem not in ("lora", "qlora", "all_weights"))

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


def test_activations_by_hand() -> None:
    config = read_bases()["OpenGVLab/InternVL3-1B-hf"]
    texts = 34 * (256 + 8 * 60) * 896 * 24 + 10 * 8 * 30 * 151674
    assert activation_memory(config, 2, 8, vision=False) == pytest.approx(2 * texts / 2**30)
    with pytest.raises(ValueError, match="not known for internvl"):
        activation_memory(config, 1, 8, vision=True)


@pytest.mark.parametrize("path", BASES, ids=lambda path: path.stem)
def test_configs_for_24_gb_fit_by_their_own_account(path: Path, tmp_path: Path) -> None:
    """Each is taken by both scripts with each method that it names, says what is computed, and stays below 22 GiB."""
    said = re.findall(r"(\w+)\.yaml (\d+\.\d) \+ activations (\d+\.\d)", path.read_text())
    assert said and (len(said) == 2) != path.stem.endswith("all_weights")
    for method, *memory in said:
        words = [
            "--config",
            str(CONFIGS / f"{method}.yaml"),
            str(path),
            "--datasets",
            "x",
            "--output_dir",
            str(tmp_path),
        ]
        for script in (sft_descriptor, sft_localizer):
            sft, *_, training = parse_arguments(script.ARGUMENTS, [*words, "--bf16", "false"])  # no GPU here
        config = read_bases()[sft.base]
        photos = training.per_device_train_batch_size
        weights = measure(sft.base, config).training_memory(sft.base_bits, bool(sft.lora_r))
        activations = activation_memory(config, photos, sft.points_per_photo, vision=not sft.lora_r)
        assert [float(value) for value in memory] == [round(weights, 1), round(activations, 1)]
        assert weights + activations < 22 and photos * training.gradient_accumulation_steps == 8


@pytest.mark.parametrize(("family", "file"), [("qwen3_vl", "qwen3_vl_2b"), ("internvl", "internvl3_1b")])
def test_a_config_for_24_gb_trains_a_tiny_model_of_its_family(family: str, file: str, tmp_path: Path) -> None:
    base, data = family_base(family, tmp_path / "base"), drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    own = {"base": base, "datasets": data, "output_dir": tmp_path / "run", "use_cpu": True, "max_steps": 1,
           "report_to": "none", "per_device_train_batch_size": 1, "dataloader_num_workers": 0}  # fmt: skip
    words = ["--config", str(CONFIGS / "lora.yaml"), str(CONFIGS / f"{file}.yaml")]
    trainer = sft_descriptor.main([*words, *(word for key, value in own.items() for word in (f"--{key}", str(value)))])
    assert trainer.state.global_step == 1 and (tmp_path / "run" / "adapter_model.safetensors").is_file()
