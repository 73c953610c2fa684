"""Cards say what a model is, in the Hub's own front matter too, and name no folder of the machine that pushed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard, ModelCard

from talkingpoints.cards import Told, Weights, dataset_card, is_hub_id, model_card, size_category
from training.bundled.bundle import FOLDERS, bundled_card
from training.push_to_hub import without_folders

DESCRIPTOR = Weights("point_descriptor", parameters=1_234_567, megabytes=2.5)
TOLD = Told(base="org/base-2B", datasets=["me/my-points", "ears"], license="apache-2.0")


def report(dataset: str = "drawn", **rows: float) -> dict[str, Any]:
    """As training/evaluate.py writes it, what cards read of it; by row its mpck_img."""
    return {
        "dataset": dataset,
        "split": "test",
        "n_points": 1234,
        "n_images": 56,
        "seed": 0,
        "rows": {
            name: {
                "mpck_img": value,
                "ci95": [value - 1, value + 1],
                "pck_img": {"0.02": 1.0, "0.05": 20.5, "0.1": 40.125, "0.2": 80.0},
                "mpck_bbox": 33.3333,
                "median_error_px": None if name == "shuffled" else 7.25,
            }
            for name, value in rows.items()
        },
    }


REPORTS = [report(descriptor=81.234, reference=91.0, shuffled=20.0), report("other", descriptor=71.0, reference=72.0)]


def test_figures_stand_in_the_front_matter_as_the_hub_reads_them() -> None:
    data = ModelCard(model_card(DESCRIPTOR, TOLD, REPORTS, "me/my-descriptor", "abc").content).data
    values = {(r.dataset_name, r.dataset_split, r.metric_type): r.metric_value for r in data.eval_results}
    assert data.model_name == "my-descriptor"
    assert values["drawn", "test", "mpck_img"] == 81.23 and values["other", "test", "mpck_img"] == 71.0
    assert values["drawn", "test", "pck_img@0.1"] == 40.12 and values["drawn", "test", "median_error_px"] == 7.25
    assert len(values) == 2 * 5
    localizer = replace(DESCRIPTOR, model_type="point_localizer")
    results = model_card(localizer, TOLD, REPORTS[:1], "me/x").data.eval_results
    assert next(r.metric_value for r in results if r.metric_type == "mpck_img") == 91.0, "the localizer's own row"


def test_an_unanswered_row_has_no_median() -> None:
    some = [report(descriptor=1.0, shuffled=2.0)]
    some[0]["rows"]["descriptor"]["median_error_px"] = None
    card = model_card(DESCRIPTOR, TOLD, some, "me/x")
    assert "median_error_px" not in {r.metric_type for r in card.data.eval_results}
    assert "| shuffled | 2.0 | 1.0 to 3.0 | 1.0 | 20.5 | 40.1 | 80.0 | 33.3 | - |" in card.text


def test_base_data_and_licence_are_linked_where_the_hub_has_them() -> None:
    card = model_card(DESCRIPTOR, TOLD, REPORTS, "me/my-descriptor", "abc")
    data = ModelCard(card.content).data
    assert (data.base_model, data.datasets, data.license) == ("org/base-2B", ["me/my-points"], "apache-2.0")
    assert "Trained on me/my-points, ears." in card.text and "1,234,567 parameters, 2.5 MB" in card.text
    for title in ("Use", "Base", "Data", "Training", "Figures", "Limits", "Licence"):
        assert f"\n## {title}\n" in card.text


def test_what_nobody_said_is_not_made_up() -> None:
    card = model_card(DESCRIPTOR, Told(), (), "me/x")
    data = ModelCard(card.content).data.to_dict()
    assert not {"license", "base_model", "datasets", "model-index", "metrics"} & data.keys()
    assert "Not measured yet" in card.text and "None was stated" in card.text and "Not stated" in card.text
    assert "## Base" not in card.text


def test_snippets_pin_the_commit() -> None:
    text = model_card(DESCRIPTOR, TOLD, (), "me/x", "abc").text
    assert 'from_pretrained(descriptor="me/x@abc")' in text and text.count('"me/x", revision="abc"') == 2
    adapter = replace(DESCRIPTOR, adapter_of="me/base", own_processor=False)
    card = model_card(adapter, TOLD, (), "me/lora", "abc")
    assert 'PeftModel.from_pretrained(model, "me/lora", revision="abc")' in card.text
    assert 'AutoProcessor.from_pretrained("me/base", trust_remote_code=True)' in card.text
    assert (card.data.base_model, card.data.library_name) == ("me/base", "peft")
    card = model_card(replace(adapter, base_revision="def"), TOLD, (), "me/lora", "abc")
    assert card.text.count('from_pretrained("me/base", revision="def", trust_remote_code=True)') == 2
    text = model_card(replace(adapter, own_config=True), TOLD, (), "me/lora", "abc").text
    assert 'TalkingPoints.from_pretrained(descriptor="me/lora@abc")' in text and "AutoModel" not in text


def test_a_report_without_the_model_s_row_is_refused() -> None:
    with pytest.raises(KeyError, match="descriptor"):
        model_card(DESCRIPTOR, TOLD, [report(reference=1.0)], "me/x")


def test_folders_of_this_machine_go_by_their_last_name(tmp_path: Path) -> None:
    told = without_folders(Told(base=str(tmp_path / "."), datasets=[str(tmp_path), "me/points"]))
    assert told.base == tmp_path.name and told.datasets == [tmp_path.name, "me/points"]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_bundled_pair_s_cards_are_made_the_same_way(name: str) -> None:
    card = bundled_card(name, REPORTS)
    assert card.data.license_name == "research-photos" and card.data.eval_results
    assert "TalkingPoints.from_pretrained()" in card.text and "revision" not in card.text
    assert "| shuffled |" in card.text and "research" in card.text.partition("## Licence")[2]
    parameters = int(card.text.partition(" parameters")[0].rpartition(" ")[2].replace(",", ""))
    assert 4e6 < parameters < 6e6


def test_a_dataset_s_card_counts_and_shows_how_to_load() -> None:
    card = dataset_card(TOLD, {"train": (10, 999), "val": (2, 30)}, "metadata.csv", "me/my-points", "abc")
    data = DatasetCard(card.content).data
    assert data.size_categories == "1K<n<10K" and data.license == "apache-2.0"
    assert "| val | 2 | 30 |" in card.text and 'load_dataset("me/my-points", revision="abc")' in card.text


def test_ids_and_sizes() -> None:
    assert is_hub_id("org/base-2B_v1.5") and not any(map(is_hub_id, ("", "base", "/base", "a/b/c", "runs/", "a b/c")))
    assert [size_category(n) for n in (0, 999, 1000, 10**7)] == ["n<1K", "n<1K", "1K<n<10K", "n>10M"]
