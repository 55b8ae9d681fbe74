"""A keep-alive HTTP connection that asks for completions and reads the answers at little cost.

The load shares its cores with what it measures, so this is a bare protocol over httptools and msgspec: about 4 µs a
streamed token, where an HTTP client library costs 20 to 80.
"""

import asyncio
import re
import time
from array import array
from dataclasses import dataclass, field
from typing import cast

import httptools
import msgspec


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] = []
    error: msgspec.Raw | None = None


_decoder = msgspec.json.Decoder(_Body)

STAMP = re.compile(r"(\d{13})\|")
"""What the upstream puts before each delta when asked for its clock: milliseconds since the epoch."""


@dataclass(slots=True)
class TokenTimes:
    """Send times of stamped tokens and their lateness, both in seconds, one entry a token."""

    sent: "array[float]" = field(default_factory=lambda: array("d"))
    late: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class Answer:
    """One answer as it arrived; times are seconds since the epoch."""

    asked_at: float
    text: list[str] = field(default_factory=list)
    status: int = 0
    first_at: float | None = None
    ended_at: float = 0.0
    tokens: int = 0
    """By their stamps if there are any, else one for each delta."""
    finish_reason: str | None = None
    end_marker: bool = False
    error: str | None = None


class Connection(asyncio.Protocol):
    """Carries one request at a time. With ``clock``, tokens are counted and timed by their stamps."""

    def __init__(self, times: TokenTimes, *, clock: bool) -> None:
        self._times = times
        self._clock = clock
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer(asked_at=0.0)
        self._stream = False
        self._rest = b""
        self._now = 0.0
        self._done: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, *, stream: bool, timeout: float) -> Answer:
        """Send a whole HTTP request and wait for its answer. Whatever goes wrong is told in ``Answer.error``."""
        answer = self._answer = Answer(asked_at=time.time())
        self._stream = stream
        self._rest = b""
        self._done = asyncio.get_running_loop().create_future()
        try:
            if self._transport is None or self._transport.is_closing():
                answer.error = "connection closed before the request"
                return answer
            self._transport.write(request)
            async with asyncio.timeout(timeout):
                await self._done
        except TimeoutError:
            answer.error = "timeout"
        finally:
            self._done = None
            answer.ended_at = answer.ended_at or time.time()
            if answer.error is not None:
                self.close()
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is not registered as one

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("connection closed")

    def data_received(self, data: bytes) -> None:
        self._now = time.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._end(f"not HTTP: {exc}")
            self.close()

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self._stream or self._answer.status != 200:
            self._rest += body
            return
        lines = (self._rest + body).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())

    def on_message_complete(self) -> None:
        answer = self._answer
        answer.ended_at = self._now
        if answer.status != 200:
            self._end(f"HTTP {answer.status}: {self._rest[:160].decode(errors='replace')}")
        elif not self._stream:
            self._event(self._rest)
            self._end(None)
        else:
            self._end(None)
        if not self._parser.should_keep_alive():
            self.close()
        self._parser = httptools.HttpResponseParser(self)

    def _event(self, data: bytes) -> None:
        answer = self._answer
        if data == b"[DONE]":
            answer.end_marker = True
            return
        try:
            body = _decoder.decode(data)
        except msgspec.DecodeError as exc:
            answer.error = f"unreadable event: {exc}"
            return
        if body.error is not None:
            answer.error = f"error event: {bytes(body.error)[:160].decode(errors='replace')}"
            return
        for choice in body.choices:
            text = choice.delta or choice.message
            if text is not None and text.content:
                self._content(text.content)
            if choice.finish_reason is not None:
                answer.finish_reason = choice.finish_reason

    def _content(self, content: str) -> None:
        answer = self._answer
        answer.text.append(content)
        if answer.first_at is None:
            answer.first_at = self._now
        if not self._clock:
            answer.tokens += 1
            return
        for stamp in STAMP.findall(content):
            sent = int(stamp) / 1e3
            self._times.sent.append(sent)
            self._times.late.append(self._now - sent)
            answer.tokens += 1

    def _end(self, error: str | None) -> None:
        if self._done is None or self._done.done():
            return
        if error is not None and self._answer.error is None:
            self._answer.error = error
        self._done.set_result(None)
