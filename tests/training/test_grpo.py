"""GRPO on tiny models: what is trained and what stays, the reference, resuming, adapters, reward hacking, the table."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, set_seed

from talkingpoints import PointDescriptor, PointLocalizer
from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from tests.helpers.drawn import drawn_dataset
from tests.helpers.families import family_base
from tests.helpers.tiny import photo, tiny_descriptor
from training import grpo_descriptor
from training.bundled import build_base, cross_category
from training.grpo.grpo_arguments import GrpoArguments
from training.grpo.keypoint_prompts import PointPrompts, prompt_dataset
from training.grpo.reward_functions import ListenerReward, Stopwatch, share_without_spread
from training.grpo.reward_hacking import FILE, RewardHackingMetrics, summary
from training.sft.arguments import load_each, parse_arguments


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), n=6, seed=0)


def command(pair: tuple[Path, Path], drawn: Path, output: Path, steps: int, **options) -> list[str]:
    values = {
        "base": pair[0],
        "localizer": pair[1],
        "datasets": drawn,
        "output_dir": output,
        "max_steps": steps,
        "points_per_photo": 2,
        "min_words": 1,
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 10,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "beta": 0.05,
        "bf16": False,
        "gradient_checkpointing": False,
        "multi_objective_aggregation": "normalize_then_sum",
        "attn_implementation": "eager",
        "frozen_modules": "vision_tower",
        "metric_photos": 0,
        "use_cpu": True,
        "report_to": "none",
        "save_steps": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        **options,
    }
    given = {key: value for key, value in values.items() if value is not None}
    return [word for key, value in given.items() for word in (f"--{key}", *map(str, np.atleast_1d(value)))]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModel.from_pretrained(folder).state_dict()


def logged(trainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_two_steps_train_the_language_model_and_the_encoder(
    pair: tuple[Path, Path], drawn: Path, tmp_path: Path
) -> None:
    options = {"metric_photos": 2, "metric_points": 1, "metric_steps": 1, "listeners": f"other={pair[1]}"}
    options |= {"variety_weight": 0.5}
    trainer = grpo_descriptor.main(command(pair, drawn, tmp_path / "run", 2, **options))
    kl = logged(trainer, "kl")
    assert kl[0] == 0 and kl[1] > 0  # the policy starts as the reference, and leaves it
    before, after = weights(pair[0]), weights(tmp_path / "run")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("keypoint_encoder" in name for name in moved) and any("language_model" in name for name in moved)
    assert not any("vision_tower" in name for name in moved)  # batch statistics neither
    rewards = [f"rewards/{name}/mean" for name in ("listener", "fluency", "variety")]
    for name in (*rewards, "frac_listener_zero_std", "unfair_rate"):
        assert len(logged(trainer, name)) == 2
    written = json.loads((tmp_path / "run" / FILE).read_text())
    assert [reading["step"] for reading in written["readings"]] == [0, 1, 2]
    last = written["readings"][-1]
    assert set(last["mpck_img"]) == {"reward", "other"} and last["mpck_img"]["reward"] == last["mpck_img"]["other"]
    assert 0 < last["reward_share"] < 1 and last["fluency"] < 0 and last["training"]["kl"] == pytest.approx(np.mean(kl))
    assert logged(trainer, "reward_hacking/mpck_img/other")


def test_the_reference_sees_the_photo_and_the_point(pair: tuple[Path, Path], drawn: Path, tmp_path: Path) -> None:
    """Scored as TRL does it for the KL."""
    grpo, training = parse_arguments(grpo_descriptor.ARGUMENTS, command(pair, drawn, tmp_path / "run", 1))
    trainer = grpo_descriptor.build_trainer(grpo, training)
    processor = trainer.processing_class

    def scored(seed: int, point: tuple[float, float]) -> torch.Tensor:
        batch = processor(images=[photo(seed=seed)], points=[[point]], answers=[["the dog"]])
        length = int((batch["labels"] != -100).sum())
        with torch.no_grad():
            return trainer._get_per_token_logps_and_entropies(
                trainer.ref_model, batch["input_ids"], batch["attention_mask"], length,
                pixel_values=batch["pixel_values"], num_images=[1],
            )[0]  # fmt: skip

    here = scored(1, (0.3, 0.3))
    assert torch.equal(here, scored(1, (0.3, 0.3)))
    assert (here - scored(2, (0.3, 0.3))).abs().max() > 1e-3
    assert (here - scored(1, (0.9, 0.8))).abs().max() > 1e-3


@pytest.mark.parametrize("options", [{}, {"lora_r": 2, "frozen_modules": None}], ids=["full", "lora"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    options: dict, pair: tuple[Path, Path], drawn: Path, tmp_path: Path
) -> None:
    main = grpo_descriptor.main
    main(command(pair, drawn, tmp_path / "whole", 4, **options))
    main(command(pair, drawn, tmp_path / "cut", 2, **options))
    set_seed(123)  # whatever state the second process starts in
    trainer = main([*command(pair, drawn, tmp_path / "cut", 4, **options), "--resume"])
    assert trainer.state.global_step == 4
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


@pytest.mark.parametrize(
    ("options", "shares"),
    [({"gradient_accumulation_steps": 2}, True), ({"gradient_checkpointing": True}, False)],
    ids=["accumulated", "checkpointed"],
)
def test_policy_and_reference_start_alike_however_rows_are_cut(
    options: dict, shares: bool, pair: tuple[Path, Path], drawn: Path, tmp_path: Path
) -> None:
    trainer = grpo_descriptor.main(command(pair, drawn, tmp_path / "run", 1, **options))
    assert logged(trainer, "kl")[0] == pytest.approx(0, abs=1e-6)
    reference = trainer.accelerator.unwrap_model(trainer.ref_model)
    assert trainer.model.config.share_image_prefix == reference.config.share_image_prefix == shares


def test_an_adapter_is_merged(pair: tuple[Path, Path], drawn: Path, tmp_path: Path) -> None:
    trainer = grpo_descriptor.main(command(pair, drawn, tmp_path / "run", 2, lora_r=2, frozen_modules=None))
    assert logged(trainer, "kl")[0] == 0
    model = AutoModel.from_pretrained(tmp_path / "run")
    assert isinstance(model, PointDescriptor)
    before, after = weights(pair[0]), model.state_dict()
    assert before.keys() == after.keys()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("q_proj" in name for name in moved)
    assert all(("language_model" in n and "_proj" in n and "mlp" not in n) or "keypoint" in n for n in moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_vllm": True}, "vLLM has no Point Descriptor"),
        ({"use_transformers_continuous_batching": True}, "the photo and the point would be lost"),
        ({"num_iterations": 2, "save_steps": 3}, "save_steps must be a multiple of 2"),
        ({"frozen_modules": "nothing"}, r"no parameter has \['nothing'\]"),
        ({"reward": "best"}, "reward must be one of"),
        ({"hearings": "upside_down"}, "listener_views must be some of"),
        ({"listeners": ["a=x", "a=y"]}, "each with its own name"),
        ({"listeners": "reward=x"}, "choose another one"),
        ({"labels": "unicorn"}, "no photo shows unicorn"),
        ({"metric_steps": 0}, "metric_steps of at least 1"),
    ],
)
def test_what_cannot_work_is_refused(
    options: dict, message: str, pair: tuple[Path, Path], drawn: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        grpo_descriptor.main(command(pair, drawn, tmp_path / "run", 1, **options))


def test_a_localizer_is_no_policy(pair: tuple[Path, Path], drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds a PointLocalizer, not a PointDescriptor"):
        grpo_descriptor.main(command((pair[1], pair[1]), drawn, tmp_path / "run", 1))


@pytest.mark.parametrize("family", ["qwen3_vl", "llava_onevision"])
def test_other_families_are_trained(family: str, drawn: Path, tmp_path: Path) -> None:
    """Photos of other sizes, kept one by one by listener and judge."""
    base, folders = family_base(family, tmp_path / "base"), (tmp_path / "descriptor", tmp_path / "localizer")
    for kind, folder in zip((PointDescriptor, PointLocalizer), folders, strict=True):
        for part in kind.from_base(base):
            part.save_pretrained(folder)
    options = {"lora_r": 2, "frozen_modules": None, "max_completion_length": 4}
    trainer = grpo_descriptor.main(command(folders, drawn, tmp_path / "run", 1, **options))
    assert trainer.state.global_step == 1 and abs(logged(trainer, "kl")[0]) < 1e-6


def test_a_base_that_reads_both_ways_is_refused(pair: tuple[Path, Path], drawn: Path, tmp_path: Path) -> None:
    model, processor = PointDescriptor.from_base(family_base("paligemma", tmp_path / "base"))
    model.save_pretrained(tmp_path / "descriptor")
    processor.save_pretrained(tmp_path / "descriptor")
    with pytest.raises(ValueError, match="PaliGemma reads a row both ways"):
        grpo_descriptor.main(command((tmp_path / "descriptor", pair[1]), drawn, tmp_path / "run", 1))


class OneAnswer:
    """A listener that always finds one point, and notes what it was asked."""

    def __init__(self, point: tuple[float, float]):
        self.point, self.asked = point, []

    def find(self, photos, keys, texts, view="plain"):
        self.asked += texts
        return np.array([self.point if text else (np.nan, np.nan) for text in texts])


@pytest.mark.parametrize(("reward", "best", "worst"), [("shaped", 1.0, 0.0), ("mse", 0.0, -2.0)])
def test_unfair_texts_are_worth_the_least(reward: str, best: float, worst: float) -> None:
    arguments = GrpoArguments(base="", datasets=[], localizer="", reward=reward)
    listener = OneAnswer((0.3, 0.4))
    function = ListenerReward(listener, arguments, {"": 0.1}, Stopwatch())
    texts = ["the left ear of the dog", "the ear at (30, 40)", "ear", "the nose, which is elsewhere"]
    points = [[0.3, 0.4]] * 3 + [[0.9, 0.9]]
    noted: dict[str, float] = {}
    values = function(
        completions=[[{"role": "assistant", "content": text}] for text in texts], image=[photo()] * 4, view=["a"] * 4,
        point=points, box=[[0, 0, 1, 1]] * 4, size=[[64, 96]] * 4, part=["left ear"] * 4, example=[0, 0, 1, 1],
        log_metric=noted.__setitem__,
    )  # fmt: skip
    assert values[:3] == [best, worst, worst] and worst < values[3] < best
    assert noted == {"unfair_rate": 0.5, "frac_listener_zero_std": 0.0}
    assert "the ear at (30, 40)" not in listener.asked and "ear" not in listener.asked


def test_prompts_without_spread_are_counted() -> None:
    rewards = np.array([0.5, 0.5, 0.1, 0.2])
    assert share_without_spread(rewards, [7, 7, 8, 8]) == 0.5


def test_prompts_are_the_same_whoever_asks_and_are_made_once(base: Path, drawn: Path) -> None:
    _, processor = tiny_descriptor(base)
    rows = load_keypoints(drawn, "train")

    def prompts() -> PointPrompts:
        return PointPrompts(PointExamples(rows, passes=2, augmentation=Augmentation(), seed=3), processor, 3)

    dataset, other = prompt_dataset(prompts()), prompt_dataset(prompts())
    assert len(dataset) == 2 * 6 * 3
    group = dataset[[4, 4, 5]]
    assert group["image"][0] is group["image"][1] is group["image"][2]
    assert group["point"][0] == group["point"][1] != group["point"][2] and group["view"] == ["view 1"] * 3
    again = other[[4]]
    assert again["prompt"][0] == group["prompt"][0] and again["point"][0] == group["point"][0]
    assert again["image"][0].tobytes() == group["image"][0].tobytes()
    content = again["prompt"][0][0]["content"]
    assert content.count("<loc_") == 2 and content.count("<point>") == processor.num_keypoint_tokens
    x0, y0, x1, y1 = again["box"][0]
    assert x0 < x1 and y0 < y1 and again["size"][0] == [again["image"][0].height, again["image"][0].width]


def test_labels_keep_photos_that_show_nothing_else(drawn: Path) -> None:
    (everything,) = load_each([drawn], "train")
    shown = [{item["label"] for item in objects} for objects in everything["objects"]]
    wanted = sorted(set().union(*shown))[:2]
    (kept,) = load_each([drawn], "train", labels=wanted)
    assert [row["image_id"] for row in kept] == [
        row["image_id"] for row, here in zip(everything, shown, strict=True) if here <= set(wanted)
    ]
    arguments = build_base.BaseArguments(datasets=[str(drawn)], output_dir="", labels=wanted, texts=200)
    texts = list(build_base.written_texts(arguments))
    assert len(texts) == 200 and any(wanted[0] in text.lower() for text in texts)
    assert not any(label in text.lower() for text in texts for label in set().union(*shown) - set(wanted))
    with pytest.raises(ValueError, match="no photo shows unicorn; there are"):
        load_each([drawn], "train", labels=[*wanted, "unicorn"])


class Parrot:
    """A pair whose descriptor always says the same."""

    def __init__(self, text: str):
        self.text = text

    def describe(self, image, points):
        return [type("Described", (), {"text": self.text}) for _ in points]


class Flat:
    """A judge to whom all texts are alike."""

    def score(self, photos, keys, points, texts):
        return np.full(len(texts), -0.5)


def test_metrics_of_reward_hacking_by_hand(drawn: Path) -> None:
    grpo = GrpoArguments(base="", datasets=[], localizer="", metric_photos=4, metric_points=3)
    listeners = {"reward": OneAnswer((0.5, 0.5)), "other": OneAnswer((9.0, 9.0))}
    rows = load_keypoints(drawn, "val")
    read = RewardHackingMetrics(Parrot("30 pixels from the 30 pixels"), listeners, Flat(), rows, grpo).measure()
    assert read["digit_rate"] == 1 and read["words"] == 6 and read["fluency"] == -0.5 and read["empty_rate"] == 0
    assert read["flip_consistency"] == 1 and read["mpck_img_other_photo"] == read["mpck_img"]["reward"] > 0
    assert read["mpck_img"]["other"] == 0
    silent = RewardHackingMetrics(Parrot(""), listeners, Flat(), rows, grpo).measure()
    assert silent["empty_rate"] == 1 and silent["fluency"] is None and silent["mpck_img"]["reward"] == 0
    with pytest.raises(ValueError, match="at least two val photos with keypoints"):
        RewardHackingMetrics(Parrot(""), listeners, Flat(), rows.select([0]), grpo)


def test_gains_and_who_confirms_them() -> None:
    readings = [{"step": i, "mpck_img": {"reward": 50 + 4 * i, "other": 50 + i, "none": 50 - i}} for i in range(3)]
    found = summary(readings)
    assert found["gain"] == {"reward": 8, "other": 2, "none": -2}
    assert found["confirmed"] == {"other": 0.25, "none": -0.25}
    assert summary(readings[:1])["confirmed"] == {"other": None, "none": None}


def predictions(folder: Path, found: list[float], other: list[float], text: str) -> None:
    """A test of four points in two photos, missed by so much through the two listeners."""
    folder.mkdir()
    photo_of = np.array([0, 0, 1, 1])
    arrays = {
        f"prediction_{row}": np.full((4, 2), 0.5) + np.array([[error, 0.0] for error in errors])
        for row, errors in (("descriptor", found), ("descriptor@bundled", other), ("wrong_photo", [0.3] * 4))
    }
    np.savez(
        folder / "predictions.npz", truth=np.full((4, 2), 0.5), photo=photo_of, image_id=photo_of,
        object_index=np.arange(4), texts=np.array(json.dumps({"descriptor": [text] * 4})), **arrays,
    )  # fmt: skip


def test_the_cross_category_table(tmp_path: Path) -> None:
    predictions(tmp_path / "test_a_0", [0.3] * 4, [0.15] * 4, "a dog is there")
    predictions(tmp_path / "test_a_1", [0.15] * 4, [0.15] * 4, "a dog is over there now")
    predictions(tmp_path / "test_a_2", [0.01] * 4, [0.15, 0.15, 0.01, 0.01], "the dog at 30")
    (tmp_path / "grpo_a_2").mkdir()
    readings = [{"step": 0, "fluency": -0.5}, {"step": 9, "fluency": -0.5 + np.log(0.9), "reward_share": 0.2}]
    (tmp_path / "grpo_a_2" / FILE).write_text(json.dumps({"readings": readings}))
    lines = cross_category.main(["--runs", str(tmp_path)]).splitlines()
    assert "| a | reward | 1 | 0.00 | 50.00 | +50.00 | +50.00 to +50.00 |" in lines
    assert "| a | reward | all | 0.00 | 75.00 | +75.00 | +75.00 to +75.00 |" in lines
    assert "| a | bundled | all | 50.00 | 62.50 | +12.50 | +0.00 to +25.00 |" in lines
    assert "| a | zero-shot | 0.0000 | 0.2500 | 0.2500 | 4.0 | - | 0.0 | - |" in lines
    assert "| a | 1 | 0.0000 | 0.2500 | 0.3846 | 6.0 | - | 0.0 | - |" in lines  # of 16 words: 5 of 13 pairs
    assert "| a | 2 | 1.0000 | 0.2500 | 0.2500 | 4.0 | 0.900 | 0.0 | 0.20 |" in lines
    (tmp_path / "test_a_0" / "predictions.npz").unlink()
    with pytest.raises(ValueError, match="holds no setting"):
        cross_category.main(["--runs", str(tmp_path)])
