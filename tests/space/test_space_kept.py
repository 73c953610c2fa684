"""Kept points: kept, edited, removed, written to files and read back; what is wrong with a file, by row."""

import csv
import io
import json

import pytest
from PIL import Image

from space import kept, photos, table
from space.hosting.limits import MAX_KEPT, MAX_POINTS_FILE
from space.kept import KeptPoint

CAT = photos.Photo(Image.new("RGB", (400, 300)), (600, 800), "cat.jpg")  # uploaded 800 wide, 600 high
TWO = (
    KeptPoint((0.25, 0.5), 'The cat\'s "left" ear, <point>\n אוזן 🐈', "left ear"),
    KeptPoint((1.0, 0.0), "", ""),
)


def written(tmp_path, content: str | bytes, name: str = "metadata.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- the list -----------------------------------------------------------------------------------------------


def test_points_are_added_edited_and_removed_by_key():
    points = kept.add((), (0.1, 0.2), "  first ")
    points = kept.add(points, (0.3, 0.4), None)
    points = kept.edit(points, points[1].key, "label", "tail")
    assert points == (KeptPoint((0.1, 0.2), "first"), KeptPoint((0.3, 0.4), "", "tail"))
    assert kept.edit(points, points[0].key, "text", "")[0].text == ""
    assert kept.remove(points, points[0].key) == points[1:]


def test_a_point_that_is_gone_is_neither_removed_again_nor_edited():
    """A double click asks twice; by its place in the list the second would remove the next point."""
    first, second = TWO
    assert kept.remove(kept.remove(TWO, first.key), first.key) == (second,)
    assert kept.edit((second,), first.key, "text", "a") == (second,)
    assert kept.edit(TWO, second.key, "label", "tail")[1].key == second.key


def test_only_words_and_label_can_be_edited():
    with pytest.raises(ValueError, match="'point'"):
        kept.edit(TWO, TWO[0].key, "point", "a")


def test_no_more_points_than_may_be():
    with pytest.raises(ValueError, match=f"at most {MAX_KEPT} points"):
        kept.add(TWO * (MAX_KEPT // 2), (0.5, 0.5), "one more")


# --- files --------------------------------------------------------------------------------------------------


def test_csv_has_the_columns_that_fine_tuning_reads():
    rows = list(csv.DictReader(io.StringIO(kept.to_csv(TWO, CAT))))
    assert list(rows[0]) == ["file_name", "x", "y", "text", "label"]
    assert rows[0] == {"file_name": "cat.jpg", "x": "200.0", "y": "300.0", "text": TWO[0].text, "label": "left ear"}
    assert (rows[1]["x"], rows[1]["y"], rows[1]["text"]) == ("800.0", "0.0", "")


def test_jsonl_is_one_object_a_line():
    lines = kept.to_jsonl(TWO, CAT).splitlines()
    assert [json.loads(line)["x"] for line in lines] == [200.0, 800.0]
    assert "אוזן 🐈" in lines[0]


@pytest.mark.parametrize("write, name", [(kept.to_csv, "metadata.csv"), (kept.to_jsonl, "metadata.jsonl")])
def test_what_is_written_is_read_back(tmp_path, write, name):
    path = written(tmp_path, write(TWO, CAT), name)
    points, others = kept.read_file(path, (), CAT)
    assert points == TWO
    assert others == 0
    assert kept.read_file(path, TWO, CAT) == (TWO, 0), "a second time, nothing new"


def test_a_json_list_and_a_csv_of_a_spreadsheet_are_read_too(tmp_path):
    rows = kept.to_rows(TWO, CAT)
    assert kept.read_file(written(tmp_path, json.dumps(rows), "points.json"), (), CAT)[0] == TWO
    spreadsheet = b"\xef\xbb\xbf" + b"y,x,file_name\r\n300,200,cat.jpg\r\n"
    assert kept.read_file(written(tmp_path, spreadsheet), (), CAT)[0] == (KeptPoint((0.25, 0.5)),)


def test_rows_of_other_photos_are_counted_and_left_out(tmp_path):
    content = "file_name,x,y\ntrain/cat.jpg,1,1\ndog.jpg,5000,1\n"
    points, others = kept.read_file(written(tmp_path, content), (), CAT)
    assert (len(points), others) == (1, 1)


HEADER = "file_name,x,y,text,label\n"
GOOD = "cat.jpg,1,2,,\n"

BAD_FILES = [
    ("points.txt", GOOD, "must end in .csv, .jsonl, .json"),
    ("a.csv", "", "missing: file_name, x, y"),
    ("a.csv", "file_name,x\ncat.jpg,1\n", "missing: y; the columns are file_name, x, y, text, label"),
    ("a.csv", HEADER, "no point for the open photo, 'cat.jpg': it has no rows"),
    ("a.csv", HEADER + "dog.jpg,1,2,,\n", "no point for the open photo, 'cat.jpg': it is for 'dog.jpg'"),
    ("a.csv", HEADER + GOOD + "cat.jpg,abc,2,,\n", "nothing was imported. Row 3: x: must be a valid number, got 'abc'"),
    ("a.csv", HEADER + "cat.jpg,1\n", "Row 2: y: must be a valid number, got None"),
    ("a.csv", HEADER + "cat.jpg,801,2,,\n", r"Row 2: point \(801, 2\) is outside the image: x must be in \[0, 800\]"),
    ("a.csv", HEADER + "cat.jpg,nan,2,,\n", "Row 2: x: must be a finite number, got 'nan'"),
    ("a.csv", HEADER + "cat.jpg,1,2,a,b,c\n", "Row 2: more values than columns, from 'c' on; quote"),
    ("a.csv", HEADER + f"cat.jpg,1,2,{'a' * 1001},\n", "Row 2: text has 1,001 characters; at most 1,000"),
    ("a.csv", HEADER + f"cat.jpg,1,2,,{'a' * 101}\n", "Row 2: label has 101 characters; at most 100"),
    ("a.csv", HEADER + 'cat.jpg,1,2,"unclosed\n', "no valid CSV"),
    ("a.csv", HEADER + "cat.jpg,x,2,,\n" * 5, "Row 2: .*; row 3: .*; row 4: .*; and 2 more rows"),
    ("a.csv", HEADER + "".join(f"cat.jpg,{i},2,,\n" for i in range(101)), "at most 100 points"),
    ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
    ("a.csv", HEADER + " " * MAX_POINTS_FILE, "at most 1,000,000 are read"),
    ("a.json", "{", "no valid JSON: "),
    ("a.json", "[" * 100_000, "no valid JSON: "),
    ("a.json", "{}", "must be a list of objects"),
    ("a.json", "[1]", "Row 1: no JSON object"),
    ("a.json", '[{"file_name": "cat.jpg", "x": 1}]', "Row 1: missing: y"),
    ("a.jsonl", '{"file_name": "cat.jpg", "x": 1, "y": 2}\n{"x"', "Row 2: no valid JSON"),
    ("a.jsonl", '{"file_name": "cat.jpg", "x": true, "y": 2}', "Row 1: x: must be a number, got True"),
    ("a.jsonl", '{"file_name": "cat.jpg", "x": 1e999, "y": 2}', "Row 1: x: must be a finite number, got inf"),
    ("a.jsonl", '{"file_name": "cat.jpg", "x": 1, "y": 2, "text": 7}', "Row 1: text: must be a valid string, got 7"),
    ("a.jsonl", '{"file_name": 7, "x": 1, "y": 2}', "Row 1: file_name: must be a valid string, got 7"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES, ids=[case[2][:40] for case in BAD_FILES])
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        kept.read_file(written(tmp_path, content, name), (), CAT)


# --- the table ----------------------------------------------------------------------------------------------


def test_the_table_escapes_what_a_visitor_wrote():
    shown = table.kept_table((KeptPoint((0.5, 0.5), '"><script>alert(1)</script>${7*7}'),), CAT)
    assert "<script>" not in shown
    assert "&quot;&gt;&lt;script&gt;" in shown


def test_every_field_of_the_table_has_a_name_for_screen_readers():
    shown = table.kept_table(TWO, CAT)
    assert shown.count("<input") == shown.count('aria-label="Words of point') + shown.count('aria-label="Label of')
    assert 'aria-label="Remove point 2"' in shown
    assert "200, 300" in shown


def test_without_points_the_table_says_what_keeping_is_for():
    assert "No points kept yet" in table.kept_table((), CAT)
    assert "No points kept yet" in table.kept_table(TWO, None)
