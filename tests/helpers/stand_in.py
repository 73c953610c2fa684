"""A stand-in for an OpenAI-compatible server on this machine, as bad as they come.

Its answers follow from the content of the questions alone, so that two runs that get through are equal. Whether a call
is answered at all is left to chance: ``failures`` of the calls meet one of ``TROUBLES``.
"""

import contextlib
import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TROUBLES = (
    "500", "chunked_500", "503", "429", "reset", "hang", "cut", "quiet_end", "html", "half_json", "no_choices",
    "bad_types", "noise", "empty",
)  # fmt: skip
HANG_S = 5.0
COLOURS = ("red", "blue", "dark green", "silver", "black", "white", "pale yellow", "brown")
SURFACES = ("glossy", "dull", "scratched", "finely ribbed", "smooth", "dusty", "speckled", "worn")
MARKS = (
    "with a thin bright line across it", "with a soft shadow along one side", "where two panels meet",
    "with a round bolt close by", "next to a narrow gap", "with a faint reflection of the sky",
    "where the paint has chipped", "beside a small dark seam",
)  # fmt: skip


@dataclass
class StandIn:
    """The server's state.

    Args:
        failures: share of calls that fail, 0 to 1.
        slowness_s: answers take up to so long.
        troubles: how calls fail.
        refusals: share of questions, the same ones whenever they are asked, that are answered with an excuse.
        answers: overrides what is answered, by the question's text.
        seed: of chance.
        finish: why every answer ended, as the server says.
        reasoning: is all that every answer holds, apart from its content, as of a model that ran out of tokens.
        evenly: calls fail in turn, every second one for half of them, and not by chance.
    """

    failures: float = 0.0
    slowness_s: float = 0.0
    troubles: tuple[str, ...] = TROUBLES
    refusals: float = 0.0
    answers: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    finish: str = "stop"
    reasoning: str | None = None
    evenly: bool = False
    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    """How often each kind of call came: "answered" and the troubles."""
    answered: Counter[bytes] = field(default_factory=Counter)
    """How often each question got its answer."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """What was asked, without the images; the newest last."""
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.rng = random.Random(self.seed)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def trouble(self) -> str | None:
        with self.lock:
            trouble = self.rng.choice(self.troubles) if self._fails() else None
            self.calls[trouble or "answered"] += 1
            return trouble

    def _fails(self) -> bool:
        if not self.evenly:
            return self.rng.random() < self.failures
        number = self.calls.total()  # so that the share is right whichever thread comes when
        return int((number + 1) * self.failures) > int(number * self.failures)


@contextlib.contextmanager
def stand_in(**options: Any) -> Iterator[StandIn]:
    """Serve from a thread of this process."""
    state = StandIn(**options)

    class Handler(_Handler):
        server_state = state

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # else connections made at once wait a second for a second try

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that were killed are no error."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def digest_of(body: dict[str, Any]) -> bytes:
    """Stands for words and images of a question."""
    return hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).digest()


def answer_to(digest: bytes, refusals: float = 0.0) -> str:
    """A description that follows from the question."""
    if digest[31] < 256 * refusals:
        return "I'm sorry, but I can't describe this spot."
    colour, surface, mark, other = (words[digest[i] % len(words)] for i, words in _WORDS)
    return f"A {surface}, {colour} spot {mark}; close to it lies a {other} area ({_letters(digest)})."


def structured(body: dict[str, Any]) -> str | None:
    """JSON with a description for each name that the question's schema asks for; None where it asks for none."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema is None or "required" not in schema:
        return None
    digest = digest_of(body)
    return json.dumps({n: answer_to(hashlib.sha256(digest + n.encode()).digest()) for n in schema["required"]})


_WORDS = tuple(enumerate((COLOURS, SURFACES, MARKS, COLOURS)))


def _letters(digest: bytes) -> str:
    """Makes texts differ, without digits."""
    return "".join(chr(ord("a") + value % 26) for value in digest[4:12])


class _Handler(BaseHTTPRequestHandler):
    server_state: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        state = self.server_state
        with state.lock:
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            self._respond(state)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client was killed
        finally:
            with state.lock:
                state.at_once -= 1

    def _respond(self, state: StandIn) -> None:
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(length)
        if len(content) < length:
            raise ConnectionResetError("the client was killed while it asked")
        body = json.loads(content)
        with state.lock:
            state.bodies.append({name: value for name, value in body.items() if name != "messages"})
            state.headers.append(dict(self.headers))
            wait = state.rng.uniform(0.0, state.slowness_s)
        time.sleep(wait)
        words = _question(body)
        text = state.answers.get(words) or structured(body) or answer_to(digest_of(body), state.refusals)
        trouble = state.trouble()
        if trouble is None:
            with state.lock:
                state.answered[digest_of(body)] += 1
        if trouble == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif trouble == "hang":
            time.sleep(HANG_S)
            self.close_connection = True
        elif trouble in ("500", "503", "429"):
            self._send(int(trouble), b'{"error": "busy"}', {"Retry-After": "0"} if trouble != "500" else {})
        elif trouble == "chunked_500":
            self._head(500, {"Transfer-Encoding": "chunked"})
            self._chunk(b'{"error": "busy"}')
            self.wfile.write(b"0\r\n\r\n")
        elif trouble == "html":
            self._send(200, b"<html><body>Bad gateway</body></html>")
        elif body.get("stream"):
            self._stream(text, trouble)
        else:
            self._whole(text, trouble)

    def _whole(self, text: str, trouble: str | None) -> None:
        text = {"noise": "\x00\ufffd\x07" + text, "empty": " "}.get(trouble or "", text)
        state = self.server_state
        message = {"role": "assistant", "content": text}
        if state.reasoning is not None:
            message |= {"content": None, "reasoning_content": state.reasoning}
        choice = {"index": 0, "message": message, "finish_reason": state.finish}
        if trouble == "bad_types":
            choice["message"] = {"role": "assistant", "content": ["no", 7]}
        output = {"id": "x", "created": 0, "model": "stand-in", "system_fingerprint": "", "object": "chat.completion"}
        output |= {"choices": [] if trouble == "no_choices" else [choice], "usage": _usage(text)}
        content = json.dumps(output).encode()
        if trouble == "cut":
            self._head(200, {"Content-Length": str(len(content))})
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self._send(200, content[: len(content) // 2] if trouble in ("half_json", "quiet_end") else content)

    def _stream(self, text: str, trouble: str | None) -> None:
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        if trouble in ("noise", "empty"):
            text = "\x00\ufffd\x07" + text if trouble == "noise" else " "
        words = [f"{word} " for word in text.split(" ")]
        for number, word in enumerate(words):
            if trouble in ("cut", "quiet_end") and number >= len(words) // 2:
                if trouble == "quiet_end":
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True
                return
            content = ["no"] if trouble == "bad_types" else word
            thought = self.server_state.reasoning
            said = {"content": content} if thought is None else {"content": None, "reasoning_content": thought}
            self._event({"choices": [{"index": 0, "delta": {"role": "assistant", **said}}]})
            if trouble == "half_json":
                self._chunk(b'data: {"choices": [{"ind\n\n')
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": self.server_state.finish}
        choices = [] if trouble == "no_choices" else [last]
        self._event({"choices": choices})
        self._event({"choices": [], "usage": _usage(text)})
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, content: dict[str, Any]) -> None:
        head = {"id": "x", "created": 0, "model": "stand-in", "system_fingerprint": ""}
        self._chunk(f"data: {json.dumps(head | content)}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(content)), **(headers or {})})
        self.wfile.write(content)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


def _question(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def _usage(text: str) -> dict[str, int]:
    return {"prompt_tokens": 100, "completion_tokens": len(text.split()), "total_tokens": 100 + len(text.split())}
