"""Bounds where Gradio has none, or none that is fair: the size of a request, whose session is forgotten, and how much
of a queue one address takes.
"""

from typing import Any

from gradio import Blocks, routes
from gradio.state_holder import SessionState, StateHolder
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from space.hosting.limits import MAX_BODY, MAX_BODY_WITH_FILE, MOST_WAITING, QUEUE_SIZE


class BodyLimit:
    """ASGI middleware that answers 413 to a request whose body is too large, whatever its header says."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = MAX_BODY_WITH_FILE if _may_hold_file(scope["path"]) else MAX_BODY
        refusal = PlainTextResponse(f"The request is larger than {limit:,} bytes.", status_code=413)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            return await refusal(scope, receive, send)
        read = 0
        begun = False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _TooLarge("maximum allowed size")
            return message

        async def answer(message: Message) -> None:
            nonlocal begun
            if read <= limit or begun:
                begun = True
                await send(message)

        try:
            await self.app(scope, counted, answer)
        except Exception:
            if read <= limit:
                raise
        if read > limit and not begun:
            await refusal(scope, receive, send)


class _TooLarge(MultiPartException):
    """On which Gradio throws away what it has of an upload."""


def _may_hold_file(path: str) -> bool:
    return path.rstrip("/").endswith("/gradio_api/upload") or "/gradio_api/mcp" in path


class Visitor(SessionState):
    """A session that remembers state and not what its elements show: Gradio keeps that for deep links alone, of which
    there are none here, and past the hour after which state is forgotten; a photo may be part of it.
    """

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


class Sessions(StateHolder):
    """The sessions of the app. Where there are too many, those without a photo or points go first: every request of a
    program is a session of its own, and would else push out a visitor.
    """

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Visitor(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            if len(self.session_data) <= self.capacity:
                return
            oldest_first = [other for other in self.session_data if other != session_id]
            empty = (other for other in oldest_first if not self.session_data[other].state_data)
            evicted = next(empty, oldest_first[0])
            del self.session_data[evicted]
            self.time_last_used.pop(evicted, None)


def bound(blocks: Blocks) -> Blocks:
    """Bound sessions (for the whole process) and the queue of an app that is not yet launched.

    Each queue has places of its own: Clear and Keep work while that of the models is full.

    Returns:
        The same blocks.
    """
    routes.StateHolder = Sessions  # type: ignore[misc]
    queue = blocks._queue
    push = queue.push

    async def bounded_push(body: Any, request: Request, username: str | None) -> tuple[bool, Any, Any]:
        function = queue.blocks.fns.get(body.fn_index)
        waits = queue.event_queue_per_concurrency_id.get(function.concurrency_id) if function else None
        waiting = [_address(event.request) for event in waits.queue] if waits else []
        if len(waiting) >= QUEUE_SIZE or waiting.count(_address(request)) >= MOST_WAITING:
            return False, f"The queue is full: {len(waiting)} requests wait. Try again in a moment.", "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = bounded_push  # type: ignore[method-assign]
    return blocks


def _address(request: Request) -> str:
    """Where a request comes from; behind a proxy, as on a Space, the proxy says it."""
    forwarded = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    return forwarded or (request.client.host if request.client else "")
