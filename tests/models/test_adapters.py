"""LoRA: small adapters, exact to save, load and merge; one base in memory for both directions; GRPO; quantisation."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, BitsAndBytesConfig

from talkingpoints import PointDescriptor, PointLocalizer, TalkingPoints
from talkingpoints.adapters import load_adapter, load_model, load_pair, lora_config, new_parts, save_point_config
from talkingpoints.building import load_base, quantization
from tests.helpers import families
from tests.helpers.drawn import drawn_dataset
from tests.helpers.families import FAMILIES, family_base
from tests.helpers.tiny import loud, photo
from training import calibrate, sft_descriptor, sft_localizer
from training.bundled import renew_words
from training.sft.sft_arguments import SftArguments
from training.sft.supervised import with_lora

POINTS = [(0.1, 0.2), (0.8, 0.7)]
TEXTS = ["the left ear", "nose"]
KINDS = {"descriptor": PointDescriptor, "localizer": PointLocalizer}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family_base("qwen3_vl", tmp_path_factory.mktemp("qwen3_vl"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), n=4, seed=0)


def adapted(base: Path, kind: str, folder: Path, seed: int = 0):
    """A point model with a random adapter, as training leaves it; saved in ``folder``. Gives model and processor."""
    from peft import get_peft_model

    torch.manual_seed(seed)
    model, processor = KINDS[kind].from_base(base)
    peft_model = get_peft_model(model, lora_config(model, r=4, alpha=8))
    for parameter in peft_model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    peft_model.save_pretrained(folder)
    save_point_config(peft_model, folder)
    processor.save_pretrained(folder)
    return peft_model.get_base_model().eval(), processor


def answer(model, processor) -> torch.Tensor:
    """Logits of the next token, or scores of the heat map."""
    with torch.inference_mode():
        if isinstance(model, PointDescriptor):
            return model(**processor(images=[photo()], points=[POINTS])).logits[:, -1]
        return model(**processor(images=[photo()], text=[TEXTS])).heatmap_logits


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_is_in_the_language_model_s_attention_of_every_family(family: str, tmp_path: Path) -> None:
    from peft import get_peft_model

    base = family_base(family, tmp_path)
    for kind in KINDS.values():
        model, _ = kind.from_base(base)
        new = {n for n, _ in model.named_parameters() if not n.startswith("vlm.")}
        peft_model = get_peft_model(model, lora_config(model, r=2))
        trained = [n for n, p in peft_model.named_parameters() if p.requires_grad]
        lora = [n for n in trained if "lora_" in n]
        assert len(lora) == 2 * 4 * 2  # layers x projections x (A and B)
        assert not any("vision" in n or "visual" in n for n in lora)
        whole = {n.replace("base_model.model.", "").replace("modules_to_save.default.", "")
                 for n in trained if "lora_" not in n}  # fmt: skip
        assert whole == new


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_saved_loaded_and_merged_exactly(kind: str, qwen: Path, tmp_path: Path) -> None:
    model, processor = adapted(qwen, kind, tmp_path / "adapter")
    plain, _ = KINDS[kind].from_base(qwen)
    expected = answer(model, processor)
    assert not torch.allclose(expected, answer(plain, processor), atol=1e-2)

    held = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert any(name.split("base_model.model.")[1].startswith(tuple(new_parts(model))) for name in held)
    assert not any("embed_tokens" in name or "lm_head" in name for name in held)

    loaded, again = load_adapter(tmp_path / "adapter")  # the adapter names its base
    assert torch.equal(expected, answer(loaded, again))
    merged, again = load_adapter(tmp_path / "adapter", qwen, merge=True)
    torch.testing.assert_close(expected, answer(merged, again), rtol=1e-4, atol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    again.save_pretrained(tmp_path / "merged")
    whole = AutoModel.from_pretrained(tmp_path / "merged").eval()
    assert torch.equal(answer(merged, again), answer(whole, AutoProcessor.from_pretrained(tmp_path / "merged")))


def test_one_base_in_memory_serves_both_directions(qwen: Path, tmp_path: Path) -> None:
    adapted(qwen, "descriptor", tmp_path / "d", seed=1)
    adapted(qwen, "localizer", tmp_path / "l", seed=2)
    tp = TalkingPoints.from_adapters(tmp_path / "d", tmp_path / "l", qwen)
    assert tp.descriptor.vlm is tp.localizer.vlm
    in_memory = {p.data_ptr(): p.numel() for m in (tp.descriptor, tp.localizer) for p in m.parameters()}
    named = [*tp.descriptor.named_parameters(), *tp.localizer.named_parameters()]
    small = sum(p.numel() for n, p in named if not n.startswith("vlm."))
    lora = sum(p.numel() for n, p in tp.descriptor.named_parameters() if "lora_" in n)
    assert sum(in_memory.values()) == load_base(qwen).vlm.num_parameters() + small + lora

    apart = TalkingPoints(*load_adapter(tmp_path / "d"), *load_adapter(tmp_path / "l"))
    for _ in range(2):  # turn and turn about
        expected, trip = apart.round_trip(photo(), (10, 20)), tp.round_trip(photo(), (10, 20))
        assert trip.description == expected.description
        assert (trip.localization.x, trip.localization.y) == (expected.localization.x, expected.localization.y)
        assert (trip.localization.heatmap == expected.localization.heatmap).all()
    assert "".join(tp.stream(photo(), (10, 20))).strip() == tp.describe(photo(), (10, 20)).text
    two = TalkingPoints.from_pretrained(descriptor=tmp_path / "d", localizer=tmp_path / "l")  # a base for each
    assert two.round_trip(photo(), (10, 20)).error_px == trip.error_px
    unnamed = TalkingPoints.from_adapters(tmp_path / "d", tmp_path / "l")
    assert unnamed.localize(photo(), "nose").unit == tp.localize(photo(), "nose").unit


def test_wrong_adapters_are_refused(qwen: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    adapted(qwen, "descriptor", tmp_path / "d")
    adapted(qwen, "localizer", tmp_path / "l")
    with pytest.raises(ValueError, match="is an adapter of a point_localizer, not of a point_descriptor"):
        load_pair(tmp_path / "l", tmp_path / "d")
    with pytest.raises(ValueError, match="holds no adapter of a point model"):
        load_adapter(tmp_path)
    with pytest.raises(ValueError, match="is no adapter of a point model"):
        load_adapter(qwen)
    adapted(pair[1], "localizer", tmp_path / "other")
    with pytest.raises(ValueError, match="different bases"):
        load_pair(tmp_path / "d", tmp_path / "other")
    with pytest.raises(ValueError, match="holds an adapter, not a base: merge it"):
        PointDescriptor.from_base(tmp_path / "d")
    for change in (calibrate, renew_words):
        words = ["--localizer", str(tmp_path / "l"), "--datasets", str(tmp_path)]
        with pytest.raises(ValueError, match="a whole model is changed and saved: merge it"):
            change.main(words if change is calibrate else [*words, "--output_dir", str(tmp_path / "x")])
    with pytest.raises(ValueError, match="rank r of LoRA must be at least 1, got 0"):
        lora_config(PointLocalizer.from_base(qwen)[0], r=0)


def flags(base: Path, drawn: Path, output: Path, **options) -> list[str]:
    values = {"base": base, "datasets": drawn, "output_dir": output, "max_steps": 2, "points_per_photo": 2,
              "use_cpu": True, "report_to": "none", "save_steps": 1, "logging_steps": 1, "disable_tqdm": True,
              "per_device_train_batch_size": 2, "lora_r": 4, "learning_rate": 1e-2, **options}  # fmt: skip
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


@pytest.mark.parametrize("kind", KINDS)
def test_sft_trains_an_adapter_that_loads_and_resumes(kind: str, qwen: Path, drawn: Path, tmp_path: Path) -> None:
    main = {"descriptor": sft_descriptor, "localizer": sft_localizer}[kind].main
    constant = {"lr_scheduler_type": "constant"}
    trainer = main(flags(qwen, drawn, tmp_path / "run", **constant))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    before = load_base(qwen).vlm.state_dict()
    model, processor = load_adapter(tmp_path / "run")
    after = {n.replace("vlm.", "", 1).replace("base_layer.", ""): p for n, p in model.state_dict().items()}
    assert all(torch.equal(before[name], after[name]) for name in before)
    lora = {n: p for n, p in model.named_parameters() if "lora_B" in n}
    assert lora and all(p.abs().sum() > 0 for p in lora.values())
    fresh, _ = KINDS[kind].from_base(qwen)
    assert not torch.allclose(answer(model, processor), answer(fresh, processor), atol=1e-3)
    trained = trainer.model.get_base_model().eval()
    assert torch.equal(answer(trained, processor), answer(model, processor))

    main(flags(qwen, drawn, tmp_path / "cut", **constant, max_steps=1))
    main([*flags(qwen, drawn, tmp_path / "cut", **constant), "--resume"])
    whole, resumed = (load_file(tmp_path / run / "adapter_model.safetensors") for run in ("run", "cut"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_checkpointing_with_lora_changes_no_gradient(qwen: Path) -> None:
    from peft import get_peft_model

    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model, processor = PointDescriptor.from_base(qwen)
        loud(model)
        peft_model = get_peft_model(model, lora_config(model, r=2))
        for name, parameter in peft_model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        peft_model.train()
        if checkpointing:
            peft_model.gradient_checkpointing_enable()
        peft_model(**processor(images=[photo()], points=[POINTS], answers=[["A dog.", "Its ear."]])).loss.backward()
        gradients.append({n: p.grad for n, p in peft_model.named_parameters() if p.requires_grad})
    for name, gradient in gradients[0].items():
        assert gradient is not None and gradient.abs().sum() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


def test_target_modules_are_a_pattern_or_several_names(qwen: Path) -> None:
    several = ["gate_proj", "k_proj"]
    for targets, expected in ([r".*language_model.*\.up_proj"], {"up_proj"}), (several, set(several)):
        model, _ = PointLocalizer.from_base(qwen)
        sft = SftArguments(base=str(qwen), datasets=[], lora_r=2, lora_target_modules=targets)
        names = [n for n, p in with_lora(model, sft).named_parameters() if "lora_A" in n and p.requires_grad]
        assert {n.split(".lora_A")[0].split(".")[-1] for n in names} == expected


def test_what_cannot_go_together_is_refused_before_training(qwen: Path, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gradient_checkpointing turns off the caches"):
        sft_descriptor.main(
            [*flags(qwen, drawn, tmp_path), "--gradient_checkpointing", "true", "--share_image_prefix", "true"]
        )
    with pytest.raises(ValueError, match="quantised weights cannot be trained, only LoRA"):
        sft_descriptor.main(flags(qwen, drawn, tmp_path, lora_r=0, base_bits=4))
    with pytest.raises(ValueError, match="base_bits must be 32, 16, 8 or 4, got 3"):
        sft_localizer.main(flags(qwen, drawn, tmp_path, base_bits=3))
    with pytest.raises(ValueError, match="8 or 4 bits, got 16"):
        quantization(16)


def test_a_base_of_16_bits_keeps_new_parts_in_32(qwen: Path, drawn: Path, tmp_path: Path) -> None:
    sft_localizer.main(flags(qwen, drawn, tmp_path / "run", base_bits=16, bf16=True))
    held = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert {weight.dtype for weight in held.values()} == {torch.float32}
    model, processor = load_adapter(tmp_path / "run", dtype=torch.bfloat16)
    inputs = processor(images=[photo()], text=[TEXTS])
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    assert torch.isfinite(model(**inputs).points).all()


def test_the_stock_grpo_trainer_trains_an_adapter(qwen: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, processor = PointDescriptor.from_base(qwen)
    loud(model)
    content = [{"type": "image"}, {"type": "text", "text": processor.prompt(POINTS[0])}]
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": content}], "image": photo(), "point": POINTS[0]}])
    seen = []

    def reward(completions, point, **kwargs) -> list[float]:
        seen.extend(point)
        return [float(len(str(c))) for c in completions]

    arguments = GRPOConfig(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=2, num_generations=2, use_cpu=True,
        max_completion_length=4, report_to="none", bf16=False, learning_rate=1e-2, disable_tqdm=True, beta=0.1,
        save_strategy="no", gradient_checkpointing=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model, reward_funcs=reward, args=arguments, train_dataset=rows, processing_class=processor,
        peft_config=lora_config(model, r=2),
    )  # fmt: skip
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad}
    trainer.train()
    moved = [n for n, p in trainer.model.named_parameters() if n in before and not torch.equal(p, before[n])]
    assert seen and any("keypoint_encoder" in n for n in moved) and any("lora_" in n for n in moved)
    assert abs(next(e["kl"] for e in trainer.state.log_history if "kl" in e)) < 1e-6


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is there")
def test_quantisation_without_its_library_says_so(qwen: Path) -> None:
    with pytest.raises(ImportError, match=r"BitsAndBytesConfig is not possible on this machine.*bitsandbytes"):
        PointDescriptor.from_base(qwen, load={"quantization_config": BitsAndBytesConfig(load_in_4bit=True)})


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantised_base_trains_an_adapter(
    bits: int, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sizes, wide in ((families._TEXT, 128), (families._VIT, 64)):  # bitsandbytes wants multiples of 64 on CPU
        monkeypatch.setitem(sizes, "hidden_size", 64)
        monkeypatch.setitem(sizes, "intermediate_size", wide)
    base = family_base("llava", tmp_path / "base")
    sft_descriptor.main(flags(base, drawn, tmp_path / "run", base_bits=bits, bf16=True))
    load = {"quantization_config": quantization(bits)}
    model, processor = load_adapter(tmp_path / "run", dtype=torch.bfloat16, load=load)
    assert model.vlm.model.language_model.layers[0].mlp.up_proj.weight.dtype in (torch.int8, torch.uint8)
    inputs = processor(images=[photo()], points=[POINTS])
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    assert model.generate(**inputs, max_new_tokens=2).shape[0] == 2


def test_an_adapter_over_another_base_or_cut_off_is_refused(base: Path, qwen: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    adapted(base, "descriptor", tmp_path / "lora")
    with pytest.raises(ValueError, match="does not fit this base"):
        load_adapter(tmp_path / "lora", base=qwen)
    file = tmp_path / "lora" / "adapter_model.safetensors"
    weights = load_file(file)
    for gone in (next(name for name in weights if "lora_A" in name), next(n for n in weights if "keypoint" in n)):
        save_file({name: weight for name, weight in weights.items() if name != gone}, file)
        with pytest.raises(ValueError, match=f"does not fit this base: .*{gone}"):
            load_adapter(tmp_path / "lora", base=base)


def test_weights_that_are_missing_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    shutil.copytree(pair[0], tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    gone = next(name for name in sorted(weights) if name.startswith("keypoint_encoder"))
    save_file({k: v for k, v in weights.items() if k != gone}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"lacks 1 tensors of its model: {gone}"):
        load_model(tmp_path / "model", PointDescriptor)
