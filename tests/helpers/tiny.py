"""Tiny randomly initialised models of the real architecture, and photos to feed them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from talkingpoints import PointDescriptor, PointDescriptorProcessor, PointLocalizer, PointLocalizerProcessor
from training.bundled.build_base import BaseArguments, build_model, build_processor, build_tokenizer

CORPUS = [
    "A dog in the centre of the photo. Its left ear, far right, top of the dog. Dark brown, smooth.",
    "The cat's nose, at the far left, upper part of the cat, just below the right eye. White.",
    "Describe . Locate: the horse's left hind hoof",
]


def tiny_base(folder: Path) -> Path:
    """An untrained LLaVA of 0.1 million parameters with its processor, saved in ``folder``."""
    arguments = BaseArguments(
        datasets=[],
        output_dir=str(folder),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        image_size=64,
        vision_hidden_size=16,
        vision_widths=[4, 8, 16],
        vision_depths=[1, 1, 1],
        vision_layers=1,
    )
    tokenizer = build_tokenizer(iter(CORPUS * 5), 320)
    build_model(arguments, tokenizer).save_pretrained(folder)
    build_processor(arguments, tokenizer).save_pretrained(folder)
    return folder


def tiny_descriptor(base: Path, **config) -> tuple[PointDescriptor, PointDescriptorProcessor]:
    """A random descriptor in eval mode; loud enough weights that inputs show in the logits."""
    torch.manual_seed(0)
    model, processor = PointDescriptor.from_base(base, **config)
    return loud(model).eval(), processor


def tiny_localizer(base: Path, **config) -> tuple[PointLocalizer, PointLocalizerProcessor]:
    """A random localizer in eval mode."""
    torch.manual_seed(0)
    model, processor = PointLocalizer.from_base(base, **config)
    return loud(model).eval(), processor


def loud(model: torch.nn.Module) -> torch.nn.Module:
    """Weights large enough that every input has a visible effect."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                parameter.mul_(4.0)
    return model


def tiny_pair(folder: Path) -> tuple[Path, Path]:
    """Folders of a saved random descriptor and localizer."""
    base = tiny_base(folder / "base")
    for name, build in (("descriptor", tiny_descriptor), ("localizer", tiny_localizer)):
        model, processor = build(base, share_image_prefix=True)
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder / "descriptor", folder / "localizer"


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """A photo of smooth random colours."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
