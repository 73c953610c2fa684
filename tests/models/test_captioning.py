"""Segments with texts: any universal segmenter, the descriptor's words per mask, the pipeline, and bad input."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoImageProcessor,
    BatchFeature,
    CLIPTokenizer,
    EomtConfig,
    EomtForUniversalSegmentation,
    EomtImageProcessorPil,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    OneFormerImageProcessorPil,
    OneFormerProcessor,
    PreTrainedModel,
    SwinConfig,
    pipeline,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from talkingpoints import CaptionedSegments, PanopticCaptioner, SegmentCaption, Segmenter, TalkingPoints, adapters
from talkingpoints.adapters import load_model
from talkingpoints.modeling_descriptor import PointDescriptor
from tests.helpers.tiny import photo

LABELS = {0: "cat", 1: "dog", 2: "grass"}


def swin() -> SwinConfig:
    """A backbone for photos of 64 x 64 pixels."""
    return SwinConfig(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, image_size=64,
                      out_features=["stage1", "stage2", "stage3", "stage4"])  # fmt: skip


def mask2former(folder: Path) -> Path:
    """A random Mask2Former of three labels."""
    torch.manual_seed(0)
    config = Mask2FormerConfig(
        backbone_config=swin(), hidden_dim=32, feature_size=32, mask_feature_size=32, encoder_layers=1,
        decoder_layers=2, num_attention_heads=2, dim_feedforward=16, encoder_feedforward_dim=16, num_queries=6,
        id2label=LABELS, label2id={name: number for number, name in LABELS.items()},
    )  # fmt: skip
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    Mask2FormerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def eomt(folder: Path) -> Path:
    """A random EoMT of three labels."""
    torch.manual_seed(0)
    config = EomtConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=64,
                        patch_size=16, num_blocks=1, num_queries=6, num_upscale_blocks=1, id2label=LABELS,
                        label2id={name: number for number, name in LABELS.items()})  # fmt: skip
    EomtForUniversalSegmentation(config).save_pretrained(folder)
    EomtImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 64}, do_split_image=False, do_pad=True
    ).save_pretrained(folder)
    return folder


def oneformer(folder: Path) -> Path:
    """A random OneFormer of three labels, with a tokenizer of single bytes."""
    torch.manual_seed(0)
    config = OneFormerConfig(
        backbone_config=swin(), hidden_dim=32, conv_dim=32, mask_dim=32, encoder_layers=2, decoder_layers=2,
        id2label=LABELS, num_attention_heads=2, dim_feedforward=32, encoder_feedforward_dim=32, num_queries=6,
        is_training=False,
        label2id={name: number for number, name in LABELS.items()},
    )  # fmt: skip
    OneFormerForUniversalSegmentation(config).save_pretrained(folder)
    names = {str(number): {"name": name, "isthing": number < 2} for number, name in LABELS.items()}
    (folder / "names.json").write_text(json.dumps(names))
    images = OneFormerImageProcessorPil(
        size={"height": 64, "width": 64}, repo_path=str(folder), class_info_file="names.json", num_text=2
    )
    characters = list(bytes_to_unicode().values())
    words = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    OneFormerProcessor(images, tokenizer).save_pretrained(folder)
    return folder


class FixedProcessor:
    """Gives two segments, one of them stuff, one that another covers, and one of three pixels."""

    def __call__(self, images, return_tensors) -> BatchFeature:
        return BatchFeature({"pixel_values": torch.zeros(1, 3, 8, 8)})

    def post_process_panoptic_segmentation(self, outputs, target_sizes, threshold=0.5, label_ids_to_fuse=None):
        height, width = target_sizes[0]
        pixels = torch.full((height, width), -1)
        pixels[: height // 2] = 4
        pixels[height // 2 :, : width // 2] = 7
        pixels[-1, -3:] = 8
        segments = [
            {"id": 7, "label_id": 1, "was_fused": False, "score": 0.8},
            {"id": 4, "label_id": 2, "was_fused": 2 in (label_ids_to_fuse or {2}), "score": 0.6},
            {"id": 5, "label_id": 0, "was_fused": False, "score": 0.9},
            {"id": 8, "label_id": 0, "was_fused": False, "score": 0.9},
        ]
        return [{"segmentation": pixels, "segments_info": [s for s in segments if s["score"] >= threshold]}]


class FixedModel(PreTrainedModel):
    """Answers nothing; its processor knows all."""

    def __init__(self) -> None:
        super().__init__(Mask2FormerConfig(id2label=LABELS, label2id={name: n for n, name in LABELS.items()}))
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace()


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    tp = TalkingPoints.from_pretrained(*pair)
    tp._segmenter = Segmenter(FixedModel(), FixedProcessor())
    return tp


def test_each_segment_has_the_words_of_its_mask(tp: TalkingPoints) -> None:
    found = tp.caption_segments(photo())
    assert isinstance(found, CaptionedSegments) and len(found) == 2
    thing, stuff = found
    assert isinstance(thing, SegmentCaption)
    assert (thing.id, thing.label, thing.is_thing, thing.score, thing.box) == (1, "dog", True, 0.8, (0, 32, 48, 64))
    assert (stuff.id, stuff.label, stuff.is_thing, stuff.box) == (2, "grass", False, (0, 0, 96, 32))
    assert thing.text == tp.describe(photo(), mask=thing.mask).text
    assert stuff.text == tp.describe(photo(), mask=stuff.mask).text
    for segment in found:
        assert segment.mask.shape == (64, 96) and np.array_equal(found.id_map == segment.id, segment.mask)
    assert found.id_map.dtype == np.int32 and found.id_map[63, 95] == 0
    assert found[0] is thing and list(found) == [thing, stuff]


def test_which_segment_is_clicked(tp: TalkingPoints) -> None:
    found = tp.caption_segments(photo())
    assert found.at(3, 40).label == "dog" and found.at(96, 0).label == "grass" and found.at(90, 60) is None
    with pytest.raises(ValueError, match="outside the photo"):
        found.at(97, 3)


def test_thresholds_leave_out_the_less_sure(tp: TalkingPoints) -> None:
    assert [segment.label for segment in tp.caption_segments(photo(), threshold=0.7)] == ["dog"]
    assert len(tp.caption_segments(photo(), threshold=0.95)) == 0
    with pytest.raises(ValueError, match=r"threshold must be in \[0, 1\]"):
        tp.caption_segments(photo(), threshold=2)


def test_labels_to_fuse_are_handed_on() -> None:
    fused = Segmenter(FixedModel(), FixedProcessor(), label_ids_to_fuse=[1])
    assert [segment.is_thing for segment in fused.segments(photo())] == [True, True]


@pytest.mark.parametrize("build", [mask2former, eomt, oneformer])
def test_any_universal_segmenter_of_transformers_will_do(build, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    folder = build(tmp_path / "segmenter")
    tp = TalkingPoints.from_pretrained(*pair, segmenter=folder)
    found = tp.caption_segments(photo(100, 60), threshold=0.0)
    assert found.id_map.shape == (60, 100)
    for segment in found:
        assert segment.label in LABELS.values() and segment.text == tp.describe(photo(100, 60), mask=segment.mask).text
    if build is oneformer:
        return  # the pipeline loads image processors, and OneFormer's processor needs its task
    pipe = pipeline("panoptic-captioning", model=str(folder), descriptor=pair[0])
    again = pipe(photo(100, 60), threshold=0.0)
    assert [one["text"] for one in again["segments"]] == [segment.text for segment in found]
    assert np.array_equal(again["id_map"], found.id_map)


def test_a_tag_may_follow_the_hub_id_of_a_segmenter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, asked = mask2former(tmp_path / "segmenter"), []

    def download(source: str, revision: str) -> str:
        asked.append((source, revision))
        return str(folder)

    monkeypatch.setattr(adapters, "snapshot_download", download)
    assert Segmenter.from_pretrained("me/segmenter@v1").model.config.id2label == LABELS
    assert asked == [("me/segmenter", "v1")]


def test_a_segmenter_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = mask2former(tmp_path / "segmenter")
    weights = load_file(folder / "model.safetensors")
    lost = weights.pop("class_predictor.bias")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert lost.shape == (len(LABELS) + 1,)
    with pytest.raises(ValueError, match=r"lacks 1 of the weights of a Mask2Former.*: class_predictor\.bias"):
        Segmenter.from_pretrained(folder)


def test_photos_are_described_with_a_captioner_of_ones_own(pair: tuple[Path, Path]) -> None:
    descriptor, processor = load_model(pair[0], PointDescriptor)
    found = PanopticCaptioner(Segmenter(FixedModel(), FixedProcessor()), descriptor, processor)(photo())
    assert [segment.label for segment in found] == ["dog", "grass"] and all(segment.text for segment in found)


def test_other_models_are_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="has no post_process_panoptic_segmentation"):
        Segmenter(FixedModel(), AutoImageProcessor)
    with pytest.raises((OSError, ValueError)):
        TalkingPoints.from_pretrained(*pair, segmenter=tmp_path / "nothing").caption_segments(photo())
