"""The command line as a shell calls it: answers, exit codes, errors, and a quick ``--help``."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from talkingpoints import TalkingPoints
from talkingpoints.commands import cli, environment, evaluation, single
from talkingpoints.data.formats.conversion import read_annotations
from talkingpoints.data.readers.point_folders import read_points
from tests.formats.test_layouts import laid_out
from tests.helpers.tiny import photo

pytestmark = pytest.mark.usefixtures("short_texts")


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


@pytest.fixture(autouse=True)
def tiny_models(tp: TalkingPoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single, "load_models", lambda *_: tp)


def run(*arguments: str | Path, standard_input: bytes | None = None) -> Result:
    """Call the program in this process; an error of ours is an exception of the result."""
    return CliRunner().invoke(cli.app, [str(one) for one in arguments], input=standard_input)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    photo().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_help_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "talkingpoints.commands", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("describe", "localize", "segments", "batch", "convert", "prelabel"))


def test_describe(file: Path, tp: TalkingPoints, tmp_path: Path) -> None:
    wanted = tp.describe(photo(), (24, 32))
    assert run("describe", file, "24", "32").stdout == f"{wanted.text}\n"
    said = run("describe", file, "0.25", "0.5", "--unit", "--json", "--draw", tmp_path / "drawn.png")
    assert json.loads(said.stdout) == wanted.to_dict()
    drawn = Image.open(tmp_path / "drawn.png")
    assert max(drawn.size) == 1024 and drawn.getpixel((256, drawn.height // 2)) == (255, 255, 255)
    content = io.BytesIO()
    photo().save(content, "PNG")
    assert run("describe", "-", "24", "32", standard_input=content.getvalue()).stdout == f"{wanted.text}\n"


def test_localize_says_by_its_exit_code_whether_the_text_is_there(
    file: Path, tp: TalkingPoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tp.localize(photo(), "a dog")
    for present, code in ((0.9, 0), (0.1, cli.NOT_FOUND)):
        answer = type(found)(found.x, found.y, found.unit, found.confidence, present, found.heatmap)
        monkeypatch.setattr(tp, "localize", lambda *_, answer=answer: answer)
        said = run("localize", file, "a dog", "--json", "--draw", tmp_path / "heat.png")
        assert said.exit_code == code
        assert json.loads(said.stdout)["unit"] == list(found.unit)
        words = run("localize", file, "a dog").stdout
        assert words == (f"{found.x:.1f} {found.y:.1f}\n" if code == 0 else "not in this photo\n")
    assert Image.open(tmp_path / "heat.png").size == (1024, 683)


def test_errors_are_one_line_and_exit_code_1(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TALKINGPOINTS_TRACEBACK", raising=False)
    for arguments, message in (
        (["describe", str(file), "1000", "2"], "point (1000, 2) is outside the image: x must be in [0, 96]"),
        (["describe", "none.png", "1", "2"], "cannot read 'none.png' as an image"),
        (["convert", "none.xml", "out"], "there is no file or folder none.xml"),
        (["batch", str(file.parent), "--output", "out.txt"], "the output must end with .jsonl, .csv, .parquet"),
    ):
        monkeypatch.setattr(sys, "argv", ["talkingpoints", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr().err
        assert ended.value.code == 1 and said.startswith("error: ") and message in said and said.count("\n") == 1
    assert run("describe", file, "left", "2").exit_code == 2


def test_convert_and_preview(tmp_path: Path) -> None:
    folder = laid_out("label_studio", tmp_path)
    said = run("convert", folder, tmp_path / "own", "--json")
    answer = json.loads(said.stdout)
    assert (answer["photos"], answer["points"]) == (1, 2)
    assert answer["not_read"] == {"results of type rectanglelabels": 1}
    assert "The cat's nose, pink." in (tmp_path / "own/metadata.csv").read_text()
    for name in ("sheet.html", "sheet.png"):
        assert run("preview", tmp_path / "own", tmp_path / name).exit_code == 0
    page = (tmp_path / "sheet.html").read_text()
    assert "cat: The cat&#x27;s nose, pink." in page and page.count("<article>") == 1
    assert Image.open(tmp_path / "sheet.png").size[0] == 492
    lost = run("convert", tmp_path / "own", tmp_path / "yolo", "--to", "yolo")
    assert "lost: 1 texts of points" in lost.stdout


def test_evaluate_custom_points(tmp_path: Path) -> None:
    folder = laid_out("datumaro", tmp_path)
    said = run("evaluate", folder, "--json", "--quiet", "--output", tmp_path / "report.json")
    report = json.loads(said.stdout)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["points"] == 2 and report["rows"]["control: the middle"]["mpck_img"] == 50.0  # one of two points
    assert set(report["rows"]) == {"texts", "descriptions", "control: another point's text", "control: the middle"}
    assert "mpck_img" in run("evaluate", folder, "--quiet").stdout
    with pytest.raises(ValueError, match="no split 'test'; there are none"):
        raise run("evaluate", folder, "--split", "test", "--quiet").exception


def test_validation_photos_are_those_that_training_keeps(tmp_path: Path) -> None:
    rows = "".join(f"{i}.png,1,2,a dog,\n" for i in range(21))
    for i in range(21):
        photo(seed=i).save(tmp_path / f"{i}.png")
    (tmp_path / "metadata.csv").write_text(f"file_name,x,y,text,label\n{rows}")
    photos = read_annotations(tmp_path).photos
    for split in ("train", "val"):
        wanted = [one.image for one in read_points(tmp_path, split)]
        assert [one.path for one in evaluation.photos_of_split(photos, split)] == wanted


def test_info_and_what_only_a_checkout_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(run("info", "--json").stdout)
    assert found["packages"]["torch"] and found["devices"][0] == "cpu"
    assert found["models"]["descriptor"]["type"] == "point_descriptor"
    assert found["models"]["descriptor"]["parameters"] > 1_000_000
    assert "bundled localizer: point_localizer" in run("info").stdout
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    with pytest.raises(ImportError, match="git clone"):
        environment.run_app([])
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"training\.push_to_hub needs a checkout"):
        raise run("push", tmp_path, "me/points").exception


def test_options_of_the_scripts_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    called = {}
    monkeypatch.setattr(environment, "run_script", lambda module, arguments: called.update({module: arguments}))
    run("push", "runs/a", "me/a", "--license", "apache-2.0", "--tag", "v1")
    words = ["--folder", "runs/a", "--repo_id", "me/a", "--license", "apache-2.0", "--tag", "v1"]
    assert called["training.push_to_hub"] == words
    options = ["--split", "test", "--output", "r.json", "--limit", "5", "--device", "cpu"]
    assert run("evaluate", "coco", "--protocol", *options).exit_code == 0
    words = ["--dataset", "coco", "--split", "test", "--output", "r.json", "--device", "cpu", "--limit", "5"]
    assert called["training.evaluate"] == words
    assert run("evaluate", "coco", "--limit", "5").exit_code == 2
