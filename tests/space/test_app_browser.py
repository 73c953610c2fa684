"""The app as a visitor meets it: a real headless Chromium clicks, types, uploads and reads.

The first test runs ``python app.py`` on the bundled pair. The others, which are about the screen and not
about the model, run it on a stand-in that answers at once.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.helpers.browser import (
    CHROMIUM,
    REPOSITORY,
    chromium,
    click_pixel,
    facts,
    finished_words,
    message,
    opened,
    place_of_pixel,
    served,
    started_app,
    words,
)
from tests.helpers.fake_pair import segmented_photo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright", reason="needs playwright: pip install playwright")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path")]

CAT = (300, 451)  # height, width of the first example
CHECKPOINTS = REPOSITORY / "talkingpoints" / "checkpoints"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    """Address of the app on a stand-in for the model pair."""
    from space import ui
    from tests.helpers.fake_pair import FakePair

    with served(ui.build(FakePair(seconds_per_word=0.1)), **ui.launch_options()) as url:
        yield url


@pytest.fixture
def page(browser: "Browser", stand_in: str) -> Iterator["Page"]:
    with opened(browser, stand_in, viewport={"width": 1280, "height": 860}) as visited:
        yield visited


def place(text: str, kind: str) -> tuple[float, float]:
    """The pixels in a line of facts, such as "Found / x 12, y 34 px"."""
    line = text[text.index(kind) :]
    x, y = line[line.index("x ") + 2 : line.index(" px")].split(", y ")
    return float(x), float(y)


def type_words(page: "Page", text: str) -> None:
    """Replace what stands in the text box, as one types, and press Enter."""
    page.fill("#words textarea", "")
    page.type("#words textarea", text)
    page.press("#words textarea", "Enter")


def upload(page: "Page", path: Path) -> None:
    page.set_input_files("#photo input[type=file]", str(path))


# --- the real thing -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="the bundled checkpoints are not here")
def test_click_read_type_back_on_the_bundled_pair(browser):
    """A click on the cat's left eye is put into words; these words, typed, lead back to about where it was."""
    eye = (170.0, 130.0)
    with started_app() as url, opened(browser, url, viewport={"width": 1280, "height": 860}) as page:
        assert "dogs, cats, sheep, horses, cows and people" in page.inner_text("#heading")
        click_pixel(page, eye, CAT)
        assert place(facts(page, "Clicked"), "Clicked") == pytest.approx(eye, abs=1.5)
        text = finished_words(page)
        assert len(text.split()) >= 5, text
        type_words(page, text)
        found = place(facts(page, "Found"), "Found")
        assert math.dist(found, eye) < 0.25 * max(CAT), f"{text!r} led to {found}"
        page.click("#round-trip")
        shown = facts(page, "% of the image")
        assert place(shown, "Found") == pytest.approx(found, abs=1.5), "the round trip writes and finds the same words"
        type_words(page, " ")
        assert "Write where the point is" in message(page)
        type_words(page, text)
        facts(page, "Found")


def test_other_models_can_be_chosen(browser, pair):
    """Untrained models from folders: nothing sensible comes out, but both ways work and the page names them."""
    descriptor, localizer = map(str, pair)
    with started_app("--descriptor", descriptor, "--localizer", localizer) as url, opened(browser, url) as page:
        heading = page.inner_text("#heading")
        assert f"Descriptor: {pair[0].name}. Localizer: {pair[1].name}. Segmenter: bundled." in heading
        assert str(pair[0].parent) not in heading, "where the server keeps its models is nobody's business"
        assert "dogs, cats" not in page.inner_text("#heading")
        click_pixel(page, (118, 213), CAT)
        assert finished_words(page)
        type_words(page, "the left ear of the cat")
        page.wait_for_function("/Found|Not in this image/.test(document.querySelector('#facts').innerText)")


# --- point to words -----------------------------------------------------------------------------------------


def test_the_point_is_marked_first_and_the_words_stream_in(page):
    click_pixel(page, (118, 213), CAT)  # 0.26, 0.71
    assert place(facts(page, "Clicked"), "Clicked") == pytest.approx((118, 213), abs=1.5)
    page.wait_for_function("['column', 'column f'].includes(document.querySelector('#words textarea').value)")
    assert finished_words(page) == "column f row o"


def test_a_finished_description_is_announced_once(page):
    click_pixel(page, (118, 213), CAT)
    page.wait_for_selector("#facts [aria-live=polite] .unseen:has-text('column f row o')", state="attached")
    click_pixel(page, (30, 30), CAT)
    page.wait_for_function("!document.querySelector('#facts').innerText.includes('column f row o')")


def test_a_second_click_takes_the_place_of_the_first(page):
    click_pixel(page, (30, 30), CAT)
    page.wait_for_function("document.querySelector('#words textarea').value != ''")
    click_pixel(page, (440, 290), CAT)
    assert finished_words(page) == "column t row t"
    assert facts(page, "Clicked").count("Clicked") == 1


def test_the_same_point_can_be_asked_again(page):
    for _ in range(2):
        click_pixel(page, (118, 213), CAT)
        page.wait_for_function("document.querySelector('#words textarea').value == 'column f row o'")
        page.fill("#words textarea", "")


def test_a_point_can_be_given_by_numbers_from_the_keyboard(page):
    page.get_by_text("Give the point by numbers").click()
    page.fill("#x input", "118")
    page.fill("#y input", "213")
    page.press("#y input", "Enter")
    assert finished_words(page) == "column f row o"
    page.fill("#x input", "452")
    page.click("#describe")
    assert "outside the image" in message(page)
    assert words(page) == "column f row o", "a refused point changes nothing"


# --- words to point -----------------------------------------------------------------------------------------


def test_words_lead_to_a_point_and_edited_words_to_another(page):
    type_words(page, "column b row d")
    assert place(facts(page, "Found"), "Found") == pytest.approx((0.075 * 451, 0.175 * 300), abs=1)
    assert "confidence 71%" in facts(page, "Found")
    page.press("#words textarea", "Backspace")
    page.type("#words textarea", "r")
    page.click("#find")
    assert place(facts(page, "y 262"), "Found") == pytest.approx((0.075 * 451, 0.875 * 300), abs=1)


def test_what_is_not_in_the_image_is_said_to_be_not_there(page):
    type_words(page, "the horn of the unicorn")
    assert "presence 8%" in facts(page, "Not in this image")
    assert "Found" not in page.inner_text("#facts")


def test_the_heat_map_follows_the_opacity(page):
    type_words(page, "column k row k")
    facts(page, "Found")
    before = page.get_attribute("#photo img", "src")
    page.locator("#opacity input[type=range]").press("Home")
    page.wait_for_function("before => document.querySelector('#photo img').src != before", arg=before)


def test_round_trip_shows_both_points_and_the_error(page):
    click_pixel(page, (118, 213), CAT)
    finished_words(page)
    page.click("#round-trip")
    shown = facts(page, "% of the image")
    assert place(shown, "Clicked") == pytest.approx((118, 213), abs=1.5)
    assert place(shown, "Found") == pytest.approx((0.275 * 451, 0.725 * 300), abs=1)
    page.click("#clear")
    assert "Found" not in facts(page, "Click a point")
    assert words(page) == ""


def test_the_window_is_outlined_and_can_be_left_out(page):
    click_pixel(page, (225, 115), CAT)
    finished_words(page)
    with_window = page.get_attribute("#photo img", "src")
    page.locator("#window input").uncheck()
    page.wait_for_function("before => document.querySelector('#photo img').src != before", arg=with_window)


# --- segments -----------------------------------------------------------------------------------------------


def test_segments_are_coloured_clicked_and_their_points_described(page, tmp_path):
    """Opened on the example, in which the stand-in finds nothing; then on a drawing, by mouse and by keyboard."""
    page.get_by_role("tab", name="Segments").click()
    page.get_by_text("No segments found").wait_for()
    assert page.locator("#segment-view svg image").count() == 1
    for examples in ("#examples", "#segment-examples"):
        alts = page.locator(f"{examples} img").evaluate_all("pictures => pictures.map(picture => picture.alt)")
        assert alts == ["A cat", "A person"]
    path = tmp_path / "drawn.png"
    segmented_photo().save(path)
    page.set_input_files("[data-testid='Choose a photo-upload-button']", path)
    page.get_by_text("4 segments (2 things, 2 areas)").wait_for()
    segments = page.locator("#segment-view path.segment")
    fills = segments.evaluate_all("paths => paths.map(path => getComputedStyle(path).fill)")
    assert len(set(fills)) == 4
    rows = page.locator("#segment-list button").all_inner_texts()
    assert ["thing, score 93%" in row and "column f row l" in row for row in rows] == [True, False, False, False]
    described = page.get_by_role("button", name="Describe this point")
    assert described.is_disabled()

    dog = page.get_by_role("button", name="1 dog: a <dog> at column f row l")
    dog.hover()
    page.locator("#segment-view figcaption", has_text="1 dog: a <dog> at column f row l").wait_for()
    dog.click()
    page.locator("#segment-facts .words", has_text="a <dog> at column f row l").wait_for()
    assert "chosen" in dog.get_attribute("class")
    assert page.locator("#segment-list button[aria-pressed=true]").inner_text().startswith("1")
    clicked = place(page.inner_text("#segment-facts"), "Clicked")
    box = page.locator("#segment-view svg").bounding_box()
    page.mouse.click(box["x"] + 0.53 * box["width"], box["y"] + 0.4 * box["height"])
    page.get_by_text("No segment here").wait_for()
    assert described.is_disabled()

    page.locator("#segment-list button").nth(1).press("Enter")
    page.locator("#segment-facts .words", has_text="a <cat>").wait_for()
    dog.press("Enter")
    page.locator("#segment-facts .words", has_text="a <dog>").wait_for()
    dog.click()
    page.wait_for_function(
        "want => document.querySelector('#segment-facts').innerText.includes(want)", arg=f"x {clicked[0]:.0f}"
    )
    described.click()
    assert finished_words(page) == "column f row l", "in the other tab, which has the photo too"
    assert place(facts(page, "Clicked"), "Clicked") == pytest.approx(clicked, abs=1.5)
    page.click("#round-trip")
    facts(page, "% of the image")
    page.get_by_role("tab", name="Segments").click()
    assert segments.count() == 4, "still there"
    segments.evaluate_all(
        """async paths => { for (const i of [1, 0]) {
            paths[i].dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));
            await new Promise(done => setTimeout(done, 3));
        } }"""
    )
    page.wait_for_timeout(1000)
    assert page.locator("#segment-list button[aria-pressed=true]").inner_text().startswith("1")
    assert "1 dog" in page.inner_text("#segment-facts"), "of two quick clicks the second stands"


# --- kept points --------------------------------------------------------------------------------------------


def rows(page: "Page", count: int) -> list[list[str]]:
    """Number, place, words and label of each kept point, once there are so many."""
    page.wait_for_function("count => document.querySelectorAll('#kept-table tbody tr').length == count", arg=count)
    return page.locator("#kept-table tbody tr").evaluate_all(
        """rows => rows.map(row => [
            row.querySelector('th').innerText.trim(), row.querySelector('td').innerText.trim(),
            ...[...row.querySelectorAll('input')].map(field => field.value)])"""
    )


def keep(page: "Page", point_px: tuple[float, float], words_too: str | None = None) -> None:
    """Click a point, wait for its words (or write others), and keep it."""
    click_pixel(page, point_px, CAT)
    finished_words(page)
    if words_too is not None:
        page.fill("#words textarea", words_too)
    page.click("#keep")


def test_points_are_kept_under_numbers_and_removed(page):
    keep(page, (118, 213))
    (row,) = rows(page, 1)
    assert (row[0], *row[2:]) == ("1", "column f row o", "")
    assert tuple(map(float, row[1].split(", "))) == pytest.approx((118, 213), abs=1.5)
    assert words(page) == "", "ready for the next point"
    assert "Click a point" in page.inner_text("#facts")
    keep(page, (30, 30), "the upper left corner")
    assert [row[2] for row in rows(page, 2)] == ["column f row o", "the upper left corner"]
    before = page.get_attribute("#photo img", "src")
    page.get_by_role("button", name="Remove point 1").click()
    assert rows(page, 1)[0][2] == "the upper left corner"
    page.wait_for_function("before => document.querySelector('#photo img').src != before", arg=before)
    page.click("#remove-all")
    page.wait_for_selector("#kept-table .none")


def test_a_found_point_can_be_kept(page):
    type_words(page, "column b row d")
    facts(page, "Found")
    page.click("#keep")
    assert rows(page, 1)[0][2] == "column b row d"


def test_the_point_that_the_words_were_used_for_is_kept(page):
    click_pixel(page, (118, 213), CAT)
    finished_words(page)
    type_words(page, "column b row d")
    facts(page, "Found")
    page.click("#keep")
    row = rows(page, 1)[0]
    assert row[2] == "column b row d"
    assert tuple(map(float, row[1].split(", "))) == pytest.approx((0.075 * 451, 0.175 * 300), abs=1)
    click_pixel(page, (118, 213), CAT)
    finished_words(page)
    page.click("#round-trip")
    facts(page, "% of the image")
    page.click("#keep")
    assert tuple(map(float, rows(page, 2)[1][1].split(", "))) == pytest.approx((118, 213), abs=1.5)


def test_a_double_click_removes_one_point(page):
    for number, point in enumerate(((118, 213), (35, 40), (200, 100)), start=1):
        keep(page, point)
        rows(page, number)
    page.get_by_role("button", name="Remove point 1").dblclick()
    rows(page, 2)
    page.wait_for_timeout(700)
    assert [row[2] for row in rows(page, 2)] == ["column b row c", "column i row g"]


def test_kept_points_stay_with_clear_and_go_with_another_photo(page):
    keep(page, (118, 213))
    rows(page, 1)
    page.click("#clear")
    facts(page, "Click a point")
    assert len(rows(page, 1)) == 1
    page.locator("#examples button, #examples .gallery-item").nth(1).click()
    page.wait_for_selector("#kept-table .none")


def test_words_and_labels_are_edited_in_the_table_exported_and_imported_again(page, tmp_path):
    keep(page, (118, 213))
    rows(page, 1)
    keep(page, (30, 30))
    rows(page, 2)
    page.get_by_label("Words of point 2").fill('"sky", <point> שמאל 🐈')
    page.get_by_label("Label of point 2").fill("sky")
    page.keyboard.press("Tab")
    saved = {}
    for button, name in (("#export-csv", "metadata.csv"), ("#export-json", "metadata.jsonl")):
        with page.expect_download() as download:
            page.click(button)
        assert download.value.suggested_filename == name
        saved[name] = tmp_path / name
        download.value.save_as(saved[name])
    with saved["metadata.csv"].open(encoding="utf-8", newline="") as file:
        exported = list(csv.DictReader(file))
    assert [row["file_name"] for row in exported] == ["chelsea.png"] * 2
    assert float(exported[0]["x"]) == pytest.approx(118, abs=1.5)
    assert (exported[1]["text"], exported[1]["label"]) == ('"sky", <point> שמאל 🐈', "sky")
    kept = rows(page, 2)
    for path in saved.values():
        page.click("#remove-all")
        page.wait_for_selector("#kept-table .none")
        page.set_input_files("[data-testid='Import-upload-button']", path)
        assert rows(page, 2) == kept


def test_a_wrong_file_of_points_is_refused_by_row(page, tmp_path):
    keep(page, (118, 213))
    kept = rows(page, 1)
    path = tmp_path / "points.csv"
    path.write_text("file_name,x,y\nchelsea.png,1,2\nchelsea.png,abc,2\n")
    page.set_input_files("[data-testid='Import-upload-button']", path)
    assert "Row 3: x: must be a valid number, got 'abc'" in message(page)
    assert rows(page, 1) == kept


def test_keeping_or_exporting_nothing_gets_a_message(page):
    page.click("#keep")
    assert "before you keep it" in message(page)
    page.click("#export-csv")
    page.get_by_text("Keep a point first").wait_for()


def test_a_point_is_described_kept_edited_and_removed_from_the_keyboard(page):
    page.get_by_role("button", name="Give the point by numbers").press("Enter")
    page.locator("#x input").press_sequentially("118")
    page.locator("#y input").press_sequentially("213")
    page.keyboard.press("Enter")
    assert finished_words(page) == "column f row o"
    page.locator("#keep").press("Enter")
    rows(page, 1)
    field = page.get_by_label("Words of point 1")
    field.focus()
    page.keyboard.press("Tab")
    page.keyboard.type("ear")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove point 1"
    assert rows(page, 1)[0][3] == "ear"
    page.keyboard.press("Enter")
    page.wait_for_selector("#kept-table .none")


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_an_empty_text_gets_a_message_and_the_app_lives_on(page):
    type_words(page, "  ")
    assert "Write where the point is" in message(page)
    type_words(page, "column b row d")
    facts(page, "Found")


def test_a_round_trip_without_a_click_gets_a_message(page):
    page.click("#round-trip")
    assert "Click a point of the photo first" in message(page)


def test_a_failing_model_gets_a_short_message_and_the_app_lives_on(page):
    type_words(page, "boom")
    shown = message(page)
    assert "model failed" in shown
    assert "secret" not in shown
    type_words(page, "column b row d")
    facts(page, "Found")


def test_an_unreadable_upload_gets_a_message_and_the_app_lives_on(page, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8 no photo at all")
    page.get_by_label("Remove Image").click()
    facts(page, "Choose a photo")
    upload(page, broken)
    assert "cannot be used" in message(page)
    page.wait_for_selector("#photo img", state="detached")
    page.locator("#examples button, #examples .gallery-item").nth(1).click()
    facts(page, "Click a point")
    type_words(page, "column b row d")
    facts(page, "Found")


def test_an_expired_session_is_said_and_the_screen_starts_again(browser, tmp_path):
    from space import ui
    from tests.helpers.fake_pair import FakePair

    blocks = ui.build(FakePair())
    with served(blocks, **ui.launch_options()) as url, opened(browser, url) as page:
        keep(page, (118, 213))
        rows(page, 1)
        blocks.state_holder.session_data.clear()
        click_pixel(page, (30, 30), CAT)
        assert "session has expired" in message(page)
        page.wait_for_selector("#kept-table .none")
        facts(page, "Click a point")
        keep(page, (118, 213))
        assert rows(page, 1)[0][2] == "column f row o"


# --- other photos -------------------------------------------------------------------------------------------


def test_a_rotated_portrait_upload_is_clicked_as_it_is_seen(page, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (1600, 1000), "grey").save(path, exif=exif)  # seen as 1000 wide, 1600 high
    page.get_by_label("Remove Image").click()
    facts(page, "Choose a photo")
    upload(page, path)
    facts(page, "Click a point")
    click_pixel(page, (875, 130), (1600, 1000))
    assert place(facts(page, "Clicked"), "Clicked") == pytest.approx((875, 130), abs=5)
    assert finished_words(page) == "column r row b"


def test_a_small_photo_is_clicked_to_the_pixel(page, tmp_path):
    path = tmp_path / "small.png"
    Image.new("RGBA", (64, 48), (200, 30, 30, 255)).save(path)
    page.get_by_label("Remove Image").click()
    facts(page, "Choose a photo")
    upload(page, path)
    facts(page, "Click a point")
    click_pixel(page, (50, 11), (48, 64))
    assert place(facts(page, "Clicked"), "Clicked") == pytest.approx((50, 11), abs=0.6)


def test_an_example_replaces_the_photo_and_its_marks(page):
    type_words(page, "column b row d")
    facts(page, "Found")
    page.locator("#examples button, #examples .gallery-item").nth(1).click()
    facts(page, "Click a point")
    click_pixel(page, (256, 400), (512, 512))
    assert place(facts(page, "Clicked"), "Clicked") == pytest.approx((256, 400), abs=1.5)


# --- other screens ------------------------------------------------------------------------------------------


PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}

CONTRASTS = """() => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const over = (front, back) => {
    const alpha = front[3] ?? 1;
    return [0, 1, 2].map(i => front[i] * alpha + back[i] * (1 - alpha));
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(numbers(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const low = [];
  for (const element of document.querySelectorAll('h1, h2, p, b, span, label, button, input, textarea, th, td')) {
    const text = element.value ?? [...element.childNodes].filter(n => n.nodeType == 3).map(n => n.data).join('');
    if (!text.trim() || !element.offsetParent || element.type == 'range' || element.type == 'checkbox') continue;
    const back = behind(element);
    const [a, b] = [light(over(numbers(getComputedStyle(element).color), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.tagName}#${element.id}: ${text.trim().slice(0, 30)}`);
  }
  return low;
}"""
"""Texts on the page whose contrast is below what WCAG asks for (AA, 4.5)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser, stand_in, scheme):
    with opened(browser, stand_in, color_scheme=scheme, viewport={"width": 1280, "height": 860}) as page:
        keep(page, (30, 30))
        rows(page, 1)
        click_pixel(page, (118, 213), CAT)
        finished_words(page)
        page.click("#round-trip")
        facts(page, "% of the image")
        page.wait_for_timeout(500)  # colours fade
        assert page.evaluate(CONTRASTS) == []


def test_every_picture_and_field_says_what_it_is(page):
    keep(page, (30, 30))
    rows(page, 1)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('img')].filter(i => i.offsetParent && !i.alt).map(i => i.outerHTML)"""
    )
    assert unnamed == []
    fields = page.locator("input:visible:not([type=file]), textarea:visible, button:visible")
    for field in fields.all():
        assert field.evaluate(
            """f => (f.ariaLabel || f.title || f.placeholder || f.innerText || f.querySelector('img')?.alt || '').trim()
                || [...(f.labels || [])].map(l => l.innerText).join('')"""
        ), field.evaluate("f => f.outerHTML")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(browser, stand_in, scheme):
    with opened(browser, stand_in, color_scheme=scheme, **PHONE) as page:
        page.touchscreen.tap(*place_of_pixel(page, (118, 213), CAT))
        assert place(facts(page, "Clicked"), "Clicked") == pytest.approx((118, 213), abs=2)
        assert finished_words(page) == "column f row o"
        page.tap("#find")
        facts(page, "Found")
        page.tap("#keep")
        rows(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        small = page.locator("#buttons button, #kept button").evaluate_all(
            "all => all.filter(b => b.offsetHeight < 36 || b.offsetWidth < 36).map(b => b.outerHTML)"
        )
        assert small == [], "too small for a finger"
        page.get_by_role("button", name="Remove point 1").tap()
        page.wait_for_selector("#kept-table .none")
        assert page.evaluate(
            "document.documentElement.classList.contains('dark') || document.body.classList.contains('dark')"
        ) == (scheme == "dark")
