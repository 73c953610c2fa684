import json

import pytest
from PIL import Image

from talkingpoints.evaluation.benchmarks.judging import (
    OWN_PROMPT,
    TEMPERATURES,
    Grade,
    Judge,
    grades_json,
    judge_prompt,
    scores_csv,
    tag_scores,
)
from talkingpoints.evaluation.benchmarks.region_tasks import (
    one_region_a_photo,
    vip_bench,
    vip_questions,
    visual_genome,
    write_vip_bench,
)
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.requests import Completion
from tests.helpers.stand_in import stand_in
from training.reports.evaluate_regions import RegionArguments, described_scores, main, names_of, shown
from training.reports.evaluate_segments import main as evaluate_segments

META = {
    "v1_0": {
        "image_source": "v1_0.png", "image": "v1_0_0.png", "question": "What is x in the equation <obj>?",
        "answer": "0.75<OR>x=0.75<OR>3/4", "capability": ["ocr", "math"],
    },
    "v1_1": {
        "image_source": "v1_1.png", "image": "v1_1_0.png",
        "question": "Is <obj1> larger than <obj2>, and why is <obj1>?",
        "answer": "yes<AND>it is nearer", "capability": ["rec"],
    },
    "v1_2": {
        "image_source": "v1_1.png", "image": "v1_1_1.png", "question": "What is this?", "answer": "a field",
        "capability": ["rec", "know"],
    },
}  # fmt: skip
SHAPES = {
    "v1_0": [{"label": "obj", "shape_type": "rectangle", "points": [[30, 40], [10, 20]]}],
    "v1_1": [
        {"label": "obj2", "shape_type": "polygon", "points": [[5, 5], [15, 8], [9, 30]]},
        {"label": "obj1", "shape_type": "rectangle", "points": [[20, 10], [60, 50]]},
    ],
}


@pytest.fixture
def bench(tmp_path):
    """A folder laid out like ViP-Bench."""
    root = tmp_path / "ViP-Bench"
    for split in ("bbox", "human"):
        (root / split / "images").mkdir(parents=True)
        rows = [
            {
                "question_id": n,
                "image": META[f"v1_{n}"]["image"],
                "text": f"{split} question {n}, red?",
                "category": "x",
            }
            for n in range(3)
        ]
        (root / split / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for values in META.values():
            Image.new("RGB", (64, 64), "white").save(root / split / "images" / values["image"])
    (root / "source_image").mkdir()
    for name, shapes in SHAPES.items():
        Image.new("RGB", (64, 64), "white").save(root / "source_image" / f"{name}.png")
        content = {"shapes": shapes, "imagePath": f"{name}.png", "imageWidth": 64, "imageHeight": 64}
        (root / "source_image" / f"{name}.json").write_text(json.dumps(content))
    (root / "vip-bench-meta-data.json").write_text(json.dumps(META))
    return root


@pytest.fixture
def genome(tmp_path):
    """A file and photos laid out like Visual Genome's test split of captions."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for number, (colour, caption) in enumerate((("red", "a red wall"), ("blue", "the blue sky")), 1):
        Image.new("RGB", (64, 48), colour).save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        annotations.append({"id": number, "image_id": number, "bbox": [8, 4, 20, 30], "caption": caption})
    file = tmp_path / "test_caption.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return file


def test_visual_genome_is_read(genome):
    tasks = visual_genome(genome, genome.parent / "images")
    assert [task.boxes for task in tasks] == [((8.0, 4.0, 28.0, 34.0),)] * 2 and one_region_a_photo(tasks)
    assert tasks[0].worded(["`region1 <bbox>`"]) == (
        "Can you give a description of the region mentioned by `region1 <bbox>`?"
    )
    content = json.loads(genome.read_text())
    content["annotations"].append({**content["annotations"][0], "id": 9})
    genome.write_text(json.dumps(content))
    assert not one_region_a_photo(visual_genome(genome, genome.parent))
    content["annotations"][0].pop("caption")
    genome.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="row 0, id 1: caption is missing"):
        visual_genome(genome, genome.parent)
    content["annotations"][0].update(caption="x", image_id=7)
    genome.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="image_id 7 is not in 'images'"):
        visual_genome(genome, genome.parent)


def test_vip_bench_is_read(bench):
    first, second, third = vip_bench(bench)
    assert first.boxes == ((10.0, 20.0, 30.0, 40.0),) and first.image.name == "v1_0.png"
    assert first.worded(["`region1 <bbox>`"]) == "What is x in the equation `region1 <bbox>`?"
    assert second.boxes == ((20.0, 10.0, 60.0, 50.0), (5.0, 5.0, 15.0, 30.0))
    assert second.worded(["A", "B"]) == "Is A larger than B, and why is A?"
    assert third.boxes == () and third.tags == ("rec", "know")
    drawn = vip_bench(bench, "human", drawn=True)[0]
    assert drawn.question == "human question 0, red?" and drawn.image == bench / "human" / "images" / "v1_0_0.png"
    assert vip_questions(bench, "bbox")["v1_1"] == ("bbox question 1, red?", META["v1_1"]["question"])
    with pytest.raises(ValueError, match="2 names for 1 regions"):
        first.worded(["a", "b"])
    with pytest.raises(ValueError, match="split: 'mask'"):
        vip_bench(bench, "mask")
    (bench / "source_image" / "v1_0.json").write_text(json.dumps({"shapes": SHAPES["v1_1"]}))
    with pytest.raises(ValueError, match=r"no shape 'obj'; there are \['obj1', 'obj2'\]"):
        vip_bench(bench)
    (bench / "source_image" / "v1_0.json").unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        vip_bench(bench)


def test_vip_answers_are_official(bench, tmp_path):
    tasks = vip_bench(bench)
    results = write_vip_bench(tmp_path, "me-bbox", tasks, {"v1_0": "3/4", "v1_2": "grass"})
    assert json.loads(results.read_text()) == {"v1_0": "3/4", "v1_2": "grass"}
    lines = [json.loads(line) for line in (tmp_path / "answers" / "me-bbox.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"question_id", "prompt", "text", "answer_id", "model_id", "metadata"}
    assert [line["question_id"] for line in lines] == [0, 2] and lines[0]["prompt"].endswith("equation region 1?")


# The judge.


class Scripted:
    """Says one thing after the other, and notes what it was asked."""

    identity = "scripted"

    def __init__(self, *script):
        self.script, self.asked = list(script), []

    async def complete(self, request):
        self.asked.append(request.text)
        return Completion(self.script.pop(0), ended="length")


def grade(bench, path, *script, run=0):
    import asyncio

    chats = [Scripted(word) for word in script] + [Scripted() for _ in TEMPERATURES[len(script) :]]
    for number, chat in enumerate(chats):
        chat.identity = f"scripted {number}"
    with AnswerStore(path) as store:
        judge = Judge(chats, store, judge_prompt())
        task = vip_bench(bench)[0]
        return asyncio.run(judge.grade(task, vip_questions(bench, "bbox")["v1_0"], "It is 3/4.", run)), chats


def test_judge_asks_as_the_benchmark_does(bench, tmp_path):
    result, chats = grade(bench, tmp_path / "a.jsonl", "0.9")
    assert result == Grade("0.9", 0.9)
    instruction, last = chats[0].asked[0].rsplit("\n", 1)
    assert last == "bbox question 0, red? | 0.75 <OR> x=0.75 <OR> 3/4 | It is 3/4. | "
    assert instruction.startswith(judge_prompt().template) and "<AND>" in instruction
    assert grade(bench, tmp_path / "a.jsonl")[0] == result  # kept: nothing is asked


def test_judge_asks_again(bench, tmp_path):
    result, chats = grade(bench, tmp_path / "a.jsonl", "Well", "1.5", "0.4 maybe")
    assert result == Grade("0.4 maybe", 0.4)
    assert chats[1].asked[0].endswith("It is 3/4. | \nPredict the correctness of the answer (digit): ")
    assert "What is x in the equation <obj>?" in chats[1].asked[0] and "red?" not in chats[1].asked[0].split("\n")[-2]
    never, _ = grade(bench, tmp_path / "b.jsonl", *["no idea"] * 5)
    assert never == Grade("no idea", 0.0)
    assert grade(bench, tmp_path / "b.jsonl", "1.0", run=1)[0].score == 1.0
    with AnswerStore(tmp_path / "c.jsonl") as store, pytest.raises(ValueError, match="chats: 1"):
        Judge([Scripted()], store, judge_prompt())


def test_the_benchmarks_prompt_is_read_not_run(tmp_path):
    file = tmp_path / "vip-bench_evaluator.py"
    file.write_text(
        'import nothing_of_that_name\nx, prompt = 1, 2\nprompt = """Compare.\n\nQ | A\n"""\nraise SystemExit\n'
    )
    assert judge_prompt(file).template == "Compare.\n\nQ | A\n"
    file.write_text("prompt = input()\n")
    with pytest.raises(ValueError, match="assigns no text"):
        judge_prompt(file)
    with pytest.raises(ValueError, match="cannot read"):
        judge_prompt(tmp_path / "none.py")
    assert "{" not in OWN_PROMPT.read_text()


def test_scores_by_hand(bench):
    tasks = vip_bench(bench)
    grades = {
        "v1_0": [Grade("1.0", 1.0), Grade("0.5", 0.5)],
        "v1_1": [Grade("0.0", 0.0), Grade("0.0", 0.0)],
        "v1_2": [Grade("0.5", 0.5), Grade("0.7", 0.7)],
    }
    scores = tag_scores(tasks, grades)
    assert next(iter(scores)) == "rec" and scores["rec"] == 30.0 and scores["ocr"] == scores["math"] == 75.0
    assert (scores["know"], scores["total"], scores["std"]) == (60.0, 45.0, 5.0)
    assert scores["runs"] == "[50.0, 40.0]"
    together = tag_scores(tasks, grades, together=True)
    assert together["math_ocr"] == 75.0 and together["know_rec"] == 60.0 and together["rec"] == 0.0
    assert scores_csv("me", {"rec": 30.0, "total": 45.0}) == ",rec,total\nme,30.0,45.0\n"
    assert grades_json(grades, "gpt")["v1_0"] == {"model": ["gpt"] * 2, "content": ["1.0", "0.5"], "score": [1.0, 0.5]}
    with pytest.raises(ValueError, match="the same number of grades"):
        tag_scores(tasks, {**grades, "v1_2": grades["v1_2"][:1]})
    with pytest.raises(ValueError, match="the same number of grades"):
        tag_scores(tasks, {"v1_0": grades["v1_0"]})


# The commands.


def test_regions_are_shown(bench):
    task = vip_bench(bench)[1]
    image = shown(task)
    assert image.getpixel((40, 50)) != (255, 255, 255) and image.getpixel((40, 30)) == (255, 255, 255)
    assert names_of(task) == ["rectangle 1", "rectangle 2"] and names_of(vip_bench(bench)[0]) == ["the drawn rectangle"]


def served(url):
    return ["--writer", "server", "--model", "org/m", "--base_url", url, "--first_wait_s", "0.01"]


def test_visual_genome_through_a_server(genome, tmp_path):
    arguments = ["--benchmark", "visual_genome", "--annotations", str(genome), "--photos", str(tmp_path / "images")]
    metrics = ["--metrics", "CIDEr", "SPICE"]
    with stand_in() as server:
        main([*arguments, *metrics, "--output_dir", str(tmp_path / "out"), *served(server.url)])
        assert server.calls["answered"] == 2
        main([*arguments, *metrics, "--output_dir", str(tmp_path / "out"), *served(server.url)])
        assert server.calls["answered"] == 2
    rows = json.loads((tmp_path / "out" / "m_vg.json").read_text())
    assert [set(row) for row in rows] == [{"image_id", "caption"}] * 2 and [row["image_id"] for row in rows] == [1, 2]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["regions"] == "one a photo" and report["answered"] == 2 and {"CIDEr", "SPICE"} < set(report["scores"])


def test_visual_genome_by_a_descriptor(genome, pair, tmp_path):
    arguments = ["--benchmark", "visual_genome", "--annotations", str(genome), "--photos", str(tmp_path / "images")]
    main(
        [
            *arguments,
            "--metrics",
            "CIDEr",
            "--output_dir",
            str(tmp_path / "out"),
            "--model",
            str(pair[0]),
            "--name",
            "d",
        ]
    )
    rows = json.loads((tmp_path / "out" / "d_vg.json").read_text())
    assert [row["image_id"] for row in rows] == [1, 2] and all(isinstance(row["caption"], str) for row in rows)


def test_vip_bench_through_a_server_and_a_judge(bench, tmp_path):
    arguments = ["--benchmark", "vip_bench", "--data", str(bench), "--output_dir", str(tmp_path / "out")]
    with stand_in() as server:
        main([*arguments, *served(server.url)])
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert report["answered"] == 3 and "judge" not in report
        texts = json.loads((tmp_path / "out" / "results" / "m-bbox.json").read_text())
        for key, text in texts.items():
            truth = META[key]["answer"].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
            row = " | ".join((f"bbox question {key[-1]}, red?", truth, text, ""))
            server.answers[f"{judge_prompt().template}\n{row}"] = f"0.{key[-1]}"
        main([*arguments, *served(server.url), "--judge", "gpt-4-0613", "--judge_url", server.url])
        assert {body["max_tokens"] for body in server.bodies[-3:]} == {3} and server.bodies[-1]["temperature"] == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["scores"]["total"] == 10.0 and report["scores"]["know"] == 20.0 and report["without_grade"] == {}
    names = sorted(path.name for path in (tmp_path / "out" / "results").iterdir())
    stem = "m-bbox_gpt-4-0613"
    assert names == ["m-bbox.json", *(f"{stem}-{part}-1runs.{end}" for part, end in
                     (("cap-int-score", "csv"), ("cap-score", "csv"), ("grade", "json")))]  # fmt: skip


def test_answers_without_a_grade_are_not_zero(bench, tmp_path):
    arguments = ["--benchmark", "vip_bench", "--data", str(bench), "--output_dir", str(tmp_path / "out")]
    with stand_in() as server, stand_in(failures=1.0, troubles=("500",)) as broken:
        main([*arguments, *served(server.url), "--attempts", "2", "--judge", "j", "--judge_url", broken.url])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "not_run" in report["scores"] and len(report["without_grade"]) == 3


def test_each_server_gets_its_own_key(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGPOINTS_API_KEY", "of-the-answerer")
    arguments = ["--benchmark", "vip_bench", "--data", str(bench), "--output_dir", str(tmp_path / "out")]
    with stand_in() as server, stand_in() as judge:
        main([*arguments, *served(server.url), "--judge", "j", "--judge_url", judge.url])
        assert {head["authorization"] for head in judge.headers} == {"Bearer none"}
        monkeypatch.setenv("TALKINGPOINTS_JUDGE_API_KEY", "of-the-judge")
        judge.headers.clear()
        main([*arguments, *served(server.url), "--judge", "j2", "--judge_url", judge.url])
        assert {head["authorization"] for head in judge.headers} == {"Bearer of-the-judge"}
        assert {head["authorization"] for head in server.headers} == {"Bearer of-the-answerer"}


def test_one_id_of_two_files_is_two_questions(genome, tmp_path):
    arguments = ["--benchmark", "visual_genome", "--photos", str(tmp_path / "images"), "--metrics", "CIDEr",
                 "--output_dir", str(tmp_path / "out")]  # fmt: skip
    content = json.loads(genome.read_text())
    for one in content["annotations"]:
        one["bbox"] = [30, 20, 20, 20]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    with stand_in() as server:
        main([*arguments, "--annotations", str(genome), *served(server.url)])
        first = (tmp_path / "out" / "m_vg.json").read_text()
        main([*arguments, "--annotations", str(other), *served(server.url)])
        assert server.calls["answered"] == 4 and (tmp_path / "out" / "m_vg.json").read_text() != first


def test_what_is_turned_down_scores_nothing(genome, tmp_path):
    pytest.importorskip("pycocoevalcap")
    tasks = visual_genome(genome, tmp_path / "images")
    region = RegionArguments(
        benchmark="visual_genome", annotations="a", photos="b", output_dir="c", metrics=["ROUGE-L"]
    )
    whole = described_scores(region, tasks, {"1": "a red wall", "2": "the blue sky"})
    half = described_scores(region, tasks, {"1": "a red wall", "2": ""})
    assert whole["ROUGE-L"] == 100.0 and half["ROUGE-L"] == 50.0


def test_questions_without_an_answer_count(genome, bench, tmp_path):
    """As long as some are missing there is no score; what is turned down is 0."""
    arguments = ["--benchmark", "visual_genome", "--annotations", str(genome), "--photos", str(tmp_path / "images")]
    with stand_in(failures=1.0, troubles=("500",)) as server:
        main([*arguments, "--output_dir", str(tmp_path / "vg"), *served(server.url), "--attempts", "2"])
    report = json.loads((tmp_path / "vg" / "report.json").read_text())
    assert (report["answered"], report["missing"], len(report["without_answer"])) == (0, 2, 2)
    assert report["scores"] == {"not_run": "2 questions have no answer yet; run it again"}
    arguments = ["--benchmark", "vip_bench", "--data", str(bench), "--output_dir", str(tmp_path / "vip")]
    with stand_in(failures=1.0, troubles=("empty",)) as server, stand_in() as judge:
        main([*arguments, *served(server.url), "--judge", "j", "--judge_url", judge.url])
        assert not judge.bodies
    report = json.loads((tmp_path / "vip" / "report.json").read_text())
    assert (report["answered"], report["turned_down"], report["scores"]["total"]) == (0, 3, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "coco"], "benchmark: 'coco'"),
        (["--benchmark", "vip_bench"], "needs --data"),
        (["--benchmark", "visual_genome", "--annotations", "a"], "needs --photos"),
        (["--benchmark", "vip_bench", "--data", "d", "--judge", "j"], "belong together"),
        (["--benchmark", "vip_bench", "--data", "d"], "answers no questions"),
        (["--benchmark", "vip_bench", "--data", "d", "--writer", "server"], "needs --model"),
        (["--benchmark", "vip_bench", "--data", "d", "--writer", "rules"], "writer: 'rules'"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        main([*arguments, "--output_dir", str(tmp_path)])


def test_segments_are_evaluated_by_one_command(tmp_path):
    from talkingpoints.data.readers.coco_panoptic import PanopticPhotos, PanopticWriter
    from tests.helpers.drawn_panoptic import drawn_panoptic

    truth = drawn_panoptic(tmp_path / "truth")
    photos = PanopticPhotos(truth, tmp_path / "truth" / "val")
    with PanopticWriter(tmp_path / "p.json", photos.categories.values(), text_field="caption") as writer:
        for photo in photos:
            writer.add(photo)
    maps = str(tmp_path / "truth" / "panoptic_val")
    arguments = ["--truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--prediction_id_maps", maps]
    metrics = ["--metrics", "BLEU-4", "ROUGE-L", "--map_modes", "released"]
    evaluate_segments([*arguments, *metrics, "--output", str(tmp_path / "r.json")])
    report = json.loads((tmp_path / "r.json").read_text())
    assert (
        report["quality"]["all"]["pq"] == 100.0 and report["coverage"] == 100.0 and report["matched_segments"] == 3 * 7
    )
    assert set(report["captions"]) == {"BLEU-4", "ROUGE-L", "tokenizer"}
    released = report["dense_captioning"]["released"]  # crowds cannot be found: 7 of 8
    assert released["detection_map"] == pytest.approx(100 * 88 / 101, abs=1e-3)
