"""Streamed answers, event by event."""

from collections.abc import Sequence

import msgspec

from omnix_provider.chatcompletions import wire
from omnix_provider.chatcompletions.answer import (
    BROKEN_OFF,
    FINISH_REASONS,
    arguments_from_wire,
    ended,
    logprobs_from_wire,
    time_from_wire,
    usage_from_wire,
)
from omnix_provider.chatcompletions.errors import InBandError, in_band
from omnix_provider.types import Batch, Chunk, FinishReason, Head, Reasoned, ToolCallDelta, Usage

Unreadable = msgspec.DecodeError | RecursionError | UnicodeDecodeError

_HELD_AT_MOST = 1024
"""Tokens of a choice whose probabilities came without text: those of one character are few."""

_CALLS_AT_MOST = 1024
"""Of one choice, and choices that call."""

_decode_event = msgspec.json.Decoder(wire.Event).decode


class EventReader:
    """Reads the events of one stream."""

    __slots__ = ("_calls", "_head_told", "_held")

    def __init__(self) -> None:
        self._head_told = False
        self._calls: dict[int, _Calls] = {}
        """By choice."""
        self._held: dict[int, list[wire.TokenLogprob]] = {}
        """By choice, the probabilities of tokens whose text is still to come: a token may be part of a character."""

    def batch(self, events: Sequence[bytes]) -> tuple[Batch, Unreadable | InBandError | None]:
        """What came with these events, and what is wrong with the one at which reading ended, if any.

        Content that came before a bad event counts all the same. Events after the end marker do not.
        """
        failure: Unreadable | InBandError | None = None
        chunks: list[Chunk] = []
        head: Head | None = None
        usage: Usage | None = None
        done = False
        for data in events:
            if data == b"[DONE]":
                done = True
                break
            try:
                event = _decode_event(data)
                if event.error is not None:
                    failure = in_band(event.error)
                    break
                for choice in event.choices or ():
                    chunk = _chunk(choice) if choice.logprobs is None and not self._held else self._likely(choice)
                    if chunk is not None:
                        if chunk.tool_calls or (self._calls and chunk.finish_reason is FinishReason.STOP):
                            chunk = self._calling(chunk)
                        chunks.append(chunk)
            except wire.UNREADABLE as exc:
                failure = exc
                break
            if not self._head_told and event.model:
                self._head_told = True
                head = Head(
                    time_from_wire(event.created),
                    event.model,
                    event.system_fingerprint or "",
                    event.service_tier or "",
                )
            if event.usage is not None:
                usage = usage_from_wire(event.usage) or usage
        return Batch(chunks, head, usage, done), failure

    def _calling(self, chunk: Chunk) -> Chunk:
        """The chunk with its calls told apart, and as its reason to end that calls are wanted.

        Some servers end a choice that calls with the reason of any other.
        """
        calls = self._calls.setdefault(chunk.choice_index, _Calls())
        fresh = tuple(calls.told(call) for call in chunk.tool_calls)
        if max(len(calls), len(self._calls)) > _CALLS_AT_MOST:
            raise msgspec.ValidationError("too many calls of tools")
        return msgspec.structs.replace(
            chunk, tool_calls=fresh, finish_reason=ended(chunk.finish_reason, calling=len(calls) > 0)
        )

    def _likely(self, choice: wire.ChunkChoice) -> Chunk | None:
        """The chunk with the probabilities of its tokens, and of those before it that had no text."""
        index = choice.index or 0
        told = choice.logprobs or _NO_LOGPROBS
        held = [*self._held.pop(index, ()), *(told.content or ())]
        chunk = _chunk(choice)
        if chunk is None:
            if max(len(held), len(self._held)) > _HELD_AT_MOST:
                raise msgspec.ValidationError("too many probabilities without text")
            if held:
                self._held[index] = held
            return None
        return msgspec.structs.replace(
            chunk, logprobs=logprobs_from_wire(held), refusal_logprobs=logprobs_from_wire(told.refusal)
        )


class _Calls:
    """The calls of one choice, each with an index and an id of its own, which is told once.

    Some servers repeat the id with every piece, or make up another one, where readers who put pieces together would
    repeat it too. Others have one index for all calls (https://github.com/ollama/ollama/issues/15457) or none, where
    readers would make one call of all.
    """

    __slots__ = ("_ids", "_numbers")

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        """By number; empty until it is told."""
        self._numbers: dict[int, int] = {}
        """By the server's index, where that has named another call before."""

    def __len__(self) -> int:
        return len(self._ids)

    def told(self, call: ToolCallDelta) -> ToolCallDelta:
        number = self._numbers.get(call.index, call.index)
        known = self._ids.get(number, "")
        if known and call.id and call.id != known and call.name:
            number = self._numbers[call.index] = max(self._ids) + 1
            known = ""
        self._ids[number] = known or call.id
        if number == call.index and not (known and call.id):
            return call
        return msgspec.structs.replace(call, index=number, id="" if known else call.id)


_NO_LOGPROBS = wire.Logprobs()
_SILENT = wire.Delta()


def _chunk(choice: wire.ChunkChoice) -> Chunk | None:
    """None for a delta that says nothing, such as the one that only names the role."""
    delta = choice.delta or _SILENT
    reason = choice.finish_reason
    # Some servers send an empty reason with every delta until the true one.
    finish_reason = FINISH_REASONS.get(reason, FinishReason.OTHER) if reason and reason not in BROKEN_OFF else None
    text = delta.content or ""
    reasoning = delta.reasoning_content or delta.reasoning
    if delta.tool_calls or reasoning or delta.refusal:
        return Chunk(
            text,
            choice.index or 0,
            tuple(_tool_call_delta(call, position) for position, call in enumerate(delta.tool_calls or ())),
            Reasoned(reasoning) if reasoning else None,
            delta.refusal or "",
            finish_reason,
        )
    if not text and finish_reason is None:
        return None
    return Chunk(text, choice.index or 0, finish_reason=finish_reason)


def _tool_call_delta(call: wire.ToolCallDelta, position: int) -> ToolCallDelta:
    function = call.function or _NO_FUNCTION
    return ToolCallDelta(
        index=position if call.index is None else call.index,
        id=call.id or "",
        name=function.name or "",
        arguments_json=arguments_from_wire(function),
    )


_NO_FUNCTION = wire.Function()
