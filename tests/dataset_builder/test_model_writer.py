import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from talkingpoints.dataset_builder.points.preparation import PreparationOptions, prepare_photo
from talkingpoints.dataset_builder.texts.model_writer import PROMPTS, ModelWriter, plain_text
from talkingpoints.dataset_builder.texts.views import CONTEXT_PX, LOCAL_PX, context_view, local_view
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Asker, Limits
from talkingpoints.llm.background import in_order
from talkingpoints.llm.local import LocalChat, model_name
from talkingpoints.llm.requests import Completion, ServerError, TransientError, WriteRequest
from talkingpoints.llm.server import ServerChat
from tests.helpers.drawn_cars import drawn_cars
from tests.helpers.stand_in import stand_in
from tests.helpers.tiny import loud, photo
from training.dataset.writer_arguments import WriterArguments, model_writer, photo_texts

QUICK = Limits(concurrency=8, first_wait_s=0.01, longest_wait_s=0.05)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Prepared photos of drawn cars."""
    parts = drawn_cars(tmp_path_factory.mktemp("photos") / "cars", n=3)  # the folder's name is part of the seeds
    return [prepare_photo(part, PreparationOptions()) for part in parts]


@pytest.fixture(scope="module")
def tasks(photos):
    return [task for photo in photos for task in photo.tasks]


class Clerk:
    """Notes what it is asked, and answers by kind of question."""

    identity = "clerk"

    def __init__(self):
        self.requests, self.images = [], []

    async def complete(self, request):
        self.requests.append(request)
        self.images.append([np.asarray(image) for image in request.images()])
        return Completion(f"Answer to {request.prompt.split('@')[0]} of {request.key.split(' ')[0]}.", 10, 5)


def write(tasks, chat, path, merging=None, prompts=PROMPTS):
    with AnswerStore(path) as store:
        seeing = Asker(chat, store, QUICK)
        writer = ModelWriter(seeing, Asker(merging, store, QUICK) if merging else None, prompts)
        return list(writer.write_all(tasks, progress=False)), writer


def test_three_questions_a_point(tasks, tmp_path):
    task = tasks[0]
    seeing, merging = Clerk(), Clerk()
    (written,), writer = write([task], seeing, tmp_path / "a.jsonl", merging)
    assert written.text == f"Answer to merge of {task.key}." and written.problem == ""
    context, local = sorted(seeing.requests, key=lambda request: request.prompt)
    assert (context.prompt, local.prompt) == (f"{writer.context.version} views 1", f"{writer.local.version} views 1")
    assert task.skeleton.text in context.text and task.part in local.text
    assert sorted(len(images) for images in seeing.images) == [1, 1] and merging.images == [[]]
    (merge,) = merging.requests
    for words in (task.skeleton.text, written.context, written.local, task.label, task.part):
        assert words in merge.text
    assert written.context == f"Answer to context of {task.key}." and "$" not in merge.text
    assert writer.version["merge"] == writer.merge.version and writer.version["merging"] == "clerk"


def test_texts_come_in_order_and_are_not_asked_for_twice(tasks, tmp_path):
    first = Clerk()
    written, _ = write(tasks, first, tmp_path / "a.jsonl")
    assert [text.key for text in written] == [task.key for task in tasks] and len(first.requests) == 3 * len(tasks)
    second = Clerk()
    assert write(tasks, second, tmp_path / "a.jsonl")[0] == written and not second.requests


def test_a_changed_prompt_asks_anew_what_depends_on_it(tasks, tmp_path):
    write(tasks[:2], Clerk(), tmp_path / "a.jsonl")
    changed = tmp_path / "prompts"
    shutil.copytree(PROMPTS, changed)
    merge = changed / "merge.txt"
    merge.write_text(merge.read_text() + "\nBe kind.")
    clerk = Clerk()
    _, writer = write(tasks[:2], clerk, tmp_path / "a.jsonl", prompts=changed)
    assert [request.prompt for request in clerk.requests] == [writer.merge.version] * 2
    merge.write_text("Merge $context and $sound.")
    with pytest.raises(ValueError, match=r"\$sound"):
        write(tasks[:1], clerk, tmp_path / "a.jsonl", prompts=changed)
    merge.unlink()
    with pytest.raises(ValueError, match=r"merge\.txt"):
        write(tasks[:1], clerk, tmp_path / "a.jsonl", prompts=changed)


def test_another_point_under_the_same_key_is_asked_about(tasks, tmp_path):
    write(tasks[:1], Clerk(), tmp_path / "a.jsonl")
    x, y = tasks[0].point_px
    clerk = Clerk()
    write([replace(tasks[0], point_px=(x + 1, y))], clerk, tmp_path / "a.jsonl")
    assert len(clerk.requests) == 3


def test_a_point_without_answer_does_not_stop_the_others(tasks, tmp_path):
    class Moody(Clerk):
        async def complete(self, request):
            if request.key.startswith(f"{tasks[1].key} "):
                return Completion("\x00")
            return await super().complete(request)

    written, writer = write(tasks[:4], Moody(), tmp_path / "a.jsonl")
    assert [text.text is None for text in written] == [False, True, False, False]
    assert "of no use" in written[1].problem and writer.rejected == {tasks[1].key: written[1].problem}

    class Absent(Clerk):
        async def complete(self, request):
            if request.key.startswith(f"{tasks[1].key} "):
                raise TransientError("503: busy")
            return await super().complete(request)

    with AnswerStore(tmp_path / "b.jsonl") as store:
        texts = ModelWriter(Asker(Absent(), store, QUICK)).write_all(tasks[:4], progress=False)
        assert [next(texts).key for _ in range(4)] == [task.key for task in tasks[:4]]
        with pytest.raises(RuntimeError, match="1 points are still without a text"):
            next(texts)

    class Closed(Clerk):
        async def complete(self, request):
            raise ServerError("status 401: no such key")

    with pytest.raises(ServerError, match="401"):
        write(tasks, Closed(), tmp_path / "c.jsonl")


def test_photo_texts_keep_photos_and_texts_together(photos, tmp_path):
    empty = replace(photos[0], key="empty", tasks=())
    shown = [empty, photos[0], empty, photos[1], photos[2], empty]

    def every_other(photo):
        return list(photo.tasks[::2])

    arguments = WriterArguments(writer="server", model="m", base_url="http://localhost:1", prompt_price=2.0)
    with stand_in() as server:
        arguments.base_url = server.url
        with model_writer(arguments, tmp_path) as writer:
            pairs = list(photo_texts(shown, every_other, writer))
    assert [photo.key for photo, _ in pairs] == [photo.key for photo in shown]
    for shown_photo, texts in pairs:
        assert [task for task, _ in texts] == every_other(shown_photo)
        assert all(task.key == written.key and written.text for task, written in texts)
    report = json.loads((tmp_path / "writing.json").read_text())
    questions = 3 * sum(len(every_other(photo)) for photo in photos)
    assert report["usage"]["answers"] == questions and report["usage"]["prompt_tokens"] == 100 * questions
    assert report["cost"] == pytest.approx(2.0 * 100 * questions / 1e6)
    assert report["version"]["seeing"].startswith("m ")


def test_wrong_writer_arguments():
    with pytest.raises(ValueError, match="writer"):
        WriterArguments(writer="pigeon")
    with pytest.raises(ValueError, match="--model"):
        WriterArguments(writer="server")


# Views.


@pytest.mark.parametrize("size", [(2000, 1000), (160, 80)])
def test_context_view_marks_the_point_and_leaves_it_visible(tmp_path, size):
    path = tmp_path / "plain.png"
    Image.new("RGB", size, (10, 20, 30)).save(path)
    view = np.asarray(context_view(path, (0.75 * size[0], 0.25 * size[1]))).astype(int)
    assert view.shape == (CONTEXT_PX // 2, CONTEXT_PX, 3)
    changed = np.argwhere((view != (10, 20, 30)).any(-1))
    y, x = changed.mean(axis=0)
    assert abs(x - 0.75 * CONTEXT_PX) < 1 and abs(y - 0.125 * CONTEXT_PX) < 1
    row, column = round(0.125 * CONTEXT_PX), round(0.75 * CONTEXT_PX)
    assert (view[row - 5 : row + 6, column - 5 : column + 6] == (10, 20, 30)).all()
    assert np.ptp(changed, axis=0).max() < 50


def test_local_view_is_centred_and_fades(tmp_path):
    path = tmp_path / "half.png"
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[:, 300:] = 255
    Image.fromarray(pixels).save(path)
    view = np.asarray(local_view(path, (300.0, 200.0), (0, 0, 600, 400))).astype(int)
    assert view.shape == (LOCAL_PX, LOCAL_PX, 3)
    middle = view[LOCAL_PX // 2]
    step = int(np.argmax(np.diff(middle[:, 0]))) + 1
    assert abs(step - LOCAL_PX / 2) < 4 and middle[step - 6, 0] < 10 and middle[step + 6, 0] > 245
    assert abs(view[0, 0] - 127).max() < 12 and abs(view[-1, -1] - 127).max() < 12
    # At the photo's corner the middle is still the point, and what lies outside is grey.
    corner = np.asarray(local_view(path, (0.0, 0.0), (0, 0, 600, 400))).astype(int)
    assert corner[LOCAL_PX // 2 + 6, LOCAL_PX // 2 + 6].max() < 15
    assert abs(corner[LOCAL_PX // 2 - 10, LOCAL_PX // 2 - 10] - 127).max() < 3
    # A small part is seen closer.
    small = np.asarray(local_view(path, (310.0, 200.0), (290, 190, 330, 210))).astype(int)[LOCAL_PX // 2, :, 0]
    whole = np.asarray(local_view(path, (310.0, 200.0), (0, 0, 600, 400))).astype(int)[LOCAL_PX // 2, :, 0]
    assert np.argmax(np.diff(small)) < np.argmax(np.diff(whole)) < LOCAL_PX / 2


def test_prompts_forbid_what_the_checks_look_for():
    words = (PROMPTS / "merge.txt").read_text()
    for rule in ("No numbers", "no coordinates", "ring"):
        assert re.search(rule, words)


# A model on this machine.


def test_local_model_answers_and_sees(base, tmp_path):
    # Loud weights, so that images show in what an untrained model babbles.
    model = loud(AutoModelForImageTextToText.from_pretrained(base)).eval()
    pipe = pipeline("image-text-to-text", model=model, processor=AutoProcessor.from_pretrained(base), device="cpu")
    chat = LocalChat(pipe, "tiny", max_tokens=12, batch_size=3)
    calls = []
    chat._pipe = lambda **options: calls.append(len(options["text"])) or pipe(**options)
    chat._pipe.processor = pipe.processor

    def ask(seeds, name):
        """Completions, and the store's usage."""
        requests = [
            WriteRequest(f"k{n}", "p@1", f"Describe {n}.", str, lambda s=seed: [photo(seed=s)], system="Be brief.")
            for n, seed in enumerate(seeds)
        ]
        with AnswerStore(tmp_path / name) as store:
            asker = Asker(Uncut(chat), store, QUICK)
            return list(in_order(requests, asker.ask)), store.usage

    answers, usage = ask(range(4), "a")
    assert sum(calls) == 4 and max(calls) > 1 and usage.answers == 4 and usage.completion_tokens >= 4
    chat.batch_size = 1
    assert ask(range(4), "b")[0] == answers  # a batch changes nothing
    others, _ = ask(range(10, 14), "c")
    assert others != answers  # it sees
    assert chat.identity == "tiny max_tokens=12 greedy"
    chat._run = lambda chats: 1 / 0
    with pytest.raises(ZeroDivisionError):  # what the model raises ends the run
        ask(range(2), "d")


class Uncut:
    """An untrained model goes on talking until it is cut off; here that shall do."""

    def __init__(self, chat):
        self.chat, self.identity = chat, chat.identity

    async def complete(self, request):
        return replace(await self.chat.complete(request), ended="stop")


def test_a_local_model_by_flags(base, tmp_path):
    arguments = WriterArguments(writer="local", model=str(base), max_tokens=7)
    with model_writer(arguments, tmp_path) as writer:
        assert (
            writer.version["seeing"] == f"{model_name(str(base))} max_tokens=7 greedy"
            and writer.merging is writer.seeing
        )
    assert json.loads((tmp_path / "writing.json").read_text())["usage"]["answers"] == 0


def test_wrong_local_model(base):
    class Pipe:
        task = "text-generation"

    with pytest.raises(ValueError, match="image-text-to-text"):
        LocalChat(Pipe(), "m")
    with pytest.raises(ValueError, match="batch_size"):
        LocalChat.from_pretrained(str(base), batch_size=0, device="cpu")


def test_server_and_writer_end_to_end(tasks, tmp_path):
    with stand_in() as server:
        written, _ = write(tasks, ServerChat("m", server.url), tmp_path / "a.jsonl")
        assert len({text.text for text in written}) == len(tasks)  # every point is another question
        assert plain_text(written[0].text) == written[0].text


def test_names_of_local_models_hold_no_path(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run / "final").mkdir(parents=True)
    one, other = (model_name(str(tmp_path / run / "final")) for run in ("a", "b"))
    assert one != other and one.startswith("final@") and "/" not in one
    assert model_name(f"{tmp_path}/b/../a/final/") == one and model_name("org/model") == "org/model"
