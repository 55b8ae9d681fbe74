"""Chunks as OpenAI's server-sent events."""

from typing import TYPE_CHECKING, Final

import msgspec
from omnix_kit.errors import OmnixError

from omnix_gateway.chat.convert import FINISH_REASONS, logprobs_from_proto, usage_from_proto
from omnix_gateway.chat.reasoning import Blocks
from omnix_gateway.errors import ErrorBody, error_body
from omnix_gateway.streaming.convert import without_reasoning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omnix_gateway.streaming.assembly import Opening
    from omnix_gateway.streaming.convert import Chunk, End, ToolCallDelta

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode
_TAIL: Final = b'},"logprobs":null,"finish_reason":null}]'


class Encoder:
    """Writes the events of one stream.

    The id of an event is its attempt and the number of its chunk. What an event says depends on the chunks before it
    only through the role, which comes with an alternative's first chunk, the tool calls that began, the numbers of its
    reasoning's blocks, and whether an attempt goes on where another broke off; ``skip`` keeps all of it, so a resumed
    stream is equal byte for byte.
    """

    def __init__(self, completion_id: str, first: "Opening", include_usage: bool) -> None:
        self._completion_id = completion_id
        self._created = first.start.create_time.seconds
        self._include_usage = include_usage
        self._end = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._tail = _TAIL + self._end
        self._began: set[int] = set()
        self._calls: set[tuple[int, int]] = set()
        self._reasoning: dict[int, Blocks] = {}
        self.turn_to(first)

    def turn_to(self, opening: "Opening") -> None:
        """The chunks that follow are of this attempt."""
        start = opening.start
        head = {
            "id": f"chatcmpl-{self._completion_id}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": start.vendor_model or start.model.partition("/")[2],
            "service_tier": start.service_tier or None,
            "system_fingerprint": start.system_fingerprint or None,
        }
        self._id = b"id: %d.%%d" % opening.attempt
        self._head = b"\ndata: " + _encode(head)[:-1]
        self._first_choice = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._continues = bool(start.continued_attempt)
        self._note = b""
        if self._continues:
            recovered = {"attempt": opening.attempt, "model": start.model}
            self._note = b',"omnix":' + _encode({"recovered": recovered})

    def skip(self, chunks: "Sequence[Chunk]") -> None:
        """Take note of chunks that the client has already."""
        self.write([], 0, chunks)

    def _detail(self, chunk: "Chunk") -> dict[str, object] | None:
        blocks = self._reasoning.get(chunk.choice_index)
        if blocks is None:
            blocks = self._reasoning[chunk.choice_index] = Blocks()
        return blocks.detail(chunk.reasoning)

    def write(self, parts: list[bytes], first_seq: int, chunks: "Sequence[Chunk]") -> None:
        """Append the events of chunks that follow each other."""
        began = self._began
        for seq, chunk in enumerate(chunks, first_seq):
            index = chunk.choice_index
            text = chunk.text
            if index == 0 and text and 0 in began and not self._note and _is_text_only(chunk):
                parts += (self._id % seq, self._first_choice, _encode(text), self._tail)
                continue
            if self._continues and chunk.HasField("reasoning"):
                chunk = without_reasoning(chunk)
                if not chunk.ByteSize():
                    continue
            finish = FINISH_REASONS.get(chunk.finish_reason)
            choice = {"index": index, "delta": self._delta(chunk), "logprobs": None, "finish_reason": finish}
            if chunk.logprobs or chunk.refusal_logprobs:
                choice["logprobs"] = logprobs_from_proto(chunk)
            parts += (self._id % seq, self._head, b',"choices":[', _encode(choice), b"]", self._note, self._end)
            self._note = b""

    def _delta(self, chunk: "Chunk") -> dict[str, object]:
        delta: dict[str, object] = {}
        if chunk.choice_index not in self._began:
            self._began.add(chunk.choice_index)
            delta["role"] = "assistant"
            delta["content"] = chunk.text if chunk.text or not chunk.tool_calls else None
        elif chunk.text:
            delta["content"] = chunk.text
        if chunk.refusal:
            delta["refusal"] = chunk.refusal
        if chunk.HasField("reasoning"):
            delta["reasoning_content"] = chunk.reasoning.text
            if detail := self._detail(chunk):
                delta["reasoning_details"] = [detail]
        if chunk.tool_calls:
            calls = [self._call(chunk.choice_index, call) for call in chunk.tool_calls]
            delta["tool_calls"] = calls
        return delta

    def _call(self, choice_index: int, call: "ToolCallDelta") -> dict[str, object]:
        told: dict[str, object] = {"index": call.index}
        function: dict[str, str] = {}
        # Of a call that an attempt before began, the client has id and name.
        known = (choice_index, call.index) in self._calls
        if call.id or call.name:
            self._calls.add((choice_index, call.index))
        if call.id and not (known and self._continues):
            told["id"] = call.id
            told["type"] = "function"
        if call.name and not (known and self._continues):
            function["name"] = call.name
        function["arguments"] = call.arguments_json
        told["function"] = function
        if call.signature:
            told["signature"] = call.signature
        return told

    def usage(self, end: "End") -> bytes:
        """The event that tells the usage, where the caller asked for it."""
        if not self._include_usage:
            return b""
        usage = usage_from_proto(end.usage, end.cost_micros if end.HasField("cost_micros") else None)
        return self._id % end.count + self._head + b',"choices":[],"usage":' + _encode(usage) + b"}\n\n"


def _is_text_only(chunk: "Chunk") -> bool:
    return not (
        chunk.finish_reason or chunk.tool_calls or chunk.refusal or chunk.logprobs or chunk.HasField("reasoning")
    )


class StreamError(ErrorBody, kw_only=True):
    """An error inside a stream, with what is needed to resume."""

    resumable: bool
    stream_id: str


class ErrorEvent(msgspec.Struct):
    error: StreamError


def error_event(error: OmnixError, completion_id: str, *, resumable: bool = False) -> bytes:
    """The last event of a stream that did not end well: OpenAI's clients raise ``APIError`` on it."""
    body = error_body(error)
    told = StreamError(
        message=body.message,
        type=body.type,
        param=body.param,
        code=body.code,
        resumable=resumable,
        stream_id=f"chatcmpl-{completion_id}",
    )
    return b"data: " + _encode(ErrorEvent(told)) + b"\n\n"
