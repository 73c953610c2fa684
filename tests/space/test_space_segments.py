"""The tab of the segments, without a browser: what is found, where it is drawn, what is said, what goes wrong."""

import base64
import io
import re
import time
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

import app
from space import segments
from space.drawing import SHOWN_SIDE
from space.events import NO_SEGMENTER, Events
from space.hosting.serving import ModelError, NoSegmenter, ServedPair
from space.photos import Photo, open_photo
from space.segment_events import SEEKING, SegmentEvents
from space.segment_view import count, listed, outline, said, summary, view
from space.segments import Segments, ShownSegment
from talkingpoints.masks import mask_box
from talkingpoints.results import CaptionedSegments, SegmentCaption
from tests.helpers.fake_pair import BOOM, FOREVER, PAINTS, FakePair, segmented_photo

GREY = Image.new("RGB", (400, 300), "grey")


@pytest.fixture(scope="module")
def photo() -> Photo:
    """Kept at its own size, uploaded twice as large."""
    return Photo(segmented_photo(), (600, 800), "drawn.png")


@pytest.fixture(scope="module")
def found(photo: Photo) -> Segments:
    return segments.find(FakePair(), photo)


class MaskPair(FakePair):
    """Finds these masks, bool (height, width), and says these words of each."""

    def __init__(self, *masks: np.ndarray, text: str = "words", label: str = "cow") -> None:
        super().__init__()
        self.masks, self.text, self.label = masks, text, label

    def caption_segments(self, image: Image.Image) -> CaptionedSegments:
        id_map = np.zeros((image.height, image.width), dtype=np.int32)
        for number, mask in enumerate(self.masks, start=1):
            id_map[mask] = number
        rows = [
            SegmentCaption(number, self.label, True, 0.5, self.text, mask, mask_box(mask))
            for number, mask in enumerate(self.masks, start=1)
        ]
        return CaptionedSegments(tuple(rows), id_map)


def mask_of(draw_on: str, box: tuple[int, int, int, int], size: tuple[int, int] = (400, 300), **how) -> np.ndarray:
    """A shape of ImageDraw as a mask of (width, height)."""
    image = Image.new("1", size)
    getattr(ImageDraw.Draw(image), draw_on)(box, **{"fill": 1, **how})
    return np.asarray(image)


# --- what is found ------------------------------------------------------------------------------------------


def test_segments_have_words_place_and_share(found: Segments):
    assert [(one.number, one.name, one.is_thing, one.score) for one in found.found] == [
        (1, "dog", True, 0.93),
        (2, "cat", True, 0.64),
        (3, "grass", False, 0.81),
        (4, "background", False, 0.99),
    ]
    grass = found.found[2]
    assert grass.text.startswith("a <grass-merged> at column")
    assert grass.box == pytest.approx((0.0, 2 / 3, 1.0, 1.0))
    assert sum(one.share for one in found.found) + found.rest == pytest.approx(1)


def test_the_point_of_a_segment_lies_in_it(found: Segments):
    for one in found.found:
        assert found.at(one.point) is one
        assert one.room > 0.02


@pytest.mark.parametrize(
    "mask",
    [
        mask_of("ellipse", (50, 20, 350, 280), fill=0, outline=1, width=9),  # a ring, whose centre is outside
        mask_of("line", (7, 0, 350, 299)),  # a pixel wide
        mask_of("point", (399, 299)),
        mask_of("rectangle", (0, 0, 399, 299)),
    ],
    ids=["ring", "line", "pixel", "all"],
)
def test_also_of_unusual_ones(mask: np.ndarray):
    found = segments.find(MaskPair(mask), Photo(GREY, (300, 400)))
    (one,) = found.found
    assert found.at(one.point) is one
    assert one.room > 0


def test_what_is_clicked_is_what_is_there(found: Segments):
    assert found.at((0.5, 0.99)).name == "grass"
    assert found.at((1.0, 1.0)).name == "grass", "the border belongs to the last pixel"
    assert found.at((0.5, 0.4)) is None


def test_segments_of_another_photo_are_not_taken_for_those_of_this_one(photo: Photo, found: Segments):
    assert segments.of_photo(found, photo) is found
    for wrong in (None, Segments(Photo(GREY, (300, 400)), (), np.zeros((300, 400), dtype=np.uint16))):
        with pytest.raises(ValueError, match="Press Find segments"):
            segments.of_photo(wrong, photo)
    with pytest.raises(ValueError, match="Choose a photo first"):
        segments.find(FakePair(), None)


def test_a_visitor_costs_a_few_megabytes(found: Segments):
    large = segments.find(FakePair(), open_photo(Image.new("RGB", (3000, 2400), PAINTS["dog"][0])))
    assert large.id_map.nbytes < 3e6
    assert max(large.id_map.shape) == SHOWN_SIDE


# --- how it is drawn ----------------------------------------------------------------------------------------


FINE = 8  # outlines are drawn so many times larger: ImageDraw paints half a pixel too far


def drawn(path: str, size: tuple[int, int]) -> np.ndarray:
    """What an SVG path covers, by the rule of even and odd; size is (width, height)."""
    fine = (FINE * size[0], FINE * size[1])
    whole = Image.new("1", fine)
    for ring in path.removesuffix("Z").split("Z"):
        corners = [tuple(FINE * float(value) - 0.5 for value in pair.split()) for pair in ring[1:].split("L")]
        one = Image.new("1", fine)
        ImageDraw.Draw(one).polygon(corners, fill=1)
        whole = ImageChops.logical_xor(whole, one)
    return np.asarray(whole)[FINE // 2 :: FINE, FINE // 2 :: FINE]


@pytest.mark.parametrize("box", [(30, 20, 330, 280), (0, 0, 399, 299), (300, 250, 399, 299)])
def test_an_outline_goes_around_the_segment(box):
    mask = mask_of("ellipse", box)
    hole = mask_of("rectangle", (100, 100, 180, 160))
    mask = mask & ~hole
    covered = drawn(outline(mask, (1.0, 1.0)), (400, 300))
    assert (covered & mask).sum() / (covered | mask).sum() > 0.98


def test_an_outline_is_enlarged_with_the_photo():
    mask = mask_of("rectangle", (10, 10, 19, 29), size=(40, 40))
    assert outline(mask, (3.0, 3.0)).count("Z") == 1
    covered = drawn(outline(mask, (3.0, 3.0)), (120, 120))
    assert (np.flatnonzero(covered.any(axis=0))[[0, -1]] / 3).round() == pytest.approx([10, 20])
    assert (np.flatnonzero(covered.any(axis=1))[[0, -1]] / 3).round() == pytest.approx([10, 30])


def test_noise_does_not_make_the_page_heavy():
    rng = np.random.default_rng(0)
    start = time.process_time()
    path = outline(rng.random((960, 1280)) < 0.3, (1.0, 1.0))
    assert 0 < len(path) < 200_000
    assert time.process_time() - start < 10, "without a bound 24 s on a busy core"


@pytest.mark.parametrize("size", [(1, 1), (1, 1280), (1280, 1)])
def test_photos_of_one_pixel_can_be_shown(size):
    photo = Photo(Image.new("RGB", size, PAINTS["dog"][0]), size[::-1])
    assert 'd="M' in view(photo, segments.find(FakePair(), photo))


def test_every_segment_is_drawn_in_its_own_colour_with_its_words(photo: Photo, found: Segments):
    shown = view(photo, found)
    paths = re.findall(r'<path class="segment".*?/>', shown)
    assert len(paths) == 4
    assert len({re.search(r"--colour: (rgb.*?)\"", path)[1] for path in paths}) == 4
    assert 'aria-label="2 cat: a &lt;cat&gt; at column' in shown
    assert 'aria-label="Your photo with 4 segments (2 things, 2 areas).' in shown
    assert 'viewBox="0 0 1280 960"' in shown
    content = base64.b64decode(re.search(r"data:image/jpeg;base64,([^\"]*)", shown)[1])
    assert Image.open(io.BytesIO(content)).size == (400, 300)


def test_before_the_segments_are_there_the_photo_is(photo: Photo):
    shown = view(photo, None)
    assert "data:image/jpeg" in shown
    assert 'class="segment"' not in shown
    assert "No photo" in view(None, None)


def test_words_are_no_markup():
    photo = Photo(GREY, (300, 400))
    mask = mask_of("rectangle", (0, 0, 99, 99))
    found = segments.find(MaskPair(mask, text='<script>"a"', label='<i>"b'), photo)
    for shown in (view(photo, found), listed(found), said(found, (0.1, 0.1))):
        assert "<script>" not in shown
        assert "<i>" not in shown
        assert "&lt;script&gt;&quot;a&quot;" in shown


# --- what is said -------------------------------------------------------------------------------------------


def test_the_list_has_every_segment_and_how_much_is_in_none(found: Segments):
    shown = listed(found)
    assert shown.count("<li>") == 4
    assert "thing, score 64%, 12% of the photo" in shown
    grass, nothing = (
        (np.asarray(segmented_photo()) == colour).all(axis=-1).mean() for colour in (PAINTS["grass-merged"][0], 128)
    )
    assert f"area, score 81%, {grass:.0%} of the photo" in shown
    assert f"{nothing:.0%} of the photo belongs to no segment." in shown
    assert listed(None) == ""


def test_a_click_says_what_is_there(found: Segments):
    shown = said(found, found.found[0].point)
    assert "a &lt;dog&gt; at column" in shown
    for fact in ("1 dog", "thing", "score 93%", "px"):
        assert fact in shown
    assert "no name" not in shown
    assert "x 400, y 594 px" in said(found, (0.5, 0.99)), "pixels of the upload"


def test_a_click_on_the_background_says_what_that_is(found: Segments):
    assert "no name for" in said(found, (0.5, 0.01))


def test_a_click_on_no_segment_says_so(found: Segments):
    shown = said(found, (0.5, 0.4))
    assert "No segment here" in shown
    assert "Clicked" in shown


def test_a_segment_without_words_says_so():
    found = segments.find(MaskPair(mask_of("rectangle", (0, 0, 99, 99)), text=" "), Photo(GREY, (300, 400)))
    assert "No words for this segment." in said(found, (0.1, 0.1))
    assert "no words" in listed(found)


def test_how_many_there_are(found: Segments):
    one = segments.find(MaskPair(mask_of("rectangle", (0, 0, 9, 9))), Photo(GREY, (300, 400)))
    none = segments.find(FakePair(), Photo(GREY, (300, 400)))
    assert count(found) == "4 segments (2 things, 2 areas)"
    assert count(one) == "1 segment (1 thing)"
    assert "4 segments" in summary(found)
    assert "No segments found" in summary(none)
    assert "100% of the photo belongs to no segment" in listed(none)
    assert 'aria-label="Your photo. No segments were found."' in view(none.photo, none), "and none to be clicked"


# --- events -------------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> FakePair:
    return FakePair()


@pytest.fixture
def events(pair: FakePair, monkeypatch: pytest.MonkeyPatch) -> SegmentEvents:
    said_too: list[str] = []
    monkeypatch.setattr("space.events.gr.Warning", lambda message, title: said_too.append(message))
    served = ServedPair(pair, seconds=0.5)
    made = SegmentEvents(served, Events(served))
    made.said = said_too
    return made


def test_opening_the_tab_looks_once_for_the_segments_of_a_photo(events: SegmentEvents, photo: Photo):
    number, kept, clicked, shown, rows, facts, describe, sought = events.open(photo, None)
    assert (kept, clicked, rows, sought) == (None, None, "", photo)
    assert "data:image" in shown
    assert SEEKING in facts
    assert not describe.interactive
    found, shown, rows, facts, sought = events.seek(photo)
    assert sought is None
    assert shown.count('class="segment"') == rows.count("<li>") == 4
    assert "4 segments" in facts
    assert events.open(photo, found) == gr.skip(), "nothing new"
    other = Photo(GREY, (300, 400))
    assert events.open(other, found)[0] > number, "another photo"
    assert events.start(photo)[0] > number, "asked for"


def test_without_a_photo_nothing_is_looked_for(events: SegmentEvents, pair: FakePair):
    number, *_, facts, describe, sought = events.open(None, None)
    assert sought is None
    assert number == gr.skip()
    assert "Choose a photo" in facts
    assert not describe.interactive
    assert "Choose a photo" in events.seek(None)[3]
    assert not pair.segmented


def test_a_click_says_the_words_and_offers_the_description_of_the_point(events: SegmentEvents, photo: Photo, found):
    point, facts, describe = events.choose(photo, found, None, SimpleNamespace(x=640, y=950))
    assert point == pytest.approx((0.5, 950 / 960))
    assert "grass" in facts
    assert describe.interactive
    tabs, _, clicked, _, meant, picture, facts, words, x, y = events.describe(photo, found, (), True, point)
    assert tabs.selected == "points"
    assert (clicked, meant, words) == (point, point, "")
    assert picture.size == (1280, 960)
    assert (x, y) == pytest.approx((400, 593.8), abs=0.05)
    assert "Clicked" in facts
    assert "".join([*events.events.describe(photo, clicked)][-1:]) == "column k row t", "as a click there would do"


def test_a_search_that_goes_on_is_not_started_again(events: SegmentEvents, photo: Photo):
    sought = events.open(photo, None, None)[-1]
    assert events.open(photo, None, sought) == gr.skip(), "back in the tab"
    assert events.open(Photo(GREY, (300, 400)), None, sought) != gr.skip(), "another photo"
    assert events.forget(photo, None) == (None, None, None), "chosen once more, which cancelled the search"


def test_a_search_that_could_not_be_run_is_not_waited_for(events: SegmentEvents, photo: Photo):
    number, *_, facts, _, sought = events.after_failure(photo, None, photo)
    assert (number, sought) == (gr.skip(), None), "not at once again, where a queue is full"
    assert "Press Find segments" in facts
    assert events.after_failure(photo, None, None)[0] != gr.skip(), "a new visitor"


def test_a_click_during_the_search_hears_that_it_goes_on(events: SegmentEvents, photo: Photo):
    assert events.choose(photo, None, photo, SimpleNamespace(x=640, y=384)) == gr.skip()
    assert events.said == ["The segments of this photo are still being looked for."]


def test_a_click_of_another_photo_is_not_described(events: SegmentEvents, photo: Photo, found: Segments):
    assert events.describe(Photo(GREY, (300, 400)), found, (), True, (0.5, 0.5)) == gr.skip()
    assert "Press Find segments" in events.said[0]


def test_a_click_on_no_segment_offers_nothing(events: SegmentEvents, photo: Photo, found: Segments):
    _, facts, describe = events.choose(photo, found, None, SimpleNamespace(x=640, y=384))
    assert "No segment here" in facts
    assert not describe.interactive


def test_a_missing_segmenter_is_said_in_the_tab(events: SegmentEvents, pair: FakePair, photo: Photo):
    pair.segmenter = False
    found, _, rows, facts, _ = events.seek(photo)
    assert (found, rows) == (None, "")
    assert NO_SEGMENTER in facts
    assert "secret" not in facts
    described = list(events.events.describe(photo, (0.5, 0.5)))
    assert described[-1] == "column k row k", "the rest of the app lives on"
    pair.segmenter = True
    assert events.seek(photo)[0] is not None


def test_a_failing_segmenter_is_said_in_the_tab(events: SegmentEvents):
    found, _, _, facts, sought = events.seek(Photo(Image.new("RGB", (40, 30), BOOM), (30, 40)))
    assert (found, sought) == (None, None), "the next opening tries again"
    assert "The model failed" in facts
    assert "secret" not in facts


def test_what_is_said_of_an_error_is_escaped_once(events: SegmentEvents, photo: Photo, monkeypatch):
    def refuse(tp, photo):
        raise ValueError("x < 3 & y")

    monkeypatch.setattr(segments, "find", refuse)
    assert "<b>X &lt; 3 &amp; y</b>" in events.seek(photo)[3]


def test_a_segmenter_that_takes_too_long_is_given_up(events: SegmentEvents, pair: FakePair, photo: Photo, monkeypatch):
    monkeypatch.setattr(pair, "caption_segments", lambda image: pair.localize(image, "forever"))
    assert FOREVER > 0.5
    assert "longer than 0.5 seconds" in events.seek(photo)[3]
    assert "busy" in events.seek(photo)[3]


def test_only_what_is_not_there_counts_as_missing():
    with pytest.raises(NoSegmenter):
        ServedPair(FakePair(segmenter=False)).caption_segments(GREY)
    with pytest.raises(ModelError, match="RuntimeError: out of") as caught:
        ServedPair(FakePair()).caption_segments(Image.new("RGB", (4, 3), BOOM))
    assert not isinstance(caught.value, NoSegmenter)


def test_the_help_says_what_another_segmenter_does_not_know(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        app.parse_arguments(["--help"])
    assert "of transformers calls everything a thing" in " ".join(capsys.readouterr().out.split())


# --- endpoint -----------------------------------------------------------------------------------------------


def test_the_endpoint_speaks_pixels_of_the_upload():
    image = Image.new("RGB", (2000, 1500), PAINTS["dog"][0])
    image.paste(PAINTS["grass-merged"][0], (0, 1000, 2000, 1500))
    answer = segments.api_segments(FakePair(), image, True)
    assert answer["image_size"] == [1500, 2000]
    dog, grass = answer["segments"]
    assert (dog["id"], dog["label"], dog["is_thing"], dog["score"]) == (1, "dog", True, 0.93)
    assert dog["text"].startswith("a <dog> at")
    assert dog["box"] == pytest.approx([0, 0, 2000, 1000], abs=4)
    assert (grass["label"], grass["is_thing"]) == ("grass-merged", False)
    assert grass["box"] == pytest.approx([0, 1000, 2000, 1500], abs=4)
    id_map = decoded(answer["id_map"])
    assert id_map.shape == (960, 1280)
    assert (id_map[:630] == 1).all()
    assert (id_map[650:] == 2).all()
    assert segments.api_segments(FakePair(), image, False)["id_map"] is None


def test_the_map_has_room_for_many_segments():
    masks = []
    for number in range(300):
        mask = np.zeros((300, 400), dtype=bool)
        mask[number] = True
        masks.append(mask)
    answer = segments.api_segments(MaskPair(*masks), GREY, True)
    assert decoded(answer["id_map"])[:, 7].tolist() == list(range(1, 301))


def test_a_photo_without_segments_is_no_error():
    answer = segments.api_segments(FakePair(), GREY, True)
    assert answer["segments"] == []
    assert not decoded(answer["id_map"]).any()


def decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))))


def test_a_segment_s_name_is_that_of_its_label():
    assert ShownSegment(1, "wall-other-merged", False, 0.5, "", (0, 0, 1, 1), 1.0, (0.5, 0.5), 0.5).name == "wall"
