"""TalkingPoints on a tiny random pair: frames, lists, streaming, round trips, errors, threads, pipelines."""

import functools
import inspect
import threading
import time
from pathlib import Path
from typing import get_overloads

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

from talkingpoints import EncodedPhoto, TalkingPoints
from talkingpoints.points import to_unit
from tests.helpers.tiny import photo


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


def test_points_and_lists_agree(tp: TalkingPoints) -> None:
    points = [(10, 20), (90.5, 60)]
    together = tp.describe(photo(), points)
    assert [d.text for d in together] == [tp.describe(photo(), p).text for p in points]
    assert (together[1].point.x, together[1].point.y) == (90.5, 60)
    assert together[1].point.unit == pytest.approx((90.5 / 96, 60 / 64))


def test_points_come_in_pixels_or_in_the_unit_square(tp: TalkingPoints) -> None:
    image = photo()
    unit = tp.describe(image, point=[(0.25, 0.5), (0.9, 0.1)])
    assert [(d.point.x, d.point.y) for d in unit] == [(24, 32), pytest.approx((86.4, 6.4))]
    assert [d.text for d in unit] == [d.text for d in tp.describe(image, [(24, 32), (86.4, 6.4)])]
    assert "".join(tp.stream(image, point=(0.25, 0.5))).strip() == unit[0].text
    assert tp.round_trip(image, point=(0.25, 0.5)).error_px == tp.round_trip(image, (24, 32)).error_px
    for call in (tp.describe, tp.round_trip, lambda *a, **k: list(tp.stream(*a, **k))):
        with pytest.raises(ValueError, match="unit points must lie in"):
            call(image, point=(1.01, 0.5))
        with pytest.raises(ValueError, match=r"give one of .*point_px"):
            call(image)
    for call in (tp.round_trip, lambda *a: list(tp.stream(*a))):
        with pytest.raises(ValueError, match="give one point"):
            call(image, [(1, 2), (3, 4)])


def test_an_encoded_photo_serves_every_call_and_is_encoded_once(
    tp: TalkingPoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = np.zeros((64, 96), dtype=bool)
    ring[10:40, 20:70] = True

    def answers(image: Image.Image | EncodedPhoto) -> list[object]:
        found = tp.localize(image, ["ear", "nose"])
        described = [tp.describe(image, (10, 20)), tp.describe(image, mask=ring), list(tp.stream(image, (90, 60)))]
        return [*described, *(there.to_dict() | {"heatmap": None} for there in found)]

    expected, calls = answers(photo(seed=3)), []
    for name, model in (("descriptor", tp.descriptor), ("localizer", tp.localizer)):
        counting = functools.partial(lambda name, run, **inputs: calls.append(name) or run(**inputs), name)
        monkeypatch.setattr(model, "encode_images", functools.partial(counting, model.encode_images))
    encoded = tp.encode(photo(seed=3))
    assert answers(encoded) == expected
    assert sorted(calls) == ["descriptor", "localizer"]
    assert encoded.nbytes - 3 * 96 * 64 > 2 * 4 * tp.descriptor.config.get_text_config().hidden_size


def test_an_encoding_does_not_outlive_the_weights_it_was_made_with(pair: tuple[Path, Path]) -> None:
    tp = TalkingPoints.from_pretrained(*pair)
    encoded, text = tp.encode(photo()), "the left ear"
    before = tp.localize(encoded, text).presence
    with torch.no_grad():
        for parameter in tp.localizer.vlm.model.vision_tower.parameters():
            parameter.add_(0.1)
    assert before != tp.localize(encoded, text).presence == tp.localize(photo(), text).presence
    other = TalkingPoints.from_pretrained(*pair)
    assert other.localize(encoded, text).presence == before, "each pair has an encoding of its own"


def test_answers_become_dictionaries(tp: TalkingPoints) -> None:
    trip = tp.round_trip(photo(), (24, 32))
    there = trip.localization
    place = {"x": there.x, "y": there.y, "unit": list(there.unit)}
    answer = trip.to_dict()
    assert answer["text"] == trip.description.text and answer["point"] == {"x": 24, "y": 32, "unit": [0.25, 0.5]}
    assert answer["localization"] == place | {
        "confidence": there.confidence, "presence": there.presence, "found": there.found, "heatmap": there.heatmap,
    }  # fmt: skip
    assert trip.description.to_dict() == {"text": answer["text"], "x": 24, "y": 32, "unit": [0.25, 0.5]}
    large = there.in_size((640, 960))
    assert (large.x, large.y, large.unit) == (pytest.approx(10 * there.x), pytest.approx(10 * there.y), there.unit)
    region = tp.describe(photo(), box=(5, 6, 50, 40))
    assert region.to_dict() == {"text": region.text, "box": [5, 6, 50, 40]}


def test_help_and_editors_show_every_form_of_describe() -> None:
    forms = [str(inspect.signature(form)) for form in get_overloads(TalkingPoints.describe)]
    assert len(forms) == 8 and all("Description" in form for form in forms)
    for name in ("point_px", "point", "mask", "box"):
        assert f"{name}:" in str(inspect.signature(TalkingPoints.describe))
        assert f"{name}=" in TalkingPoints.describe.__doc__ or name == "point_px"


def test_texts_and_lists_agree(tp: TalkingPoints) -> None:
    texts = ["the left ear", "nose"]
    together = tp.localize(photo(), texts)
    for one, text in zip(together, texts, strict=True):
        alone = tp.localize(photo(), text)
        assert (one.x, one.y) == pytest.approx((alone.x, alone.y), abs=1e-3)
        assert np.allclose(one.heatmap, alone.heatmap, atol=1e-5)


def test_more_points_and_texts_than_go_at_once(tp: TalkingPoints) -> None:
    assert len(tp.describe(photo(), [(i, i) for i in range(40)])) == 40
    assert len(tp.localize(photo(), ["ear"] * 70)) == 70
    assert tp.localize(photo(), []) == [] and tp.describe(photo(), []) == []


def test_frames_are_those_of_the_photo(tp: TalkingPoints, tmp_path: Path) -> None:
    portrait = photo(30, 200)
    there = tp.localize(portrait, "the left ear")
    assert 0 <= there.x <= 30 and 0 <= there.y <= 200
    assert there.unit == pytest.approx(to_unit((there.x, there.y), (200, 30)))
    exif = Image.Exif()
    exif[0x0112] = 8
    portrait.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "turned.png", exif=exif)
    turned = tp.localize(tmp_path / "turned.png", "the left ear")
    assert (turned.x, turned.y) == pytest.approx((there.x, there.y), abs=1e-3)
    assert tp.localize(np.asarray(portrait), "the left ear").unit == pytest.approx(there.unit)


def test_the_answer_is_a_probability_map_and_a_decision(tp: TalkingPoints) -> None:
    there = tp.localize(photo(), "nose")
    assert there.heatmap.sum() == pytest.approx(1, abs=1e-4) and there.heatmap.dtype == np.float32
    assert 0 <= there.confidence <= 1 and 0 <= there.presence <= 1
    assert there.found == (there.presence >= 0.5)


def test_the_stream_is_the_description(tp: TalkingPoints) -> None:
    pieces = list(tp.stream(photo(), (10, 20)))
    assert "".join(pieces).strip() == tp.describe(photo(), (10, 20)).text


def test_who_closes_the_stream_stops_the_writing(tp: TalkingPoints, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    generate, forward = tp.descriptor.generate, tp.descriptor.vlm.forward

    def counting(**inputs) -> torch.Tensor:
        output = generate(**inputs)
        written.append(output.shape[1] - inputs["input_ids"].shape[1])
        return output

    def slow(*args, **kwargs):
        time.sleep(0.02)
        return forward(*args, **kwargs)

    monkeypatch.setattr(tp.descriptor, "generate", counting)
    monkeypatch.setattr(tp.descriptor.vlm, "forward", slow)
    whole = list(tp.stream(photo(), (10, 20)))
    pieces = tp.stream(photo(), (10, 20))
    next(pieces)
    pieces.close()
    assert len(whole) > 1
    assert len(written) == 2, "the writing has ended when the stream is closed"
    assert written[1] < written[0]


def test_the_window_is_the_one_of_the_keypoint_encoder(tp: TalkingPoints, monkeypatch: pytest.MonkeyPatch) -> None:
    window = tp.window((0.25, 0.5), cells=40)
    assert window.shape == (40, 40) and window.dtype == bool
    rows, columns = np.nonzero(window)
    assert ((columns.mean() + 0.5) / 40, (rows.mean() + 0.5) / 40) == pytest.approx((0.25, 0.5), abs=0.02)
    config = tp.descriptor.config
    radius = config.sigma * np.sqrt(-2 * np.log(config.window_threshold))
    assert window.mean() == pytest.approx(np.pi * radius**2, rel=0.1)
    monkeypatch.setattr(config, "attention_region", "none")
    assert tp.window((0.25, 0.5)) is None


def test_a_failing_stream_raises_and_the_next_call_works(tp: TalkingPoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args, **kwargs):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(tp.descriptor, "generate", fail)
        with pytest.raises(RuntimeError, match="the descriptor failed: no memory"):
            list(tp.stream(photo(), (10, 20)))
    assert tp.describe(photo(), (10, 20)).point.x == 10


def test_round_trip_measures_both_errors(tp: TalkingPoints) -> None:
    trip = tp.round_trip(photo(), (10, 20))
    back = trip.localization
    assert trip.error_px == pytest.approx(np.hypot(back.x - 10, back.y - 20))
    assert trip.error_img == pytest.approx(np.hypot((back.x - 10) / 96, (back.y - 20) / 64))


@pytest.mark.parametrize("point", [(-1, 5), (97, 5), (5, 65), (float("nan"), 5)])
def test_points_outside_are_refused(tp: TalkingPoints, point: tuple[float, float]) -> None:
    for call in (tp.describe, tp.round_trip, lambda *a: list(tp.stream(*a))):
        with pytest.raises(ValueError, match="outside the image"):
            call(photo(), point)


def test_empty_texts_and_unreadable_images_are_refused(tp: TalkingPoints, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text is empty"):
        tp.localize(photo(), "  ")
    (tmp_path / "no.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"cannot read 'no\.jpg'"):
        tp.describe(tmp_path / "no.jpg", (1, 1))


def test_threads_take_turns(tp: TalkingPoints) -> None:
    expected = [tp.describe(photo(seed=s), (10, 20)).text for s in range(4)]
    texts: dict[int, str] = {}

    def work(seed: int) -> None:
        texts[seed] = tp.describe(photo(seed=seed), (10, 20)).text

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [texts[s] for s in range(4)] == expected


def test_a_pair_in_the_wrong_order_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="holds a PointLocalizer, not a PointDescriptor"):
        TalkingPoints.from_pretrained(descriptor=pair[1], localizer=pair[0])


def test_dtype_is_taken(pair: tuple[Path, Path]) -> None:
    half = TalkingPoints.from_pretrained(*pair, dtype=torch.bfloat16)
    assert half.descriptor.dtype == torch.bfloat16
    assert 0 <= half.localize(photo(), "nose").x <= 96


def test_pipelines_agree_with_the_pair(tp: TalkingPoints, pair: tuple[Path, Path]) -> None:
    describe = pipeline("point-description", model=str(pair[0]))
    assert describe(photo(), point=(10, 20)) == {"text": tp.describe(photo(), (10, 20)).text, "point": (10.0, 20.0)}
    assert len(describe(photo(), points=[(1, 2), (3, 4)])) == 2
    localize = pipeline("point-localization", model=str(pair[1]))
    there, expected = localize(photo(), text="nose"), tp.localize(photo(), "nose")
    assert (there["x"], there["y"], there["found"]) == pytest.approx((expected.x, expected.y, expected.found))
    assert len(localize(photo(), texts=["nose", "ear"])) == 2
    with pytest.raises(ValueError, match="either point"):
        describe(photo())
    with pytest.raises(ValueError, match="either text"):
        localize(photo())
