import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from talkingpoints.dataset_builder.texts.model_writer import plain_text
from talkingpoints.llm.answer_store import AnswerStore, Usage
from talkingpoints.llm.asker import Asker, Limits, question_identity
from talkingpoints.llm.background import in_order
from talkingpoints.llm.prompt_files import Prompt
from talkingpoints.llm.requests import (
    Completion,
    GaveUpError,
    RejectedError,
    ServerError,
    TransientError,
    WriteRequest,
    without_reasoning,
)
from talkingpoints.llm.server import API_KEY, ServerChat, retry_after_s
from tests.conftest import ROOT
from tests.helpers.stand_in import TROUBLES, stand_in
from tests.helpers.tiny import photo

QUICK = Limits(concurrency=8, first_wait_s=0.01, longest_wait_s=0.05)


def question(number: int, parse=plain_text, **more) -> WriteRequest:
    return WriteRequest(key=f"point {number}", prompt="p@1", text=f"What is at {number}?", parse=parse, **more)


class Scripted:
    """Says, or raises, one thing after the other."""

    identity = "scripted"

    def __init__(self, *script):
        self.script, self.calls, self.at = list(script), 0, []

    async def complete(self, request):
        self.calls += 1
        self.at.append(time.monotonic())
        step = self.script[min(self.calls, len(self.script)) - 1]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Completion) else Completion(step, 10, 3)


def ask(chat, path, *requests, limits=QUICK):
    """Answers, or what was raised instead."""
    with AnswerStore(path) as store:
        asker = Asker(chat, store, limits)

        async def answer(request):
            try:
                return await asker.ask(request)
            except RuntimeError as error:
                return error

        return list(in_order(requests, answer)), asker, store.usage


# The store.


def test_store_keeps_answers_and_counts(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerStore(path) as store:
        store.add("a", "first — één", prompt_tokens=5, completion_tokens=2, failed_calls=3)
        store.add("b", None, problem="empty", prompt_tokens=7, completion_tokens=0)
        assert store.get("a") == "first — één" and store.get("b") is None and store.get("c") is None
    with AnswerStore(path) as store:
        store.add("c", "third")
        assert store.get("a") == "first — één" and store.get("c") == "third" and len(store) == 2
        assert store.usage == Usage(answers=2, unusable=1, failed_calls=3, prompt_tokens=12, completion_tokens=2)
        assert store.usage.cost(1.0, 10.0) == pytest.approx((12 + 20) / 1e6)


def test_store_cuts_a_torn_line_wherever_it_was_torn(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerStore(path) as store:
        store.add("a", "one")
        store.add("b", "twö")
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):  # also in the middle of a letter
        path.write_bytes(whole[:end])
        with AnswerStore(path) as store:
            assert len(store) == 1 and store.get("a") == "one" and store.get("b") is None
            store.add("b", "again")
            assert store.get("b") == "again"
        assert len(path.read_bytes().splitlines()) == 2


def test_store_refuses_other_files_and_a_second_run(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "text": "one"}\nnonsense\n{"id": "b", "text": "two"}\n')
    with pytest.raises(ValueError, match="line 2"):
        AnswerStore(path)
    path.unlink()
    with AnswerStore(path):
        # Without the package's own imports, which take seconds.
        code = f"""
import pathlib, sys, types
package = sys.modules["talkingpoints"] = types.ModuleType("talkingpoints")
package.__path__ = ["talkingpoints"]
from talkingpoints.llm.answer_store import AnswerStore
AnswerStore(pathlib.Path({str(path)!r}))
"""
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert other.returncode == 1 and "in use by another run" in other.stderr
    AnswerStore(path).close()


# Asking.


def test_answers_are_asked_for_once(tmp_path):
    chat, path = Scripted("some words"), tmp_path / "a.jsonl"
    answers, _, usage = ask(chat, path, question(1), question(2))
    assert answers == ["some words"] * 2 and chat.calls == 2 and usage.prompt_tokens == 20
    again = Scripted("other words")
    answers, _, usage = ask(again, path, question(1), question(2), question(3))
    assert answers == ["some words", "some words", "other words"] and again.calls == 1 and usage.answers == 3


def test_another_question_is_another_answer(tmp_path):
    chat = Scripted("words")
    base = question(1)
    others = [
        replace(base, key="x"),
        replace(base, prompt="p@2"),
        replace(base, text="y"),
        replace(base, system="z"),
        replace(base, schema={"type": "object"}),
    ]
    identities = {question_identity(chat, request) for request in [base, *others]}
    chat.identity = "another model"
    identities.add(question_identity(chat, base))
    assert len(identities) == 7
    url = "http://localhost:1/v1"
    settings = [{}, {"max_tokens": 7}, {"temperature": 1.0}, {"seed": 3}]
    assert len({ServerChat("m", url, **setting).identity for setting in settings}) == 4
    assert ServerChat("m", url, api_key="secret").identity == ServerChat("m", "http://other/v1").identity
    assert "secret" not in repr(ServerChat("m", url, api_key="secret"))


def test_failures_are_tried_again_and_given_up(tmp_path):
    wobbly = Scripted(TransientError("503: busy"), TransientError("reset: x"), "words")
    answers, asker, usage = ask(wobbly, tmp_path / "a.jsonl", question(1))
    assert answers == ["words"] and usage.failed_calls == 2 and asker.problems == {"503": 1, "reset": 1}
    down = Scripted(TransientError("503: busy"))
    (error,), _, usage = ask(down, tmp_path / "b.jsonl", question(1), limits=Limits(attempts=3, first_wait_s=0.01))
    assert isinstance(error, GaveUpError) and down.calls == 3 and "point 1" in str(error) and usage.answers == 0


def test_waits_double_and_retry_after_is_honoured_by_all(tmp_path):
    chat = Scripted(TransientError("a"), TransientError("b"), TransientError("c"), "words")
    ask(chat, tmp_path / "a.jsonl", question(1), limits=Limits(first_wait_s=0.1))
    gaps = [later - earlier for earlier, later in zip(chat.at, chat.at[1:], strict=False)]
    for gap, wait in zip(gaps, (0.1, 0.2, 0.4), strict=True):
        assert wait / 2 <= gap <= wait + 2
    chat = Scripted(TransientError("429: slow down", retry_after_s=0.4), "words")
    limits = Limits(concurrency=1, first_wait_s=0.01)
    answers, _, _ = ask(chat, tmp_path / "b.jsonl", question(1), question(2), limits=limits)
    assert answers == ["words", "words"] and chat.at[1] - chat.at[0] >= 0.4
    limits = Limits(first_wait_s=0.01, longest_wait_s=0.05)
    chat = Scripted(TransientError("429: slow down", retry_after_s=1e9), "words")
    started = time.monotonic()
    assert ask(chat, tmp_path / "c.jsonl", question(1), limits=limits)[0] == ["words"]
    assert time.monotonic() - started < 20


def test_unusable_answers_are_asked_for_again_and_then_rejected(tmp_path):
    chat = Scripted("\x00", Completion("cut in the mid", 10, 9, ended="length"), "words")
    answers, asker, usage = ask(chat, tmp_path / "a.jsonl", question(1))
    assert answers == ["words"] and asker.problems == {
        "unusable answer: not a text": 1,
        "unusable answer: the answer was cut off at the largest number of tokens": 1,
    }
    assert usage == Usage(answers=1, unusable=2, prompt_tokens=30, completion_tokens=15)
    hopeless = Scripted("\x00")
    limits = Limits(unusable_attempts=3)
    (error,), _, usage = ask(hopeless, tmp_path / "b.jsonl", question(1), limits=limits)
    assert isinstance(error, RejectedError) and hopeless.calls == 3 and usage.unusable == 3


def test_a_run_ends_where_nothing_can_be_asked(tmp_path):
    wrong_key = Scripted(ServerError("status 401"))
    limits = Limits(concurrency=1)
    answers, _, _ = ask(wrong_key, tmp_path / "a.jsonl", *map(question, range(50)), limits=limits)
    assert all(isinstance(answer, ServerError) for answer in answers) and wrong_key.calls == 1
    down = Scripted(TransientError("x"))
    limits = Limits(concurrency=1, attempts=2, first_wait_s=0.0, failures_in_a_row=4)
    answers, _, _ = ask(down, tmp_path / "b.jsonl", *map(question, range(50)), limits=limits)
    assert down.calls == 8 and [type(answer) for answer in answers[:4]] == [GaveUpError] * 3 + [ServerError]


def test_a_photo_that_is_turned_down_does_not_end_every_run(tmp_path):
    """One photo's many questions meet the server's filter, in a row."""
    refused = [RejectedError("status 400: content filter")] * 30
    limits = Limits(concurrency=1, failures_in_a_row=20)
    path, requests = tmp_path / "a.jsonl", [question(number) for number in range(32)]
    chat = Scripted("words", *refused, "other words")
    answers, asker, usage = ask(chat, path, *requests, limits=limits)
    assert answers[0] == "words" and answers[-1] == "other words" and chat.calls == 32
    assert all(type(answer) is RejectedError and "content filter" in str(answer) for answer in answers[1:-1])
    assert usage == Usage(answers=2, prompt_tokens=20, completion_tokens=6)
    again = Scripted("never asked")
    answers, asker, usage = ask(again, path, *requests, limits=limits)
    assert again.calls == 0 and usage.answers == 2 and usage.unusable == 0
    assert [type(answer) for answer in answers] == [str, *[RejectedError] * 30, str]
    assert "content filter" in str(answers[1]) and asker.problems == {"turned down by an earlier run": 30}
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "rejected" not in line))
    assert ask(again, path, *requests, limits=limits)[0] == ["words", *["never asked"] * 30, "other words"]


def test_a_server_that_turns_everything_down_ends_the_run(tmp_path):
    chat = Scripted(RejectedError("status 400: no such model"))
    limits = Limits(concurrency=1, failures_in_a_row=20)
    answers, _, _ = ask(chat, tmp_path / "a.jsonl", *map(question, range(50)), limits=limits)
    assert chat.calls == 20 and isinstance(answers[19], ServerError) and isinstance(answers[-1], ServerError)
    mended = Scripted("words")
    assert ask(mended, tmp_path / "a.jsonl", question(0), limits=limits)[0] == ["words"]  # nothing was held against it


def test_rate_limit(tmp_path):
    chat = Scripted("words")
    limits = Limits(concurrency=8, requests_per_minute=1200)
    ask(chat, tmp_path / "a.jsonl", *map(question, range(10)), limits=limits)
    assert 0.40 <= chat.at[-1] - chat.at[0] < 5  # nine gaps of 0.05 s; the first call may be late


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"attempts": 0}, {"requests_per_minute": 0}, {"first_wait_s": -1}]
)
def test_wrong_limits(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)


def test_in_order_is_concurrent_lazy_and_ordered():
    read, most, now = [], 0, 0

    def items():
        for number in range(100):
            read.append(number)
            yield number

    async def work(number):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01 if number % 7 else 0.03)
        now -= 1
        return number

    results = in_order(items(), work, ahead=10)
    assert [next(results) for _ in range(20)] == list(range(20))
    assert len(read) < 40 and 2 <= most <= 10
    results.close()

    async def fail(number):
        if number == 3:
            raise KeyError("three")
        return number

    results = in_order(range(10), fail)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(results)


# The server.


@pytest.mark.parametrize("stream", [False, True])
def test_server_is_asked_as_openai_asks(tmp_path, stream, monkeypatch):
    monkeypatch.setenv(API_KEY, "key-of-the-environment")
    request = question(1, images=lambda: [photo()], system="Be brief.", schema={"type": "object"})
    with stand_in() as server:
        chat = ServerChat("qwen", server.url, stream=stream, max_tokens=77, seed=5)
        (answer,), _, usage = ask(chat, tmp_path / "a.jsonl", request)
        assert answer.startswith("A ") and usage.prompt_tokens == 100 and usage.completion_tokens == len(answer.split())
        (body,) = server.bodies
        assert (body["model"], body["max_tokens"], body["seed"], body["stream"]) == ("qwen", 77, 5, stream)
        assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert server.headers[0]["authorization"] == "Bearer key-of-the-environment"
        other = question(1, images=lambda: [photo(seed=1)], system="Be brief.")
        assert ask(chat, tmp_path / "b.jsonl", other)[0] != [answer]  # it got the image


def test_the_hubs_token_stays_at_home(tmp_path, monkeypatch):
    monkeypatch.delenv(API_KEY, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_hub")
    with stand_in() as server:
        ask(ServerChat("qwen", server.url), tmp_path / "a.jsonl", question(1))
        assert server.headers[0]["authorization"] == "Bearer none"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_is_got_over(tmp_path, trouble, stream):
    with stand_in(failures=0.5, troubles=(trouble,), evenly=True) as server:
        chat = ServerChat("qwen", server.url, stream=stream, timeout_s=1.0 if trouble == "hang" else 30.0)
        patient = replace(QUICK, attempts=50, unusable_attempts=50)
        answers, asker, _ = ask(chat, tmp_path / "a.jsonl", *map(question, range(8)), limits=patient)
        assert server.calls[trouble] >= 2 and asker.problems.total() >= server.calls[trouble]
        assert trouble == "hang" or asker.problems.total() == server.calls[trouble]
    with stand_in() as server:
        undisturbed, _, _ = ask(
            ServerChat("qwen", server.url, stream=stream), tmp_path / "b.jsonl", *map(question, range(8))
        )
    assert answers == undisturbed and len(set(answers)) == 8


def test_a_server_that_is_not_there(tmp_path):
    with stand_in() as server:
        url = server.url
    (error,), _, _ = ask(
        ServerChat("m", url), tmp_path / "a.jsonl", question(1), limits=Limits(attempts=2, first_wait_s=0)
    )
    assert isinstance(error, GaveUpError) and "ConnectError" in str(error)


def test_a_provider_that_is_not_known_ends_the_run(tmp_path):
    chat = ServerChat("m", provider="nobody")
    answers, _, _ = ask(chat, tmp_path / "a.jsonl", question(1), question(2))
    assert all(isinstance(answer, ServerError) and "nobody" in str(answer) for answer in answers)


def test_wrong_server_settings():
    for wrong in ({}, {"base_url": "http://x", "provider": "auto"}, {"base_url": "localhost:8000"}):
        with pytest.raises(ValueError, match="base_url"):
            ServerChat("m", **wrong)
    with pytest.raises(ValueError, match="max_tokens"):
        ServerChat("m", "http://x", max_tokens=0)


def test_retry_after():
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s(None, now) == 0 and retry_after_s("7", now) == 7
    assert retry_after_s("Thu, 01 Jan 2026 12:00:30 GMT", now) == 30
    assert retry_after_s("Thu, 01 Jan 2026 11:00:30 GMT", now) == 0 and retry_after_s("soon", now) == 0


# Prompts.


def test_prompt_version_follows_the_words(tmp_path):
    (tmp_path / "merge.txt").write_text("Say $label, it costs $$.")
    prompt = Prompt.read(tmp_path / "merge.txt")
    assert prompt.filled(label="car", part="door") == "Say car, it costs $."
    (tmp_path / "merge.txt").write_text("Say the $label, it costs $$.")
    assert prompt.version.startswith("merge@") and Prompt.read(tmp_path / "merge.txt").version != prompt.version
    with pytest.raises(ValueError, match=r"\$label"):
        prompt.filled(part="door")
    for wrong, match in (("", "empty"), ("5 $ more", "names nothing")):
        (tmp_path / "merge.txt").write_text(wrong)
        with pytest.raises(ValueError, match=match):
            Prompt.read(tmp_path / "merge.txt")
    with pytest.raises(ValueError, match="cannot read"):
        Prompt.read(tmp_path / "none.txt")


def test_plain_text():
    assert plain_text('<think>hm\n"x"</think>\n "A  red\ndoor." ') == "A red door."
    for wrong in ("", " . ", "<think>only</think>", "<html>x</html>", "\x00 words", "a word " * 400):
        with pytest.raises(ValueError):
            plain_text(wrong)


def test_strict_json_is_asked_for_again(tmp_path):
    """Another pipeline's question: segments of an image, answered in JSON."""

    def captions(text):
        value = json.loads(text)
        if not isinstance(value, dict) or set(value) != {"1", "2"}:
            raise ValueError("needs a caption for each of the marks 1 and 2")
        return value

    chat = Scripted("sure! here you go", '{"1": "a cat"}', '{"1": "a cat", "2": "a rug"}')
    answers, _, usage = ask(chat, tmp_path / "a.jsonl", question(1, parse=captions))
    assert answers == [{"1": "a cat", "2": "a rug"}] and usage.unusable == 2


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("A red door.", "A red door."),
        ("<think>hm</think> A red door.", "A red door."),
        ("It is a door, red.</think>\nA red door.", "A red door."),
        ("<thinking>a <think>b</think> c</thinking>A red door.", "A red door."),
        ("[THINK]hm[/THINK]A red door.", "A red door."),
        ("<think>cut in the mid", ""),
        ("hm</THINK>", ""),
        ("I think </b> so.", "I think </b> so."),
    ],
)
def test_reasoning_is_cut_off_whatever_tags_there_are(said, answer):
    words, reasoned = without_reasoning(said)
    assert words.strip() == answer and reasoned == (said != answer)


@pytest.mark.parametrize("ended", ["content_filter", "length", "tool_calls", None, "abort"])
def test_only_whole_answers_count(tmp_path, ended):
    chat = Scripted(Completion("half a sent", ended=ended), "words")
    answers, asker, usage = ask(chat, tmp_path / "a.jsonl", question(1))
    assert answers == ["words"] and usage.unusable == 1
    (problem,) = asker.problems
    assert problem.startswith("unusable answer: the answer ")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"finish": "content_filter"}, "it ended with"),
        ({"finish": "length"}, "largest number of tokens"),
        ({"reasoning": "hm"}, "reasoning without an answer"),
        ({"reasoning": "hm", "finish": "length"}, "largest number of tokens"),
    ],
)
def test_what_a_server_says_of_an_answer_is_heard(tmp_path, stream, options, reason):
    with stand_in(**options) as server:
        chat = ServerChat("m", server.url, stream=stream)
        limits = Limits(unusable_attempts=2, first_wait_s=0.0)
        (error,), _, usage = ask(chat, tmp_path / "a.jsonl", question(1), limits=limits)
    assert isinstance(error, RejectedError) and reason in str(error)
    assert usage.unusable == 2 and usage.answers == 0 and usage.completion_tokens > 0
