"""What is pushed to a local stand-in of the Hub loads back by id, in fresh processes, with and without the package."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModel, AutoProcessor

from talkingpoints import TalkingPoints
from talkingpoints.adapters import load_adapter
from tests.helpers.drawn import drawn_dataset
from tests.helpers.hub import running_hub
from tests.helpers.tiny import photo
from tests.models.test_cards import REPORTS, report
from training import sft_descriptor
from training.push_to_hub import collect_points, kind_of, prepare_adapter, published_weights, push

ROOT = Path(__file__).resolve().parents[2]

DOG = photo(160, 120)
SECRET = "hf_" + "notarealtoken" * 2

PUSH = """
import json, sys
from pathlib import Path
from transformers import AutoModel, AutoProcessor
from space import assemble
from training.push_to_hub import main

commands, descriptor = sys.argv[1:]
print(json.dumps([main(command).revision for command in json.loads(commands)]))
AutoModel.from_pretrained(descriptor).push_to_hub("me/by-hand")  # as transformers does, without our card
AutoProcessor.from_pretrained(descriptor).push_to_hub("me/by-hand")
assemble.main(["space", "--repo_id", "me/my-space"])
"""

LOAD = """
import json, sys
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "talkingpoints" not in sys.modules
with torch.inference_mode():
    logits = model(**processor(images=[Image.open(sys.argv[2])], points=[[(0.3, 0.4)]])).logits
print(json.dumps(logits[:, -1].flatten().tolist()))
"""

RUN = """
import json, sys
import torch
without_package, *snippets = sys.argv[1:]
results = []
for snippet in snippets:
    names = {}
    exec(compile(snippet, "card", "exec"), names)
    if "inputs" in names:
        with torch.inference_mode():
            output = names["model"](**names["inputs"])
        last = output.logits[:, -1] if "logits" in output else output.heatmap_logits
        results.append(last.flatten().tolist())
    elif "rows" in names:
        columns = ("x", "y", "text")
        results.append([[row["image"].size, *(row[name] for name in columns)] for row in names["rows"]])
    else:
        results.append(names["tp"].describe("dog.jpg", (30, 20)).text)
assert not without_package or "talkingpoints" not in sys.modules
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running stand-in; gives the environment that points at it."""
    with running_hub(tmp_path_factory.mktemp("home")) as environment:
        yield environment


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def read(hub: dict[str, str], path: str) -> str:
    """A file of the stand-in."""
    with urllib.request.urlopen(f"{hub['HF_ENDPOINT']}/{path}", timeout=10) as answer:
        return answer.read().decode()


def files_of(hub: dict[str, str], repo_id: str) -> list[str]:
    """Paths of a model's files in the stand-in."""
    return [file["rfilename"] for file in json.loads(read(hub, f"api/models/{repo_id}"))["siblings"]]


def snippets(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def write_points(folder: Path) -> Path:
    """Three photos with two points each."""
    folder.mkdir()
    lines = ["file_name,x,y,text,label"]
    for i in range(3):
        photo(seed=i).save(folder / f"{i}.png")
        lines += [f'{i}.png,{10 + i},20.5,"the ear, left",dog', f"{i}.png,{30 + i},40,the nose,dog"]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def adapter_over(descriptor: Path, folder: Path) -> Path:
    """A random LoRA adapter with its own keypoint encoder, as a training leaves it."""
    torch.manual_seed(1)
    settings = LoraConfig(
        target_modules=r".*vlm.*language_model.*(q_proj|v_proj)",
        modules_to_save=["keypoint_encoder"],
        init_lora_weights=False,
    )
    model = get_peft_model(AutoModel.from_pretrained(descriptor), settings)
    with torch.no_grad():
        model.base_model.model.keypoint_encoder.modules_to_save["default"].prompt.normal_()
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(descriptor).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pushed(
    hub: dict[str, str], pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """By what it is, a folder, the id it was pushed to with the command, and the commit that came back."""
    folder = tmp_path_factory.mktemp("pushed")
    later = AutoModel.from_pretrained(pair[0])
    with torch.no_grad():
        later.keypoint_encoder.prompt.normal_(std=3.0)
    later.save_pretrained(folder / "later")
    AutoProcessor.from_pretrained(pair[0]).save_pretrained(folder / "later")
    (folder / "report.json").write_text(json.dumps(REPORTS[0]))
    what: dict[str, dict[str, Any]] = {
        "descriptor": {
            "folder": pair[0], "repo_id": "me/my-points", "tag": "v1",
            "report": folder / "report.json", "license": "apache-2.0",
        },
        "localizer": {"folder": pair[1], "repo_id": "me/my-localizer"},
        "adapter": {"folder": adapter_over(pair[0], folder / "lora"), "repo_id": "me/my-lora", "base": "me/my-points"},
        "dataset": {"folder": write_points(folder / "own"), "repo_id": "me/my-data", "license": "cc-by-4.0"},
        "later": {"folder": folder / "later", "repo_id": "me/my-points"},
    }  # fmt: skip
    commands = [[w for k, v in options.items() for w in (f"--{k}", str(v))] for options in what.values()]
    (folder / "push.py").write_text(PUSH)
    environment = {**hub, "PYTHONPATH": str(ROOT)}
    lines = run(["push.py", json.dumps(commands), str(pair[0])], environment, folder).splitlines()
    revisions = json.loads(next(line for line in lines if line.startswith("[")))
    return {name: {**what[name], "revision": sha} for name, sha in zip(what, revisions, strict=True)}


def last_logits(model: torch.nn.Module, processor: Any, kind: str) -> torch.Tensor:
    """What the snippets of the cards compute on the photo that the tests draw."""
    words = {"texts": [["the dog's left ear"]]} if kind == "localizer" else {"points": [[(0.4, 0.3)]]}
    with torch.inference_mode():
        output = model.eval()(**processor(images=[DOG], **words))
    return (output.heatmap_logits if kind == "localizer" else output.logits[:, -1]).flatten()


def test_cards_code_runs_without_the_package_and_gives_the_same(
    hub: dict[str, str], pushed: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    DOG.save(tmp_path / "dog.jpg", format="PNG")  # no loss
    (tmp_path / "run.py").write_text(RUN)
    codes = [
        snippets(read(hub, "me/my-points/resolve/v1/README.md"))[-1],
        snippets(read(hub, "me/my-localizer/resolve/main/README.md"))[-1],
        snippets(read(hub, "me/my-lora/resolve/main/README.md"))[-1].replace(
            '"me/my-points"', '"me/my-points", revision="v1"'
        ),
        snippets(read(hub, "me/my-points/resolve/v1/README.md"))[-1]
        .replace("me/my-points", "me/by-hand")
        .replace(f'revision="{pushed["descriptor"]["revision"]}", ', ""),
        snippets(read(hub, "me/my-points/resolve/main/README.md"))[-1],
        snippets(read(hub, "datasets/me/my-data/resolve/main/README.md"))[-1],
    ]
    results = json.loads(run(["-P", "run.py", "yes", *codes], hub, tmp_path).splitlines()[-1])
    descriptor, localizer, adapter, by_hand, later, rows = results

    model, processor = (auto.from_pretrained(pushed["descriptor"]["folder"]) for auto in (AutoModel, AutoProcessor))
    expected = last_logits(model, processor, "descriptor")
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(torch.tensor(descriptor), expected, **close)
    torch.testing.assert_close(torch.tensor(by_hand), expected, **close)
    changed = last_logits(PeftModel.from_pretrained(model, pushed["adapter"]["folder"]), processor, "descriptor")
    torch.testing.assert_close(torch.tensor(adapter), changed, **close)
    assert (changed - expected).abs().max() > 0.01, "the adapter changes something"
    other = last_logits(AutoModel.from_pretrained(pushed["later"]["folder"]), processor, "descriptor")
    torch.testing.assert_close(torch.tensor(later), other, **close)
    assert (other - expected).abs().max() > 0.01, "so that the pinned revision is seen to matter"
    model, processor = (auto.from_pretrained(pushed["localizer"]["folder"]) for auto in (AutoModel, AutoProcessor))
    torch.testing.assert_close(torch.tensor(localizer), last_logits(model, processor, "localizer"), **close)
    assert rows[:2] == [[[96, 64], 10.0, 20.5, "the ear, left"], [[96, 64], 30.0, 40.0, "the nose"]] and len(rows) == 6


def test_the_page_s_and_cards_code_runs_with_the_package(
    hub: dict[str, str], pushed: dict[str, dict[str, Any]], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    DOG.save(tmp_path / "dog.jpg", format="PNG")
    (tmp_path / "run.py").write_text(RUN)
    codes = [
        next(code for code in snippets((ROOT / "docs" / "hub.md").read_text()) if "me/my-points" in code),
        snippets(read(hub, "me/my-points/resolve/v1/README.md"))[0],
        snippets(read(hub, "me/my-points/resolve/main/README.md"))[0],
    ]
    environment = {**hub, "PYTHONPATH": str(ROOT)}
    page, card, later = json.loads(run(["run.py", "", *codes], environment, tmp_path).splitlines()[-1])
    expected = TalkingPoints.from_pretrained(descriptor=pair[0]).describe(DOG, (30, 20)).text
    other = TalkingPoints.from_pretrained(descriptor=pushed["later"]["folder"]).describe(DOG, (30, 20)).text
    assert page == card == expected and later == other != expected


def test_cards_lie_beside_the_weights(hub: dict[str, str], pushed: dict[str, dict[str, Any]]) -> None:
    data = ModelCard(read(hub, "me/my-points/resolve/v1/README.md")).data
    assert {r.metric_type: r.metric_value for r in data.eval_results}["mpck_img"] == 81.23
    assert data.license == "apache-2.0"
    assert ModelCard(read(hub, "me/my-lora/resolve/main/README.md")).data.base_model == "me/my-points"
    saved = json.loads(read(hub, "me/my-lora/resolve/main/adapter_config.json"))
    assert saved["base_model_name_or_path"] == "me/my-points"
    for card in ("me/my-points", "me/my-localizer", "me/my-lora", "datasets/me/my-data"):
        assert str(pushed["dataset"]["folder"].parent) not in read(hub, f"{card}/resolve/main/README.md")
    assert "| train | 3 | 6 |" in read(hub, "datasets/me/my-data/resolve/main/README.md")


def test_no_pushed_file_names_a_folder_of_this_machine(
    hub: dict[str, str], pushed: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for repo_id in ("me/my-points", "me/my-localizer", "me/my-lora", "me/by-hand"):
        texts = [name for name in files_of(hub, repo_id) if name.endswith((".json", ".md", ".py", ".jinja"))]
        assert any(name.endswith("config.json") for name in texts)
        for name in texts:
            assert str(tmp_path_factory.getbasetemp()) not in read(hub, f"{repo_id}/resolve/main/{name}"), name


def test_a_trained_adapter_is_pushed_and_its_card_s_code_runs(
    hub: dict[str, str], pushed: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    write_points(tmp_path / "own")
    options = {"base": "me/my-points", "datasets": tmp_path / "own", "output_dir": tmp_path / "run", "max_steps": 1,
               "use_cpu": True, "report_to": "none", "push_to_hub": True, "hub_model_id": "me/trained-lora",
               "points_per_photo": 2, "learning_rate": 0.1, "lora_r": 2, "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "sft_descriptor.py"), *flags], hub, tmp_path)
    saved = json.loads(read(hub, "me/trained-lora/resolve/main/adapter_config.json"))
    base = json.loads(read(hub, "api/models/me/my-points"))["sha"]
    assert (saved["base_model_name_or_path"], saved["revision"]) == ("me/my-points", base)
    for name in files_of(hub, "me/trained-lora"):
        if name.endswith((".json", ".md")):
            assert str(tmp_path) not in read(hub, f"me/trained-lora/resolve/main/{name}"), name

    DOG.save(tmp_path / "dog.jpg", format="PNG")
    (tmp_path / "run.py").write_text(RUN)
    card = read(hub, "me/trained-lora/resolve/main/README.md")
    environment = {**hub, "PYTHONPATH": str(ROOT)}
    remote = json.loads(run(["run.py", "", *snippets(card)], environment, tmp_path).splitlines()[-1])
    model, processor = load_adapter(tmp_path / "run", base=pushed["later"]["folder"])
    plain = TalkingPoints.from_pretrained(descriptor=pushed["later"]["folder"])
    expected = TalkingPoints(model, processor, plain.localizer, plain.localizer_processor)
    assert remote == [expected.describe(DOG, (30, 20)).text]
    assert remote != [plain.describe(DOG, (30, 20)).text], "the adapter changes something"


def test_an_adapter_over_a_folder_is_not_trained_to_be_pushed(base: Path, tmp_path: Path) -> None:
    write_points(tmp_path / "own")
    options = {"base": base, "datasets": tmp_path / "own", "output_dir": tmp_path / "run", "max_steps": 1,
               "use_cpu": True, "report_to": "none", "push_to_hub": "me/never", "lora_r": 2}  # fmt: skip
    with pytest.raises(ValueError, match="which nobody else has"):
        sft_descriptor.main([word for key, value in options.items() for word in (f"--{key}", str(value))])
    assert not (tmp_path / "run").exists()


def test_a_space_is_pushed_as_it_is_assembled(hub: dict[str, str], pushed: dict[str, dict[str, Any]]) -> None:
    files = {file["rfilename"] for file in json.loads(read(hub, "api/spaces/me/my-space"))["siblings"]}
    assert {
        "README.md",
        "app.py",
        "requirements.txt",
        "talkingpoints/checkpoints/descriptor/model.safetensors",
    } <= files
    assert not any(name.startswith(("tests/", "training/")) or "__pycache__" in name for name in files)


def test_subfolders_are_splits_and_wrong_rows_stop_the_push(tmp_path: Path) -> None:
    tmp_path = tmp_path / "own"
    tmp_path.mkdir()
    for split in ("train", "val"):
        write_points(tmp_path / split)
    (tmp_path / "val" / "unnamed.png").write_bytes(b"stays at home")
    rows = (tmp_path / "val" / "metadata.csv").read_text(encoding="utf-8")
    files, counts, metadata = collect_points(tmp_path)
    assert counts == {"train": (3, 6), "val": (3, 6)} and metadata == "metadata.csv"
    assert sorted(files) == sorted(
        f"{split}/{name}" for split in counts for name in ("0.png", "1.png", "2.png", "metadata.csv")
    )
    (tmp_path / "val" / "metadata.csv").write_text(rows + "0.png,999,1,outside,\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"1 wrong rows\nrow 8.*outside the image"):
        collect_points(tmp_path)


def test_every_split_is_pushed_and_counted(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for split in ("train", "validation", "test"):
        write_points(own / split)
    files, counts, _ = collect_points(own)
    assert counts == dict.fromkeys(("train", "validation", "test"), (3, 6)) and len(files) == 3 * 4
    (own / "test").rename(own / "later")
    with pytest.raises(ValueError, match=r"has points in later, of which no reader knows.*train, val, validation, v"):
        collect_points(own)

    alone = tmp_path / "alone"
    alone.mkdir()
    write_points(alone / "train")
    assert collect_points(alone)[1] == {"train": (3, 6)}, "also those that a training keeps for validation"
    write_points(alone / "rest")
    for file in (alone / "rest").iterdir():
        file.rename(alone / file.name)
    (alone / "train").rename(alone / "val")
    (alone / "rest").rmdir()
    files, counts, _ = collect_points(alone)
    assert counts == {"train": (3, 6), "val": (3, 6)} and {"metadata.csv", "val/metadata.csv"} <= set(files)


def test_a_script_pushes_and_its_card_names_base_and_data(hub: dict[str, str], base: Path, tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    options = {"base": base, "datasets": data, "output_dir": tmp_path / "run", "max_steps": 1, "use_cpu": True,
               "report_to": "none", "push_to_hub": True, "hub_model_id": "me/points", "points_per_photo": 2,
               "save_steps": 1, "hub_token": SECRET, "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([str(ROOT / "training" / "sft_localizer.py"), *flags], {**hub, "HF_TOKEN": ""}, tmp_path)
    assert not {"training_args.bin", "trainer_state.json", "optimizer.pt"} & set(files_of(hub, "me/points"))
    assert (tmp_path / "run" / "training_args.bin").is_file() and (tmp_path / "run" / "checkpoint-1").is_dir()
    for file in (tmp_path / "run").rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    card = read(hub, "me/points/resolve/main/README.md")
    assert "Trained on drawn." in card and f"Built on {base.name}." in card and str(tmp_path) not in card

    DOG.save(tmp_path / "dog.jpg", format="PNG")
    (tmp_path / "run.py").write_text(RUN)
    remote = json.loads(run(["-P", "run.py", "yes", snippets(card)[-1]], hub, tmp_path).splitlines()[-1])
    model, processor = (auto.from_pretrained(tmp_path / "run") for auto in (AutoModel, AutoProcessor))
    torch.testing.assert_close(
        torch.tensor(remote[0]), last_logits(model, processor, "localizer"), rtol=1e-5, atol=1e-5
    )


def test_grpo_pushes_the_merged_model(hub: dict[str, str], pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "drawn", n=2, seed=0)
    options = {"base": pair[0], "localizer": pair[1], "datasets": data, "output_dir": tmp_path / "run", "max_steps": 1,
               "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 4, "metric_photos": 0,
               "bf16": False, "gradient_checkpointing": False, "use_cpu": True, "report_to": "none", "lora_r": 2,
               "push_to_hub": True, "hub_model_id": "me/grpo", "save_steps": 1, "disable_tqdm": True}  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "adapter_config.json").write_text("{}")  # of an earlier run
    run([str(ROOT / "training" / "grpo_descriptor.py"), *flags], hub, tmp_path)
    assert (tmp_path / "run" / "checkpoint-1" / "adapter_config.json").is_file()
    assert not [name for name in files_of(hub, "me/grpo") if "adapter" in name]
    assert not list((tmp_path / "run").glob("adapter_*"))
    card = read(hub, "me/grpo/resolve/main/README.md")
    assert f"Built on {pair[0].name}." in card and "Trained on drawn." in card

    DOG.save(tmp_path / "dog.png")
    (tmp_path / "load.py").write_text(LOAD)
    remote = json.loads(run(["-P", "load.py", "me/grpo", "dog.png"], hub, tmp_path).splitlines()[-1])
    model, processor = (auto.from_pretrained(tmp_path / "run") for auto in (AutoModel, AutoProcessor))
    with torch.inference_mode():
        here = model.eval()(**processor(images=[DOG], points=[[(0.3, 0.4)]])).logits[:, -1].flatten()
    torch.testing.assert_close(torch.tensor(remote), here, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_pushed_is_refused_before_anything_is(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        kind_of(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ValueError, match="holds a 'llava' model; only point_descriptor and point_localizer"):
        kind_of(tmp_path)
    with pytest.raises(ValueError, match="reports measure models"):
        push(write_points(tmp_path / "own"), "me/x", reports=REPORTS)
    with pytest.raises(KeyError, match="descriptor"):
        push(pair[0], "me/x", reports=[report(reference=1.0)])  # offline: a request would be another error
    lora = adapter_over(pair[0], tmp_path / "lora")
    with pytest.raises(ValueError, match="which nobody else has"):
        prepare_adapter(lora, tmp_path, base="")
    (lora / "processor_config.json").unlink()
    settings = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps({**settings, "auto_mapping": None}))
    with pytest.raises(ValueError, match="does not say whether its adapter is of a descriptor or of a localizer"):
        published_weights(lora)
