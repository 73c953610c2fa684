"""Models behind an OpenAI-compatible server (vLLM, TGI, ollama, inference providers), through huggingface_hub.

Sorts what can go wrong into the three errors of requests.py. Leaves out trying again: asker.py.
"""

import asyncio
import base64
import io
import json
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from talkingpoints.llm.requests import (
    Completion,
    RejectedError,
    ServerError,
    TransientError,
    WriteRequest,
    without_reasoning,
)

API_KEY = "TALKINGPOINTS_API_KEY"
"""Environment variable with the key for a server named by its address."""

JPEG_QUALITY = 90

_NEVER = (400, 413, 415, 422)
"""Statuses by which a server turns down one question: too long, an image it cannot read, its content filter."""
_NOBODY = (401, 402, 403, 404, 405)
"""Statuses that every other question would meet too."""


class _NoCompletionError(Exception):
    """A body that is JSON, but not a whole completion."""


_GARBLED = (
    json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError, IndexError, _NoCompletionError,
)  # fmt: skip
"""What comes of a body that is no completion, in huggingface_hub or here: an error page, half of a JSON text, ..."""


@dataclass(frozen=True)
class ServerChat:
    """A model behind a server.

    Args:
        model: name under which the server knows it.
        base_url: of the server, for example "http://localhost:8000/v1"; None asks an inference provider.
        provider: name of the inference provider, or "auto", where there is no ``base_url``.
        api_key: None takes that of the environment: ``TALKINGPOINTS_API_KEY`` for a ``base_url``, the Hub's token
            for a provider.
        max_tokens: largest length of an answer.
        temperature: of sampling.
        seed: of sampling, for servers that know one.
        timeout_s: longest time for a call, from the first byte to the last.
        stream: whether the answer is read as it is written; for servers behind a gateway that cuts silent connections.

    Raises:
        ValueError: both or none of ``base_url`` and ``provider``, or a number out of range.
    """

    model: str
    base_url: str | None = None
    provider: str | None = None
    api_key: str | None = field(default=None, repr=False)
    max_tokens: int = 512
    temperature: float = 0.2
    seed: int | None = None
    timeout_s: float = 120.0
    stream: bool = False

    def __post_init__(self) -> None:
        if (self.base_url is None) == (self.provider is None):
            raise ValueError(f"give one of base_url and provider, got {self.base_url!r} and {self.provider!r}")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must start with http:// or https://, got {self.base_url!r}")
        if self.max_tokens < 1 or self.timeout_s <= 0 or self.temperature < 0:
            raise ValueError(
                "max_tokens must be at least 1, timeout_s above 0 and temperature at least 0, got "
                f"{self.max_tokens}, {self.timeout_s} and {self.temperature}"
            )

    @property
    def identity(self) -> str:
        return f"{self.model} max_tokens={self.max_tokens} temperature={self.temperature:g} seed={self.seed}"

    async def complete(self, request: WriteRequest[Any]) -> Completion:
        """Ask once; see :class:`Chat`."""
        messages = await asyncio.to_thread(_messages, request)
        options: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }
        if request.schema is not None:
            schema = {"name": "answer", "schema": request.schema, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        try:
            # A client for each call: huggingface_hub's keeps streams open until it is closed itself.
            async with asyncio.timeout(self.timeout_s), self._client() as client:
                if self.stream:
                    return await _streamed(client, messages, options)
                return _whole(await client.chat_completion(messages, **options))
        except HfHubHTTPError as error:
            raise _sorted(error) from error
        except (TimeoutError, httpx2.HTTPError) as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error
        except _GARBLED as error:
            raise TransientError(f"garbled answer: {type(error).__name__}: {error}") from error
        except ValueError as error:  # huggingface_hub does not know the provider, or its model, or misses a key
            raise ServerError(str(error)) from error

    def _client(self) -> AsyncInferenceClient:
        if self.base_url is None:
            return AsyncInferenceClient(provider=self.provider, api_key=self.api_key)  # type: ignore[arg-type]
        # Without any key huggingface_hub would send the Hub's token, to whichever server this is.
        key = self.api_key or os.environ.get(API_KEY) or "none"
        return _OwnServerClient(base_url=self.base_url, api_key=key)


class _OwnServerClient(AsyncInferenceClient):
    """Reaches a server that was named by its address even where ``HF_HUB_OFFLINE`` keeps the Hub out, and sends it
    schemas as OpenAI does, which huggingface_hub turns into an older form for all servers named by their address.
    """

    _async_client: httpx2.AsyncClient | None

    async def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:
        form = request_parameters.json.get("response_format")
        if form is not None and "value" in form:
            schema = {"name": "answer", "schema": form["value"], "strict": True}
            request_parameters.json["response_format"] = {"type": "json_schema", "json_schema": schema}
        return await super()._inner_post(request_parameters, stream=stream)

    async def _get_async_client(self) -> httpx2.AsyncClient:
        if self._async_client is None:
            session = httpx2.AsyncClient(follow_redirects=True, timeout=None, verify=_tls())
            self._async_client = await self.exit_stack.enter_async_context(session)
        return self._async_client


_tls_context: list[ssl.SSLContext] = []


def _tls() -> ssl.SSLContext:
    """One context for all calls: reading the certificates takes longer than a call to a local server."""
    if not _tls_context:
        _tls_context.append(httpx2.create_ssl_context())
    return _tls_context[0]


def _messages(request: WriteRequest[Any]) -> list[dict[str, Any]]:
    """The request as OpenAI's interface wants it, images as data URLs."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": jpeg_url(image)}} for image in request.images()
    ]
    content.append({"type": "text", "text": request.text})
    messages: list[dict[str, Any]] = []
    if request.system is not None:
        messages.append({"role": "system", "content": request.system})
    # Models of words alone often take nothing but a plain string.
    messages.append({"role": "user", "content": content if len(content) > 1 else request.text})
    return messages


def jpeg_url(image: Image.Image) -> str:
    """An RGB image as a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _whole(output: Any) -> Completion:
    choice = output.choices[0]
    if choice.message.content is None and choice.finish_reason is None:
        raise _NoCompletionError("a choice without content")
    return _completion(choice.message.content or "", choice.finish_reason, output.usage, _reasons(choice.message))


async def _streamed(client: AsyncInferenceClient, messages: Sequence[Any], options: dict[str, Any]) -> Completion:
    pieces, finish, usage, reasons = [], None, None, False
    chunks = await client.chat_completion(
        list(messages), stream=True, stream_options={"include_usage": True}, **options
    )
    async for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices or ():
            pieces.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
            reasons = reasons or _reasons(choice.delta)
    if finish is None:  # a connection that ends in good order does not say that the answer did
        raise _NoCompletionError("the stream ended before the answer")
    return _completion("".join(pieces), finish, usage, reasons)


def _reasons(message: Any) -> bool:
    """Whether a message brings reasoning apart from its content, under either name that servers give it."""
    return bool(message.get("reasoning_content") or message.get("reasoning"))


def _completion(text: Any, finish: str | None, usage: Any, reasons: bool) -> Completion:
    if not isinstance(text, str):
        raise _NoCompletionError(f"content is no text: {text!r}")
    prompt_tokens = 0 if usage is None else int(usage.prompt_tokens or 0)
    completion_tokens = 0 if usage is None else int(usage.completion_tokens or 0)
    text, aloud = without_reasoning(text)
    return Completion(text, prompt_tokens, completion_tokens, finish, aloud or reasons)


def _sorted(error: HfHubHTTPError) -> TransientError | RejectedError | ServerError:
    status = error.response.status_code
    message = f"status {status}: {str(error).strip()[:300]}"
    if status in _NEVER:
        return RejectedError(message)
    if status in _NOBODY:
        return ServerError(message)
    return TransientError(message, retry_after_s(error.response.headers.get("Retry-After"), datetime.now(UTC)))


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds that a ``Retry-After`` header asks to wait; 0 where there is none, or one that nobody can read.

    Args:
        header: a number of seconds, or an HTTP date.
        now: with time zone; dates are counted from it.
    """
    if header is None:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
