"""What transformers, PEFT and the Trainer expect of a model class: one contract for both models, over the tiny base."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AttentionInterface, AutoModel, AutoModelForUniversalSegmentation, Trainer, TrainingArguments
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from talkingpoints import PointDescriptor, building, vision_language
from talkingpoints.families import image_grid
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_SEGMENTER
from talkingpoints.modeling_point import PointModel
from tests.helpers.tiny import photo, tiny_base, tiny_descriptor, tiny_localizer

POINTS = [(0.1, 0.2), (0.9, 0.8)]
KINDS = ("descriptor", "localizer")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    base = tiny_base(folder / "base")
    for kind, build in (("descriptor", tiny_descriptor), ("localizer", tiny_localizer)):
        model, processor = build(base, share_image_prefix=True)
        model.save_pretrained(folder / kind)
        processor.save_pretrained(folder / kind)
    return folder


@pytest.fixture(scope="module")
def processors(saved: Path) -> dict:
    from transformers import AutoProcessor

    return {kind: AutoProcessor.from_pretrained(saved / kind) for kind in KINDS}


def inputs_of(kind: str, processors: dict, **more) -> dict:
    if kind == "descriptor":
        return dict(processors[kind](images=photo(), points=POINTS, **more))
    return dict(processors[kind](images=photo(), text=["nose", "the left ear"], **more))


def answer(model: PointModel, inputs: dict, **more) -> torch.Tensor:
    with torch.inference_mode():
        output = model(**inputs, **more)
    return output.logits if isinstance(model, PointDescriptor) else output.heatmap_logits


@pytest.mark.parametrize("kind", KINDS)
def test_the_attention_that_is_asked_for_is_used_everywhere(saved: Path, processors: dict, kind: str) -> None:
    inputs = inputs_of(kind, processors)
    model = AutoModel.from_pretrained(saved / kind, attn_implementation="eager")
    vlm = model.vlm.config
    assert model.config.vlm_config is vlm
    for config in (model.config, vlm, vlm.text_config, vlm.vision_config):
        assert config._attn_implementation == "eager"
    output = model(**inputs, output_attentions=True, output_hidden_states=True)
    layers = vlm.text_config.num_hidden_layers
    assert len(output.attentions) == layers and output.attentions[0].shape[0] == 2
    assert len(output.hidden_states) == layers + 1
    assert output.hidden_states[0].shape[:2] == inputs["input_ids"].shape
    eager = answer(model, inputs)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(answer(model, inputs), eager, rtol=1e-4, atol=1e-4)
    calls: list[str] = []

    def counted(module: nn.Module, *args, **kwargs):
        calls.append(type(module).__name__)
        return sdpa_attention_forward(module, *args, **kwargs)

    AttentionInterface.register("counted", counted)
    model.set_attn_implementation("counted")
    answer(model, inputs)
    assert {"GridLayer", "LlamaAttention"} <= set(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_tuples_dtypes_and_names_of_parameters(saved: Path, processors: dict, kind: str) -> None:
    inputs = inputs_of(kind, processors)
    model = AutoModel.from_pretrained(pretrained_model_name_or_path=saved / kind)
    again = type(model).from_pretrained(pretrained_model_name_or_path=saved / kind)
    assert torch.equal(answer(model, inputs), answer(again, inputs))
    for name in ("from_pretrained", "save_pretrained"):
        names = list(inspect.signature(getattr(type(model), name)).parameters)
        assert names[0] in ("pretrained_model_name_or_path", "self") and names[-1] == "kwargs"
    with torch.inference_mode():
        parts = model(**inputs, return_dict=False)
        named = model(**inputs)
    assert isinstance(parts, tuple) and len(parts) == len(named.to_tuple())
    half = AutoModel.from_pretrained(saved / kind, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16} and half.config.vlm_config.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_map_is_taken_with_tied_embeddings(saved: Path, processors: dict, kind: str, tmp_path: Path) -> None:
    inputs = inputs_of(kind, processors)
    plain = AutoModel.from_pretrained(saved / kind)
    assert plain.config.tie_word_embeddings
    whole = AutoModel.from_pretrained(saved / kind, device_map="auto")
    assert torch.equal(answer(whole, inputs), answer(plain, inputs))
    split = {f"vlm.{name}": "cpu" for name in ("model.multi_modal_projector", "model.language_model", "lm_head")}
    split["vlm.model.vision_tower"] = "disk"
    split |= {name: "cpu" for name, _ in plain.named_children() if name != "vlm"}
    placed = AutoModel.from_pretrained(saved / kind, device_map=split, offload_folder=tmp_path)
    torch.testing.assert_close(answer(placed, inputs), answer(plain, inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_can_be_resized(saved: Path, processors: dict, kind: str) -> None:
    inputs = inputs_of(kind, processors)
    model = AutoModel.from_pretrained(saved / kind)
    before = answer(model, inputs)
    size = len(processors[kind].tokenizer) + 8  # location and point tokens lie within the vocabulary then
    model.resize_token_embeddings(size)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.config.get_text_config().vocab_size == size == len(model.get_output_embeddings().weight)
    after = answer(model, inputs)
    if kind == "descriptor":
        after = after[..., : before.shape[-1]]
        written = model.generate(**inputs, max_new_tokens=8, min_new_tokens=8)[:, inputs["input_ids"].shape[1] :]
        assert (written < model.config.point_token_id).all()
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    model.set_output_embeddings(nn.Linear(32, size, bias=False))
    assert model.vlm.lm_head is model.get_output_embeddings()


@pytest.mark.parametrize("kind", KINDS)
def test_roll_outs_in_training_mode_take_no_statistics_of_the_batch(saved: Path, processors: dict, kind: str) -> None:
    inputs = inputs_of(kind, processors)
    model = AutoModel.from_pretrained(saved / kind)
    other = {**inputs, "pixel_values": torch.cat([inputs["pixel_values"], torch.rand(1, 3, 64, 64)])}
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    assert before
    with torch.no_grad():
        calm = model.encode_images(pixel_values=inputs["pixel_values"]).tokens
        trained = model.train().encode_images(pixel_values=other["pixel_values"]).tokens[:1]
    torch.testing.assert_close(trained, calm, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if name in before)
    if kind == "descriptor":
        options = {"max_new_tokens": 6, "do_sample": False}
        assert torch.equal(model.generate(**inputs, **options), model.eval().generate(**inputs, **options))
    model.train().encode_images(pixel_values=other["pixel_values"])  # with gradients it learns them
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items() if name in before)


def test_ids_that_are_no_words_are_no_labels(saved: Path, processors: dict) -> None:
    inputs = inputs_of("descriptor", processors)
    model = AutoModel.from_pretrained(saved / "descriptor")
    labels = inputs["input_ids"].clone()
    loss = model(**inputs, labels=labels).loss
    labels[labels == model.config.image_token_id] = -100
    labels[labels >= model.config.point_token_id] = -100
    assert loss.isfinite() and torch.equal(loss, model(**inputs, labels=labels).loss)
    one = {name: value[:1] for name, value in inputs.items()}  # no prefix to share
    assert model(**one, labels=one["input_ids"]).loss.isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_the_trainer_finds_the_labels_by_itself(saved: Path, processors: dict, kind: str, tmp_path: Path) -> None:
    if kind == "descriptor":
        batch = inputs_of(kind, processors, answers=["A dog.", "Its ear."])
    else:
        batch = inputs_of(kind, processors) | {"points": torch.tensor(POINTS), "presence": torch.tensor([1.0, 0.0])}
    trainer = Trainer(
        AutoModel.from_pretrained(saved / kind),
        TrainingArguments(output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=1, report_to=[],
                          remove_unused_columns=False, use_cpu=True),
        train_dataset=[batch] * 2, eval_dataset=[batch], data_collator=lambda rows: dict(rows[0]),
    )  # fmt: skip
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] != before


def test_the_segmenter_keeps_the_contract_too() -> None:
    model = AutoModelForUniversalSegmentation.from_pretrained(BUNDLED_SEGMENTER, attn_implementation="eager")
    assert model.vision_tower.config._attn_implementation == "eager"
    side = model.config.vision_config.image_size
    pixels = torch.rand(1, 3, side, side).to(model.dtype)
    with torch.inference_mode():
        output = model(pixels, output_hidden_states=True)
        (logits,) = model(pixels, return_dict=False)
    assert torch.equal(logits, output.logits)
    assert [state.shape[1] for state in output.hidden_states] == model.config.vision_config.map_widths


def test_the_bundled_tower_takes_every_attention_of_the_scripts() -> None:
    model = AutoModel.from_pretrained(BUNDLED_DESCRIPTOR)
    for name in ("sdpa", "eager", "sdpa"):  # the default of --attn_implementation, over a tower without attention
        model.vlm.set_attn_implementation(name)
        tower = model.vlm.config.vision_config
        assert (tower._attn_implementation, tower.backbone_config._attn_implementation) == (name, name)


def test_grids_come_from_what_the_tower_sees_and_are_not_guessed(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = AutoModel.from_pretrained(saved / "localizer").vlm.config
    assert image_grid(config, 64, size=(64, 256)) == (0, 4, 16)
    assert image_grid(config, 64, size=(64, 64)) == (0, 8, 8)
    with pytest.raises(ValueError, match="lie on no grid of square cells over an image of 64 x 128 pixels"):
        image_grid(config, 64, size=(64, 128))
    with pytest.raises(ValueError, match="neither a grid nor pixels of one whole image"):
        image_grid(config, 64)
    monkeypatch.setattr(building, "TESTED", ())  # as a family that nobody has tried
    PointDescriptor.from_base(saved / "base")
    monkeypatch.setattr(vision_language, "image_grid", lambda *_: 1 / 0)
    with pytest.raises(ValueError, match="'llava' models cannot be a base here, a photo of 160 x 60 pixels"):
        PointDescriptor.from_base(saved / "base")


@pytest.mark.parametrize("name", ["eager", "sdpa"])
def test_a_base_keeps_its_attention(saved: Path, name: str) -> None:
    model, _ = PointDescriptor.from_base(saved / "base", load={"attn_implementation": name})
    vlm = model.config.vlm_config
    assert [c._attn_implementation for c in (vlm, vlm.text_config, vlm.vision_config)] == [name] * 3
