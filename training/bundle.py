"""Put a trained pair into the package: weights, processor and a model card with measured figures.

    python -m training.bundle --descriptor runs/descriptor --localizer runs/localizer
    python -m training.bundle --reports reports/animalpose_test.json reports/people_test.json

The first line copies the models (without the remote code that ``save_pretrained`` adds: the package holds it), the
second writes the model cards from the reports of training/evaluate.py.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER, CHECKPOINTS

MAX_BYTES = 20 * 2**20

CARD = """---
license: other
license_name: research-photos
library_name: transformers
pipeline_tag: image-text-to-text
tags: [talking-points, {tag}]
---

# Talking Points: bundled {name}

{what}
A tiny model trained from scratch: {parameters:,} parameters, {megabytes:.1f} MB, made to run anywhere and to show
the whole loop, not to compete with models of billions of parameters. It knows dogs, cats, sheep, horses, cows and
people, in photos that resemble its training data, and English in the style of the package's writer; other words lead
it astray more often.

## Use

```python
from talkingpoints import TalkingPoints

tp = TalkingPoints.from_pretrained()  # this pair
{use}
```

## Data

Trained on the train splits of AnimalPose (Cao et al., ICCV 2019; 3,436 photos, largely from PASCAL VOC) and of a set of
755 photos of single people with COCO keypoints, resized to at most 224 pixels. The texts are written by the package's
rule-based writer from keypoints, boxes and measured colours. The photos belong to their authors and were published for
research: check their terms before you use these weights for anything else. The code is Apache-2.0.

## Training

`training/{script}` with `training/configs/{config}`, starting from {start};
on two CPU cores, see training/README.md.

## Figures

Measured by `python -m training.evaluate` on the splits named above the tables. mpck_img is the mean of PCK at 0.1 and
0.2 of the image; the interval is 95%, by bootstrap over photos. From `blind` to `nearest_keypoint` the rows did not
look, or not at the right thing: the metric is worth what stands between them and the texts above. The mirrored rows are
checks, which should equal theirs. The project's README says what each row is.

{figures}

## Limits

Left and right legs are often confused, as are animals of one kind that stand side by side. Other objects, drawings and
close-ups are out of its reach; `presence` says "not in this image" for the wrong animal, not for wrong details.
Descriptions are short, follow one pattern, and can be wrong. Not for surveillance, medical or safety use.
"""

ROLES: dict[str, dict[str, Any]] = {
    "descriptor": {
        "folder": BUNDLED_DESCRIPTOR,
        "tag": "point-description",
        "name": "Point Descriptor",
        "what": "Photo and point in, words out.",
        "use": 'print(tp.describe("dog.jpg", (120, 80)).text)',
        "script": "sft_descriptor.py",
        "config": "descriptor.yaml",
        "start": "the localizer's vision tower and language model",
    },
    "localizer": {
        "folder": BUNDLED_LOCALIZER,
        "tag": "point-localization",
        "name": "Point Localizer",
        "what": "Photo and words in, point out, with a heat map, a confidence, and whether it is there at all.",
        "use": 'print(tp.localize("dog.jpg", "the dog\'s left ear"))',
        "script": "sft_localizer.py",
        "config": "localizer.yaml",
        "start": "random weights, through `build_base`,\n`pretrain_vision`, `pretrain_facts` and "
        "`configs/reading.yaml`, calibrated by `calibrate`",
    },
}


def copy_model(source: Path, target: Path) -> None:
    """Copy a saved model without its remote code, and without mention of that code or of folders.

    Raises:
        ValueError: the folder holds no saved model.
    """
    if not (source / "model.safetensors").is_file():
        raise ValueError(f"{source} holds no model.safetensors")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    names = ("config.json", "generation_config.json", "model.safetensors", "processor_config.json", "tokenizer.json",
             "tokenizer_config.json", "chat_template.jinja")  # fmt: skip
    for name in names:
        if not (source / name).is_file():
            continue
        if name in ("config.json", "processor_config.json", "tokenizer_config.json"):
            values = json.loads((source / name).read_text(encoding="utf-8"))
            values = without_traces(values)
            (target / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        else:
            shutil.copyfile(source / name, target / name)


def without_traces(values: Any) -> Any:
    """A configuration without the remote code's map and the folders it was loaded from, at every level."""
    if not isinstance(values, dict):
        return values
    return {k: without_traces(v) for k, v in values.items() if k not in ("auto_map", "_name_or_path", "name_or_path")}


def figures_table(reports: list[dict[str, Any]]) -> str:
    """Markdown tables of the rows of reports."""
    lines: list[str] = []
    for report in reports:
        lines += [
            f"{report['dataset']} {report['split']}: {report['n_points']:,} points in {report['n_images']} photos, "
            f"seed {report['seed']}",
            "",
            "| row | mpck_img | 95% interval | PCK_img@0.02 | @0.05 | @0.1 | @0.2 | mpck_bbox | median error, px |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in report["rows"].items():
            low, high = row["ci95"]
            shares = " | ".join(f"{row['pck_img'][t]:.1f}" for t in ("0.02", "0.05", "0.1", "0.2"))
            lines.append(
                f"| {name} | {row['mpck_img']:.1f} | {low:.1f} to {high:.1f} | {shares} | {row['mpck_bbox']:.1f} "
                f"| {'-' if row['median_error_px'] is None else format(row['median_error_px'], '.1f')} |"
            )
        lines.append("")
    return "\n".join(lines).strip()


def write_card(role: dict[str, Any], reports: list[dict[str, Any]]) -> None:
    """Write README.md beside a bundled model."""
    from transformers import AutoModel

    weights = role["folder"] / "model.safetensors"
    card = CARD.format(
        **{k: v for k, v in role.items() if k != "folder"},
        parameters=AutoModel.from_pretrained(role["folder"]).num_parameters(),
        megabytes=weights.stat().st_size / 1e6,
        figures=figures_table(reports),
    )
    (role["folder"] / "README.md").write_text(card, encoding="utf-8")


def main(argv: list[str]) -> None:
    """Copy models, write cards, or both; see the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptor", type=Path, help="trained descriptor to bundle")
    parser.add_argument("--localizer", type=Path, help="trained localizer to bundle")
    parser.add_argument("--reports", type=Path, nargs="+", default=[], help="reports for the model cards")
    arguments = parser.parse_args(argv)
    for name, role in ROLES.items():
        source = getattr(arguments, name)
        if source is not None:
            copy_model(source, role["folder"])
    if arguments.reports:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.reports]
        for role in ROLES.values():
            write_card(role, reports)
    size = sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file())
    print(f"bundled checkpoints: {size / 2**20:.1f} MiB")
    if size > MAX_BYTES:
        raise ValueError(
            f"the bundled checkpoints take {size / 2**20:.1f} MiB; at most {MAX_BYTES / 2**20:.0f} are allowed"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
