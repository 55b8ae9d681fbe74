"""The bytes of chat completions in the dialects of OpenAI's format that Hugging Face's servers speak.

Events are glued from prepared pieces, because encoding JSON for each token would cost more than sending it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any, Final

import msgspec

from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import AskedChat, Making, StreamBytes
from omnix_sandbox.openai.events import DONE
from omnix_sandbox.script import Answer
from omnix_sandbox.words import ring_tokens

EVENT_STREAM: Final = "text/event-stream"
BROKEN_EVENT: Final = b'data: {"object":"chat.completion.chunk","id":"","choices":[{"index":0,"delta":{"conte\n\n'

encode = msgspec.json.encode
_AFTER_TEXT: Final = b'"},"logprobs":null,"finish_reason":null}]'


@cache
def _ring() -> Mapping[str, bytes]:
    return {token: encode(token)[1:-1] for token in set(ring_tokens())}


class Chunks(ABC):
    """Makes the bytes of one answer; a dialect says what stands around a choice and what a delta is.

    `logprobs` is the number of alternatives that each token is told with, None where no probabilities are asked for.
    """

    text_delta: bytes
    """A text's delta up to the text itself."""

    def __init__(self, making: Making, model: str, *, with_usage: bool, logprobs: int | None) -> None:
        self._making = making
        self._model = model
        self._with_usage = with_usage and making.billing is not None
        self._logprobs = logprobs
        self._created = int(time.time())
        self._before = self._start()

    @abstractmethod
    def unary(self) -> bytes:
        """The whole body."""

    @abstractmethod
    def _start(self) -> bytes:
        """An event up to the choices' bracket."""

    @abstractmethod
    def _end(self) -> bytes:
        """An event's rest behind the choices."""

    @abstractmethod
    def _opening(self, at: int, answer: Answer) -> bytes:
        """What a stream begins with."""

    @abstractmethod
    def _deltas(self, answer: Answer) -> Iterator[dict[str, Any]]:
        """An answer's deltas one by one; only asked for where they are not all texts."""

    @abstractmethod
    def _finish(self, at: int, answer: Answer) -> bytes:
        """The event that tells the finish reason."""

    @abstractmethod
    def _usage(self) -> bytes:
        """The event that tells the usage; only asked for if there is to be one."""

    @abstractmethod
    def _odds(self, tokens: Sequence[str]) -> dict[str, Any]:
        """The log probabilities of tokens."""

    def _shows(self, answer: Answer) -> bool:
        """Whether an answer has deltas that are no plain text."""
        return bool(answer.tool_calls)

    def event(self, at: int, delta: Mapping[str, Any], finish: str | None = None, odds: Any = None) -> bytes:
        choice = {"index": at, "delta": delta, "logprobs": odds, "finish_reason": finish}
        return self._before + encode(choice) + b"]" + self._end()

    def stream(self) -> StreamBytes:
        answers = self._making.answers
        is_text = len(answers) == 1 and self._logprobs is None and not self._shows(answers[0])
        if is_text:
            prefix = self._before + b'{"index":0,"delta":' + self.text_delta
            tails = list(self._plain(answers[0].tokens))
        else:
            prefix = b""
            steps = [self._events(at, answer) for at, answer in enumerate(answers)]
            tails = [event for row in zip_longest(*steps) for event in row if event is not None]
        return StreamBytes(
            content_type=EVENT_STREAM,
            opening=b"".join(self._opening(at, answer) for at, answer in enumerate(answers)),
            prefix=prefix,
            tails=tails,
            finish=b"".join(self._finish(at, answer) for at, answer in enumerate(answers)),
            usage=self._usage() if self._with_usage else b"",
            done=DONE,
            tells_usage=self._with_usage,
            stampable=is_text,
        )

    def _plain(self, tokens: Sequence[str]) -> Iterator[bytes]:
        ring, after = _ring(), _AFTER_TEXT + self._end()
        for token in tokens:
            inside = ring.get(token)
            yield (encode(token)[1:-1] if inside is None else inside) + after

    def _events(self, at: int, answer: Answer) -> Iterator[bytes]:
        for delta in self._deltas(answer):
            text = delta.get("content")
            has_odds = self._logprobs is not None and isinstance(text, str) and text
            yield self.event(at, delta, odds=self._odds([text]) if has_odds and text else None)


class AskedChunks(AskedChat):
    """A chat completion that is answered in one of the dialects."""

    @abstractmethod
    def chunks(self, making: Making) -> Chunks: ...

    def unary(self, making: Making) -> bytes:
        return self.chunks(making).unary()

    def streamed(self, making: Making) -> StreamBytes:
        return self.chunks(making).stream()

    def broken_event(self, fault: Fault) -> bytes:
        return BROKEN_EVENT
