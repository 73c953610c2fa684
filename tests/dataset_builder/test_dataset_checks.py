import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from talkingpoints.dataset_builder.checks.dataset_checks import BLIND, DUPLICATE, NOT_FOUND, CheckedText, Checker
from talkingpoints.dataset_builder.checks.round_trips import NEAR, blanked, listen, region_of
from talkingpoints.dataset_builder.points.preparation import PreparationOptions, prepare_photo
from talkingpoints.results import Localization
from tests.helpers.browser import CHROMIUM, chromium
from tests.helpers.drawn_cars import drawn_cars
from training.dataset.check_arguments import CheckArguments, checked_texts, write_checks
from training.dataset.review_sheet import write_sheet


class Listener:
    """Finds a text where ``places`` says, in pixels; in a photo of one colour where ``blind`` says."""

    def __init__(self, places, blind=None):
        self.places, self.blind, self.read = places, blind or {}, []

    def localize(self, image, texts):
        self.read.append(list(texts))
        flat = np.ptp(np.asarray(image).reshape(-1, 3), axis=0).max() == 0
        found = []
        for text in texts:
            x, y = (self.blind if flat else self.places).get(text, (0.0, 0.0))
            found.append(Localization(x, y, (x / image.width, y / image.height), 0.5, 0.9, None))
        return found


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return drawn_cars(tmp_path_factory.mktemp("cars"), n=3)


@pytest.fixture(scope="module")
def photos(parts):
    return [prepare_photo(part, PreparationOptions()) for part in parts]


def written(photo):
    """Two good texts for each task of a photo, each another one."""
    return [
        (
            task,
            style,
            f"{style} words of {''.join(chr(97 + int(c)) for c in str(i))} {task.part} {photo.key[-1]} here now",
        )
        for i, task in enumerate(photo.tasks)
        for style in ("plain", "varied")
    ]


@pytest.fixture
def texts(photos):
    letters = str.maketrans("0123456789", "abcdefghij")
    return [[(task, style, text.translate(letters)) for task, style, text in written(photo)] for photo in photos]


def test_texts_with_problems_are_dropped_and_counted(photos, texts):
    checker = Checker(drop=frozenset({"numbers", "refusal"}))
    rows = list(texts[0])
    rows[0] = (*rows[0][:2], "The hood of the car, 3 pixels from its edge.")
    rows[1] = (*rows[1][:2], "I'm sorry, but I can't help with 4 cars.")
    rows[2] = (*rows[2][:2], "hood")
    kept = checker.check(photos[0], rows)
    assert [(one.task, one.style, one.text) for one in kept] == rows[2:]
    assert kept[0].problems == {"length": "1 words"}
    report = checker.report()
    assert report["texts"] == len(rows) and report["kept"] == len(rows) - 2
    assert report["dropped"] == {"refusal": 1, "numbers": 1} and "listener" not in report
    assert report["problems"]["numbers"] == 2 and report["problems"]["length"] == 1
    assert report["examples"]["refusal"][0]["key"] == rows[1][0].key
    json.dumps(report)


def test_duplicates_of_another_point_are_found(photos, texts):
    first, second = texts[0][0], next(row for row in texts[0] if row[0].key != texts[0][0][0].key)
    rows = [first, (second[0], "plain", first[2]), (first[0], "varied", first[2])]
    kept = Checker(drop=frozenset({DUPLICATE})).check(photos[0], rows)
    assert [one.task.key for one in kept] == [first[0].key, first[0].key]
    only_counted = Checker()
    assert len(only_counted.check(photos[0], rows)) == 3
    report = only_counted.report()
    assert report["problems"][DUPLICATE] == 1 and report["almost_the_same_as_an_earlier_text"] == 2


def test_dropped_texts_knock_no_good_one_out(photos, parts, texts):
    first, _, text = texts[0][0]
    second = next(row[0] for row in texts[0] if row[0].part != first.part)
    rows = [(first, "plain", f"{text}, 3"), (second, "plain", text)]
    kept = Checker(drop=frozenset({"numbers", DUPLICATE}), similarity=0.5).check(photos[0], rows)
    assert [one.task.key for one in kept] == [second.key] and not kept[0].problems
    rows = [(first, "plain", text), (second, "varied", text)]
    listener = Listener({text: second.point_px})
    checker = Checker(drop=frozenset({NOT_FOUND, DUPLICATE}), listener=listener)
    kept = checker.check(photos[0], rows, parts[0])
    assert [one.task.key for one in kept] == [second.key]


def test_the_listener_keeps_what_it_finds_in_the_part(photos, parts, texts):
    places, blind = {}, {}
    for i, (task, _, text) in enumerate(texts[0]):
        places[text] = task.point_px if i % 3 else (0.0, 0.0)
        blind[text] = task.point_px if i % 4 == 1 else (0.0, 0.0)
    n = len(texts[0])
    found = [i for i in range(n) if i % 3]
    listener = Listener(places, blind)
    checker = Checker(drop=frozenset({NOT_FOUND}), listener=listener)
    kept = checker.check(photos[0], texts[0], parts[0])
    assert [one.text for one in kept] == [texts[0][i][2] for i in found]
    assert [BLIND in one.problems for one in kept] == [i % 4 == 1 for i in found]
    figures = checker.report()["listener"]
    assert figures["texts"] == n and figures["photos"] == 1
    assert figures["found"]["percent"] == pytest.approx(100 * len(found) / n)
    assert figures["found_blind"]["percent"] == pytest.approx(100 * sum(i % 4 == 1 for i in range(n)) / n)
    only = sum(i % 4 != 1 for i in found)
    assert figures["found_only_by_looking"]["percent"] == pytest.approx(100 * only / n)
    # With a blind listener of its own, which is shown the photo, and dropping what it finds.
    checker = Checker(drop=frozenset({BLIND}), listener=listener, blind=Listener(dict(blind)))
    assert len(checker.check(photos[0], texts[0], parts[0])) == sum(i % 4 != 1 for i in range(n))


def test_the_listener_reads_only_what_passed(photos, parts, texts):
    listener = Listener({})
    rows = [(*texts[0][0][:2], "The hood, 3 pixels from its edge."), *texts[0][1:]]
    Checker(listener=listener).check(photos[0], rows, parts[0])
    assert [len(read) for read in listener.read] == [len(rows) - 1] * 2
    with pytest.raises(ValueError, match="parts"):
        Checker(listener=listener).check(photos[0], rows)


def test_regions(photos, parts):
    task, photo = photos[0].tasks[0], parts[0]
    region = region_of(photo, task)
    x, y = task.point_px
    assert region is photo.objects[0].parts[task.part] and region[int(y), int(x)]
    with pytest.raises(ValueError, match="not the photo"):
        region_of(replace(photo, objects=()), task)
    item = photo.objects[0]
    bare = replace(photo, objects=(replace(item, parts={}, points={task.part: task.point_px}),))
    region, width = region_of(bare, task), photo.size[1]
    assert region[int(y), int(x)] and 0 < region.mean() < 4 * NEAR**2
    assert abs(region.any(axis=0).sum() - 2 * NEAR * width) <= 2
    # The last column and row still belong to the photo.
    edge = np.zeros((10, 20), bool)
    edge[9, 19] = True
    (heard,) = listen(Listener({"a": (20.0, 10.0)}), Image.new("RGB", (20, 10), "red").resize((20, 10)), ["a"], [edge])
    assert not heard.inside  # a photo of one colour: the listener is blind
    noisy = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(10, 20, 3).astype(np.uint8))
    assert listen(Listener({"a": (20.0, 10.0)}), noisy, ["a"], [edge])[0].inside
    assert np.asarray(blanked(noisy)).reshape(-1, 3).std(axis=0).max() == 0 and blanked(noisy).size == (20, 10)


def test_the_sample_does_not_depend_on_the_order(photos, texts):
    def sample(order, seed=0, size=7):
        checker = Checker(sample_size=size, seed=seed)
        for i in order:
            checker.check(photos[i], texts[i])
        return [(one.task.key, one.text) for one in checker.sample()]

    first = sample([0, 1, 2])
    assert len(first) == len(set(first)) == 7 and sample([2, 0, 1]) == first and sample([0, 1, 2], seed=1) != first
    assert sample([0, 1, 2], size=3) == first[:3] and len(sample([0, 1, 2], size=10_000)) == sum(map(len, texts))
    assert sample([0], size=0) == []


@pytest.mark.parametrize(("wrong", "match"), [({"spelling"}, "spelling"), ({NOT_FOUND}, "listener")])
def test_wrong_checks(wrong, match):
    with pytest.raises(ValueError, match=match):
        Checker(drop=frozenset(wrong))
    with pytest.raises(ValueError, match="blind_listener"):
        CheckArguments(blind_listener="somewhere").checker(0)


def test_a_real_listener_photo_by_photo(photos, parts, texts, pair, tmp_path):
    """The tiny random pair, through the flags: points stay with their photos, and the report is written."""

    class Source(list):
        def key(self, index):
            return self[index].key

    localizer = str(pair[1])
    checker = CheckArguments(listener=localizer, sheet_rows=5, drop=["numbers"]).checker(seed=0)
    grouped = []
    for photo, rows in zip(photos, texts, strict=True):
        own = {task.key: (task, []) for task in photo.tasks}
        for task, style, text in rows:
            own[task.key][1].append((style, text))
        grouped.append((photo, list(own.values())))
    grouped[0][1][0] = (grouped[0][1][0][0], [("plain", "The hood, 3 pixels from its edge.")])
    out = list(checked_texts(grouped, checker, [Source(parts[:1]), Source(parts[1:])]))
    assert [photo.key for photo, _ in out] == [photo.key for photo in photos]
    assert out[0][1][0][1] == [] and out[1:] == grouped[1:] and out[0][1][1:] == grouped[0][1][1:]
    summary = write_checks(checker, tmp_path, "cars")
    report = json.loads((tmp_path / "checks.json").read_text())
    assert "examples" in report and "examples" not in summary
    assert summary["listener"]["texts"] == report["texts"] - 1
    assert (tmp_path / "review.html").read_text().count("<article") == 5


# The sheet.


@pytest.fixture
def sheet(photos, texts, tmp_path):
    rows = [CheckedText(task, style, f"{text} <b>bold</b> & more", {}) for task, style, text in texts[0][:4]]
    return write_sheet(tmp_path / "review.html", rows, "Drawn <cars>")


def test_sheet_is_self_contained(sheet):
    page = sheet.read_text()
    assert "http://" not in page and "https://" not in page and "<b>bold</b>" not in page
    assert page.count("data:image/jpeg;base64,") == 8 and "Drawn &lt;cars&gt;" in page


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_person_judges_the_sheet(sheet):
    with chromium() as browser:
        page = browser.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(sheet.as_uri())
        rows = page.locator("article")
        assert rows.count() == 4 and "left 4" in page.inner_text("#tally")
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        rows.nth(0).get_by_role("button", name="yes").click()
        rows.nth(1).get_by_role("button", name="no", exact=True).click()
        rows.nth(2).get_by_role("button", name="unsure").click()
        assert page.inner_text("#tally").startswith(
            "yes 1, no 1, unsure 1, left 1. 50.0% yes (95% interval 9.5 to 90.5)"
        )
        page.locator("body").click(position={"x": 2, "y": 2})
        page.keyboard.press("y")  # judges the first that is left
        assert page.inner_text("#tally").startswith("yes 2, no 1, unsure 1, left 0")
        page.reload()  # the browser keeps it
        assert page.inner_text("#tally").startswith("yes 2, no 1, unsure 1, left 0")
        assert rows.nth(1).get_by_role("button", name="no", exact=True).get_attribute("aria-pressed") == "true"
        rows.nth(1).get_by_role("button", name="no", exact=True).click()  # taken back
        with page.expect_download() as download:
            page.click("#export")
        tally = json.loads(download.value.path().read_text())
        assert tally["tally"] == {"yes": 2, "no": 0, "unsure": 1, "left": 1} and tally["title"] == "Drawn <cars>"
        assert sorted(tally["answers"].values()) == ["unsure", "yes", "yes"]
        assert tally["share"]["percent"] == 100 and len(tally["rows"]) == 4
        assert set(tally["answers"]) <= {row["id"] for row in tally["rows"]}
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("#clear")
        assert "left 4" in page.inner_text("#tally") and not errors
