"""Two steps of each training script, resuming exactly, the blind control, and what the command line refuses."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModel, AutoModelForImageTextToText, TrainingArguments, set_seed

from talkingpoints import PointDescriptorProcessor, PointLocalizerProcessor
from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.keypoint_examples import PointExamples, point_off
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer.facts import split_side
from talkingpoints.writer.scene import Scene, SceneObject
from talkingpoints.writer.styles import ALL_STYLES
from tests.helpers.drawn import drawn_dataset
from tests.helpers.tiny import tiny_localizer
from training import evaluate, grpo_descriptor, sft_descriptor, sft_localizer
from training.bundled import build_base, bundle, pretrain_facts, pretrain_vision, sft_facts
from training.bundled.fact_embeddings import FACTS, UNSAID, FactEmbeddings, FactVocabulary
from training.bundled.sft_facts import FactCollator
from training.sft.arguments import parse_arguments, with_keypoints
from training.sft.collators import LocalizerCollator
from training.sft.examples import build_examples
from training.sft.sft_arguments import SftArguments, parse_weights

SCRIPTS = {"descriptor": sft_descriptor, "localizer": sft_localizer}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), n=6, seed=0)


def command(base: Path, drawn: Path, output: Path, steps: int, **options) -> list[str]:
    values = {
        "base": base,
        "datasets": drawn,
        "output_dir": output,
        "max_steps": steps,
        "points_per_photo": 3,
        "arbitrary": 0.2,
        "background": 0.1,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "share_image_prefix": True,
        "use_cpu": True,
        "report_to": "none",
        "save_steps": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        **options,
    }
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModel.from_pretrained(folder).state_dict()


@pytest.mark.parametrize("name", SCRIPTS)
def test_two_steps_train_and_save_a_model_that_loads(name: str, base: Path, drawn: Path, tmp_path: Path) -> None:
    set_seed(0)
    trainer = SCRIPTS[name].main(command(base, drawn, tmp_path / "run", 2))
    assert trainer.state.global_step == 2
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2 and all(loss > 0 for loss in losses)
    before, after = AutoModelForImageTextToText.from_pretrained(base).state_dict(), weights(tmp_path / "run")
    learned = [k for k in before if "running" not in k and "num_batches" not in k]
    moved = [k for k in learned if not torch.equal(before[k], after[f"vlm.{k}"])]
    assert any("vision_tower" in k for k in moved) and any("language_model" in k for k in moved)
    assert (tmp_path / "run" / "eval_results.json").is_file()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, base: Path, drawn: Path, tmp_path: Path) -> None:
    main = SCRIPTS[name].main
    constant = {"lr_scheduler_type": "constant"}
    set_seed(0)
    main(command(base, drawn, tmp_path / "whole", 4, **constant))
    set_seed(0)
    main(command(base, drawn, tmp_path / "cut", 2, **constant))
    set_seed(123)  # whatever state the second process starts in
    trainer = main([*command(base, drawn, tmp_path / "cut", 4, **constant), "--resume"])
    assert trainer.state.global_step == 4
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == resumed.keys()
    different = [k for k in whole if not torch.equal(whole[k], resumed[k])]
    assert different == []


def test_the_blind_listener_sees_no_photo(base: Path, drawn: Path, tmp_path: Path) -> None:
    _, processor = tiny_localizer(base)
    examples = PointExamples(load_keypoints(drawn, "train"), 3, seed=0)
    batch = LocalizerCollator(processor, blind=True)([examples[0], examples[1]])
    assert batch["input_ids"].shape[0] == 6 and batch["pixel_values"].shape[0] == 1
    assert batch["pixel_values"][0].flatten(1).std(-1).max() == 0
    sft_localizer.main([*command(base, drawn, tmp_path / "run", 2), "--blind"])


def test_bfloat16_weights_are_saved_when_asked(base: Path, drawn: Path, tmp_path: Path) -> None:
    sft_localizer.main(command(base, drawn, tmp_path / "run", 1, save_dtype="bfloat16"))
    assert AutoModel.from_pretrained(tmp_path / "run", dtype="auto").dtype == torch.bfloat16


def test_a_descriptor_starts_from_a_trained_localizer(base: Path, drawn: Path, tmp_path: Path) -> None:
    sft_localizer.main(command(base, drawn, tmp_path / "localizer", 1))
    start = weights(tmp_path / "localizer")
    sft_descriptor.main(command(tmp_path / "localizer", drawn, tmp_path / "run", 1, learning_rate=0.0))
    taken = weights(tmp_path / "run")
    shared = [k for k in start if k.startswith("vlm.") and "running" not in k and "num_batches" not in k]
    assert len(shared) > 20 and all(torch.equal(start[k], taken[k]) for k in shared)


def test_halves_of_the_training_photos_are_disjoint(drawn: Path) -> None:
    def names(half: str | None, split: str = "train") -> list[str]:
        return list(SftArguments(base="", datasets=[str(drawn)], half=half).load(split)["file_name"])

    even, odd = names("even"), names("odd")
    assert sorted(even + odd) == sorted(names(None)) and set(even).isdisjoint(odd)
    assert names("even", "val") == names(None, "val")
    with pytest.raises(ValueError, match="half must be one of"):
        names("third")


def test_a_descriptor_trains_on_from_a_descriptor(base: Path, drawn: Path, tmp_path: Path) -> None:
    sft_descriptor.main(command(base, drawn, tmp_path / "first", 1))
    sft_descriptor.main(command(tmp_path / "first", drawn, tmp_path / "second", 1, learning_rate=0.0))
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert first.keys() == second.keys()
    learned = [k for k in first if "running" not in k and "num_batches" not in k]
    assert all(torch.equal(first[k], second[k]) for k in learned)


def test_slow_modules_learn_slowly(base: Path, drawn: Path, tmp_path: Path) -> None:
    options = {"learning_rate": 1e-3, "weight_decay": 0.0, "lr_scheduler_type": "constant"}
    flags = command(base, drawn, tmp_path / "run", 2, **options)
    trainer = sft_localizer.main([*flags, "--slow_modules", "vision_tower", "--slow_lr_scale", "0"])
    before, after = AutoModelForImageTextToText.from_pretrained(base).state_dict(), weights(tmp_path / "run")
    name = "model.vision_tower.blocks.0.conv1.weight"
    assert torch.equal(before[name], after[f"vlm.{name}"])
    statistics = [name for name in before if "vision_tower" in name and "running" in name]
    assert statistics and all(torch.equal(before[name], after[f"vlm.{name}"]) for name in statistics)
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(before[name], after[f"vlm.{name}"])
    assert trainer.state.global_step == 2
    with pytest.raises(ValueError, match=r"no parameter has \['eyes'\]"):
        sft_localizer.main([*flags, "--slow_modules", "eyes"])


def test_pretraining_hands_over_what_it_learned(base: Path, drawn: Path, tmp_path: Path) -> None:
    common = command(base, drawn, tmp_path / "vision", 2)
    skipped = ("--points_per_photo", "--arbitrary", "--background", "--share_image_prefix")
    pretrain_vision.main([w for i in range(0, len(common), 2) if common[i] not in skipped for w in common[i : i + 2]])
    tower = AutoModelForImageTextToText.from_pretrained(tmp_path / "vision").state_dict()
    start = AutoModelForImageTextToText.from_pretrained(base).state_dict()
    positions = "model.vision_tower.positions"
    assert not torch.equal(tower[positions], start[positions])

    trainer = pretrain_facts.main(command(tmp_path / "vision", drawn, tmp_path / "facts", 2))
    assert {"eval_mpck_img", "eval_presence_accuracy"} <= trainer.state.log_history[-1].keys()
    told = weights(tmp_path / "facts")
    sft_localizer.main(command(tmp_path / "facts", drawn, tmp_path / "run", 1, learning_rate=0.0))
    after = weights(tmp_path / "run")
    for name in ("head.cells.weight", "head.presence.weight", f"vlm.{positions}"):
        assert torch.equal(told[name], after[name])
    assert torch.equal(told["query_token.weight"], after["query_token.weight"])
    assert not (tmp_path / "run" / "fact_values.json").exists()


def test_a_resumed_pretraining_from_facts_equals_an_uninterrupted_one(base: Path, drawn: Path, tmp_path: Path) -> None:
    constant = {"lr_scheduler_type": "constant"}
    pretrain_facts.main(command(base, drawn, tmp_path / "whole", 4, **constant))
    pretrain_facts.main(command(base, drawn, tmp_path / "cut", 2, **constant))
    pretrain_facts.main([*command(base, drawn, tmp_path / "cut", 4, **constant), "--resume"])
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert [k for k in whole if not torch.equal(whole[k], resumed[k])] == []
    whole, resumed = FactEmbeddings.load(tmp_path / "whole"), FactEmbeddings.load(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_facts_in_numbers_hold_what_the_texts_tell(drawn: Path) -> None:
    data = PointExamples(load_keypoints(drawn, "train"), 8, dict.fromkeys(ALL_STYLES, 1.0), arbitrary=0.2, seed=0)
    examples = [data[i] for i in range(len(data))]
    vocabulary = FactVocabulary.of(examples)
    for example in examples:
        rows = vocabulary.encode(example).tolist()
        for row, facts, told in zip(rows, example["facts"], example["told"], strict=True):
            said = {name: known[v - 1] for name, known, v in zip(FACTS, vocabulary.values, row, strict=True) if v}
            assert said.get("label") == (facts.label if "label" in told else None)
            assert said.get("column") == (str(facts.column) if "column" in told else None)
            part = facts.part if facts.part is None or "side" in told else split_side(facts.part)[1]
            assert said.get("part") == (part if "part" in told else None)
            assert said.get("view_side") == (facts.view_side if "view_side" in told else None)
            assert said.get("point_row") == (str(facts.point_row) if "point_row" in told else None)
            assert ("region" in said) == ("region" in told)
            assert ("near" in said) == ("near" in told and bool(facts.near))
    strange = dict(examples[0], facts=[dataclasses.replace(f, label="unicorn") for f in examples[0]["facts"]])
    assert vocabulary.encode(strange)[:, 0].tolist() == [UNSAID] * 8


def test_facts_that_no_fitted_text_tells_are_as_loud_as_others_and_can_be_read() -> None:
    torch.manual_seed(0)
    embeddings = FactEmbeddings(FactVocabulary([["a", "b"]] * len(FACTS)), 64)
    facts = torch.randint(0, 3, (1000, len(FACTS)))
    untold = FACTS.index("object_colours")
    told = facts.clone()
    facts[:, untold] = UNSAID
    queries = FactEmbeddings(embeddings.vocabulary, 64)(facts).detach() + 3
    embeddings.fit(queries, facts)
    assert (embeddings(facts) - queries).abs().max() < 0.5
    moves = [(table.weight[1:] - table.weight[UNSAID]).norm(dim=-1) for table in embeddings.tables]
    assert torch.allclose(moves[untold], torch.cat(moves).median(), atol=0.1)

    embeddings.fit_readers(told, steps=60)
    sums = embeddings(told).detach()
    read = embeddings.read(torch.nn.functional.layer_norm(sums, sums.shape[-1:]))
    for fact in (0, untold):
        assert (read[fact].argmax(-1) == told[:, fact]).float().mean() > 0.9
    assert embeddings.reading_loss(sums, told) < embeddings.reading_loss(sums, told.flip(0))


def test_the_language_model_is_taught_to_read_facts(base: Path, drawn: Path, tmp_path: Path) -> None:
    pretrain_facts.main(command(base, drawn, tmp_path / "facts", 1))
    flags = command(tmp_path / "facts", drawn, tmp_path / "run", 12, learning_rate=3e-3, lr_scheduler_type="constant")
    alone = [*flags, "--slow_modules", "head", "vision_tower", "--slow_lr_scale", "0"]
    with_facts = [*alone, "--facts", str(tmp_path / "facts"), "--fact_weight"]

    def distance(flags: list[str]) -> float:
        """Of the trained model's reading from the facts, on one batch."""
        trainer = sft_facts.main(flags)
        embeddings = FactEmbeddings.load(tmp_path / "facts")
        collator = FactCollator(trainer.processing_class, False, embeddings.vocabulary)
        batch = collator([trainer.train_dataset[i] for i in range(4)])
        facts = batch.pop("facts")
        with torch.no_grad():
            return float(embeddings.reading_loss(trainer.model.eval()(**batch).query, facts.flatten(0, 1)))

    assert distance([*with_facts, "1"]) < 0.9 * distance([*with_facts, "0"])
    with pytest.raises(ValueError, match="pretrain_facts"):
        sft_facts.main([*flags, "--facts", str(base)])


def test_the_base_is_built_from_the_writer_s_texts(drawn: Path, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "image_size": 32, "vision_hidden_size": 16, "vocab_size": 300, "texts": 64}
    flags = [w for k, v in {"datasets": drawn, "output_dir": tmp_path, **sizes}.items() for w in (f"--{k}", str(v))]
    build_base.main(flags)
    config = AutoModelForImageTextToText.from_pretrained(tmp_path).config
    assert (config.text_config.hidden_size, config.vision_config.image_size) == (32, 32)


def test_bundling_copies_models_and_writes_cards(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "FOLDERS", {name: tmp_path / name for name in bundle.FOLDERS})
    monkeypatch.setattr(bundle, "CHECKPOINTS", tmp_path)
    row = {"mpck_img": 91.2, "ci95": [90.0, 92.0], "pck_img": dict.fromkeys(("0.02", "0.05", "0.1", "0.2"), 50.0),
           "mpck_bbox": 70.0, "median_error_px": 3.2}  # fmt: skip
    report = {"dataset": "drawn", "split": "test", "seed": 0, "n_points": 7, "n_images": 3,
              "rows": {"reference": row, "descriptor": row}}  # fmt: skip
    (tmp_path / "report.json").write_text(json.dumps(report))
    bundle.main(["--descriptor", str(pair[0]), "--localizer", str(pair[1]), "--reports", str(tmp_path / "report.json")])
    for name, source in zip(("descriptor", "localizer"), pair, strict=True):
        assert (tmp_path / name / f"modeling_{name}.py").is_file()
        whole, copy = weights(source), weights(tmp_path / name)
        assert all(torch.equal(whole[k], copy[k]) for k in whole)
        card = (tmp_path / name / "README.md").read_text()
        assert "| reference | 91.2 | 90.0 to 92.0 |" in card and "7 points in 3 photos" in card
    monkeypatch.setattr(bundle, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="are allowed"):
        bundle.main([])
    with pytest.raises(ValueError, match="holds no model"):
        bundle.copy_model(tmp_path / "nothing", tmp_path / "x")


def test_absent_texts_are_of_labels_that_were_looked_for(drawn: Path) -> None:
    dataset = load_keypoints(drawn, "train")
    labels = sorted({item["label"] for objects in dataset["objects"] for item in objects})
    for known, expected in ((labels, True), ([], False)):
        rows = dataset.add_column("known_labels", [known] * len(dataset))
        examples = PointExamples(rows, 6, negatives=0.5, passes=4, seed=0)
        absent = [(examples[i]["presence"] == 0).any() for i in range(len(examples))]
        assert any(absent) == expected


def test_background_points_lie_outside_all_boxes() -> None:
    scene = Scene((SceneObject("dog", (0.1, 0.1, 0.6, 0.9), ()),), (10, 10))
    rng = np.random.default_rng(0)
    points = [point_off(scene, rng) for _ in range(50)]
    assert all(p is not None and not (0.1 <= p[0] <= 0.6 and 0.1 <= p[1] <= 0.9) for p in points)
    assert point_off(Scene((SceneObject("dog", (0.0, 0.0, 1.0, 1.0), ()),), (10, 10)), rng) is None


def test_examples_are_the_same_whoever_asks(drawn: Path) -> None:
    dataset = load_keypoints(drawn, "train")
    options = {"passes": 3, "augmentation": Augmentation(), "arbitrary": 0.3, "negatives": 0.2, "seed": 4}
    first, second = PointExamples(dataset, 4, **options), PointExamples(dataset, 4, **options)
    assert len(first) == 3 * len(first.rows)
    for i in (0, len(first) - 1, 2):
        one, other = first[i], second[i]
        assert one["texts"] == other["texts"] and (one["points"] == other["points"]).all()
        assert one["image"].tobytes() == other["image"].tobytes()
        assert one["points"].shape == (4, 2) and (one["points"] >= 0).all() and (one["points"] <= 1).all()
    assert first[0]["texts"] != first[len(first.rows)]["texts"]


def test_photos_of_several_objects_are_shown_more_often(drawn: Path) -> None:
    dataset = load_keypoints(drawn, "train")
    options = {"passes": 2, "augmentation": Augmentation(), "negatives": 0.2, "seed": 4}
    plain, once = PointExamples(dataset, 4, **options), PointExamples(dataset, 4, **options, crowded=1)
    assert [plain.photo_of(i) for i in range(len(plain))] == [once.photo_of(i) for i in range(len(once))]
    assert plain[3]["texts"] == once[3]["texts"]
    several = [sum(bool(item.keypoints) for item in scene.objects) > 1 for scene in plain.scenes]
    assert 0 < sum(several) < len(several)
    often, again = (PointExamples(dataset, 4, **options, crowded=3) for _ in range(2))
    length = len(several) + 2 * sum(several)
    assert len(often) == 2 * length == 2 * with_keypoints(dataset, 3)
    for one_pass in (range(length), range(length, 2 * length)):
        shown = [often.photo_of(i) for i in one_pass]
        assert [shown.count(photo) for photo in range(len(several))] == [3 if more else 1 for more in several]
        assert shown != sorted(shown)
    for i in (0, length, 2 * length - 1):
        assert often[i]["texts"] == again[i]["texts"] and (often[i]["points"] == again[i]["points"]).all()
    photo = several.index(True)
    views = [often[i]["image"].tobytes() for i in range(length) if often.photo_of(i) == photo]
    assert len(set(views)) == 3


def test_a_run_has_examples_enough_for_all_its_steps(drawn: Path, tmp_path: Path) -> None:
    for crowded in ("1", "3"):
        flags = [*command(Path("x"), drawn, tmp_path, 9), "--crowded", crowded, "--per_device_train_batch_size", "4"]
        sft, *_, training = parse_arguments(sft_localizer.ARGUMENTS, flags)
        train, val = build_examples(sft, training)
        assert 36 <= len(train) < 36 + 2 * len(train.shown)
        assert len(train) == train.passes * with_keypoints(load_keypoints(drawn, "train"), int(crowded))
        assert len(val.shown) == len(val.rows)


def test_flags_override_the_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        yaml.safe_dump({"base": "x", "datasets": ["a", "b"], "flip": 0.25, "resume": True})
    )
    (sft,) = parse_arguments((SftArguments,), ["--config", str(tmp_path / "a.yaml"), "--base", "y"])
    assert (sft.base, sft.datasets, sft.flip, sft.resume) == ("y", ["a", "b"], 0.25, True)
    (tmp_path / "b.yaml").write_text("datasets: [c]\nflip: 0.5\n")
    both = ["--config", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "--flip", "0.75"]
    (sft,) = parse_arguments((SftArguments,), both)
    assert (sft.base, sft.datasets, sft.flip) == ("x", ["c"], 0.75)


def test_flags_have_one_name_everywhere_and_keep_their_older_ones(tmp_path: Path) -> None:
    flags = [
        "--base",
        "x",
        "--dataset",
        "a",
        "b",
        "--output",
        str(tmp_path),
        "--hearings",
        "plain",
        "--meter_steps",
        "7",
    ]
    grpo, training = parse_arguments(grpo_descriptor.ARGUMENTS, [*flags, "--localizer", "y", "--bf16", "false"])
    assert (grpo.datasets, training.output_dir) == (["a", "b"], str(tmp_path))
    assert (grpo.listener_views, grpo.metric_steps) == (["plain"], 7)
    flags = ["--datasets", "a", "--split", "test", "--output", "r.json"]  # a file, not a folder
    (arguments,) = parse_arguments(evaluate.ARGUMENTS, flags)
    assert (arguments.dataset, str(arguments.output)) == ("a", "r.json")


def test_wrong_command_lines_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "a.yaml").write_text("bas: x\n")
    with pytest.raises((SystemExit, ValueError)):
        parse_arguments((SftArguments,), ["--config", str(tmp_path / "a.yaml"), "--base", "x", "--datasets", "a"])
    (tmp_path / "b.yaml").write_text("- a list\n")
    with pytest.raises(ValueError, match="must be a mapping"):
        parse_arguments((SftArguments,), ["--config", str(tmp_path / "b.yaml")])
    with pytest.raises(ValueError, match="needs a file"):
        parse_arguments((SftArguments,), ["--config"])
    with pytest.raises(ValueError, match="name=weight"):
        parse_weights(["full"])


def test_wrong_data_are_refused(drawn: Path) -> None:
    dataset = load_keypoints(drawn, "train")
    with pytest.raises(ValueError, match="at most 1 together"):
        PointExamples(dataset, arbitrary=0.7, negatives=0.7)
    with pytest.raises(ValueError, match="crowded must be 1 or more"):
        PointExamples(dataset, crowded=0)
    with pytest.raises(ValueError, match="holds a keypoint"):
        PointExamples(dataset.select([]))


def test_processors_know_their_tokens(base: Path) -> None:
    _, processor = tiny_localizer(base)
    parts = (processor.image_processor, processor.tokenizer, processor.chat_template)
    with pytest.raises(ValueError, match="lacks the tokens"):
        PointDescriptorProcessor(*parts, base_processor_kwargs=processor.base_processor_kwargs)
    with pytest.raises(ValueError, match="where the description goes"):
        PointLocalizerProcessor(*parts, base_processor_kwargs=processor.base_processor_kwargs, instruction="Find it")
    with pytest.raises(ValueError, match="no processor class"):
        PointLocalizerProcessor(*parts, base_processor_class="NoSuchProcessor")


def test_wrong_entries_are_reported_before_training_or_left_out(tmp_path: Path, caplog) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=4, seed=0)
    file = data / "annotations" / "train.json"
    content = json.loads(file.read_text())
    missing, broken = (image["file_name"] for image in content["images"][1:3])
    (data / "images" / missing).unlink()
    (data / "images" / broken).write_bytes(b"no photo")
    keypoints = content["annotations"][0]["keypoints"]
    place = next(i for i in range(0, len(keypoints), 3) if keypoints[i + 2] > 0)
    keypoints[place] = 999
    file.write_text(json.dumps(content))
    options = {"base": "", "datasets": [str(data)]}
    training = TrainingArguments(str(tmp_path / "run"), max_steps=1, use_cpu=True, report_to="none")
    with pytest.raises(ValueError) as refused:
        build_examples(SftArguments(**options), training)
    report = str(refused.value)
    assert f"{file}, images (row 0 is the first): 2 wrong rows\nrow 1: photo '{missing}' is listed but" in report
    assert (
        "\nrow 2: " in report
        and "keypoints outside their photo (row 0 is the first annotation): 1 wrong rows\nrow 0" in report
    )
    assert "(999, " in report and "is outside the photo" in report
    train, _ = build_examples(SftArguments(**options, skip_bad_rows=True), training)
    assert {missing, broken}.isdisjoint(train.dataset["file_name"]) and len(train.dataset) == 2
    assert "these rows are left out" in caplog.text and "(999, " in caplog.text
    with pytest.raises(ValueError, match="streaming: only for one's own texts"):
        build_examples(SftArguments(**options, streaming=True), training)
