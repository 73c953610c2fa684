"""Models on this machine: any ``image-text-to-text`` pipeline of transformers.

Questions that wait are answered in batches. Answers are the model's most probable ones, so the same questions get the
same answers wherever rounding allows. The pipeline gives no tokens beside its words: they are counted from the words,
and an answer with as many as allowed is taken to be cut off.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from transformers import Pipeline, pipeline

from talkingpoints.llm.requests import Completion, WriteRequest, without_reasoning


class LocalChat:
    """A model on this machine.

    Args:
        pipe: of the task "image-text-to-text"; its processor needs a chat template.
        name: of the model, for ``identity``, which goes into the cards of datasets.
        max_tokens: largest length of an answer.
        batch_size: questions answered at a time; a batch needs that many times the memory.

    Raises:
        ValueError: a pipeline of another task, or without a chat template.
    """

    def __init__(self, pipe: Pipeline, name: str, max_tokens: int = 512, batch_size: int = 1):
        if pipe.task != "image-text-to-text":
            raise ValueError(f"pipe must be an image-text-to-text pipeline, got {pipe.task}")
        if pipe.processor is None or not pipe.processor.chat_template:
            raise ValueError(f"{name} has no chat template: take a model that was trained to follow instructions")
        if max_tokens < 1 or batch_size < 1:
            raise ValueError(f"max_tokens and batch_size must be at least 1, got {max_tokens} and {batch_size}")
        self.name, self.max_tokens, self.batch_size = name, max_tokens, batch_size
        self._pipe = pipe
        self._waiting: list[tuple[list[dict[str, Any]], asyncio.Future[Completion]]] = []
        self._answering: asyncio.Task[None] | None = None
        tokenizer = pipe.processor.tokenizer
        if batch_size > 1:
            tokenizer.padding_side = "left"
            if tokenizer.pad_token is None:
                tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def from_pretrained(cls, model: str, max_tokens: int = 512, batch_size: int = 1, **options: Any) -> "LocalChat":
        """Load a model.

        Args:
            model: Hub id or folder.
            max_tokens, batch_size: as above.
            options: of ``transformers.pipeline``: device, dtype, ...
        """
        return cls(pipeline("image-text-to-text", model=model, **options), model_name(model), max_tokens, batch_size)

    @property
    def identity(self) -> str:
        return f"{self.name} max_tokens={self.max_tokens} greedy"

    async def complete(self, request: WriteRequest[Any]) -> Completion:
        """Ask once; see :class:`Chat`."""
        messages = await asyncio.to_thread(_messages, request)
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, answer))
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        """Answer whatever waits, a batch at a time."""
        while self._waiting:
            batch, self._waiting = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
            batch = [(messages, answer) for messages, answer in batch if not answer.cancelled()]
            if not batch:
                continue
            try:
                completions = await asyncio.to_thread(self._run, [messages for messages, _ in batch])
            except Exception as error:  # whatever a model raises is for those who asked
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), completion in zip(batch, completions, strict=True):
                if not answer.done():
                    answer.set_result(completion)

    def _run(self, chats: list[list[dict[str, Any]]]) -> list[Completion]:
        outputs = self._pipe(
            text=chats,
            batch_size=len(chats),
            return_full_text=False,
            generate_kwargs={"max_new_tokens": self.max_tokens, "do_sample": False},
        )
        tokenizer = self._pipe.processor.tokenizer
        completions = []
        for output in outputs:
            text = (output[0] if isinstance(output, list) else output)["generated_text"]
            length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
            answer, aloud = without_reasoning(text)
            ended = "length" if length >= self.max_tokens else "stop"
            completions.append(Completion(answer.strip(), 0, length, ended, aloud))
        return completions


def model_name(model: str) -> str:
    """A Hub id as it is; of a folder the last name, and a few letters that tell it from others of that name.

    Names go into the cards of datasets, where paths of this machine have no place.
    """
    folder = Path(model)
    if not folder.is_dir():
        return model
    place = folder.resolve()
    return f"{place.name}@{hashlib.sha256(str(place).encode()).hexdigest()[:6]}"


def _messages(request: WriteRequest[Any]) -> list[dict[str, Any]]:
    """The request as chat templates of transformers want it."""
    content: list[dict[str, Any]] = [{"type": "image", "image": image} for image in request.images()]
    content.append({"type": "text", "text": request.text})
    messages = [{"role": "user", "content": content}]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": request.system}]})
    return messages
