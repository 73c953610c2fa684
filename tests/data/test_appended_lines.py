"""Files of JSON lines that only grow: cut off, on a full disk, with another header, and read while they are written."""

import os
from pathlib import Path

import pytest

from talkingpoints.data.appended_lines import AppendedLines, whole_lines

ROWS = [{"text": "a\u2028b\u0085"}, {"text": "\n"}, {"n": 3}]


def rows_of(lines: AppendedLines) -> list[dict]:
    return [row for _, _, row in lines]


@pytest.mark.parametrize("header", [None, {"split": "test", "a": 1}])
def test_whatever_byte_a_file_is_cut_at_the_whole_rows_are_left(tmp_path: Path, header) -> None:
    file = tmp_path / "below" / "a.jsonl"
    lines = AppendedLines(file, header)
    places = [lines.append(row) for row in ROWS]
    assert [lines.read(*place) for place in places] == rows_of(lines) == ROWS
    lines.close()
    content = file.read_bytes()
    for length in range(len(content) + 1):
        file.write_bytes(content[:length])
        again = AppendedLines(file, header)
        left = sum(start + size <= length for start, size in places)
        assert rows_of(again) == ROWS[:left]
        again.append({"last": True})
        assert rows_of(again) == [*ROWS[:left], {"last": True}]
        again.close()


def test_a_full_disk_leaves_no_half_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = AppendedLines(tmp_path / "a.jsonl")
    lines.append(ROWS[0])
    real, calls = os.write, []

    def full(file: int, content: bytes) -> int:
        calls.append(content)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(file, content[:4])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            lines.append(ROWS[1])
    lines.append(ROWS[2])
    assert rows_of(lines) == [ROWS[0], ROWS[2]]


def test_what_another_process_is_writing_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n{"b"')
    assert list(whole_lines(file)) == [(0, b'{"a": 1}\n')]
    with file.open("ab") as more:
        more.write(b": 2}\n")
    assert list(whole_lines(file, 9)) == [(9, b'{"b": 2}\n')]


def test_other_options_and_broken_lines_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    AppendedLines(file, {"split": "val"}).close()
    with pytest.raises(ValueError, match=r'made with other options:\n\{"split": "val"\}\nnot\n\{"split": "test"\}'):
        AppendedLines(file, {"split": "test"})
    file.write_text('{"split": "val"}\n{"a": 1}\nno\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: no valid JSON"):
        rows_of(AppendedLines(file, {"split": "val"}))
