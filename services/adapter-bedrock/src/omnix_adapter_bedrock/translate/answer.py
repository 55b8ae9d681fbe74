"""Converse's answers, whole and in events.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from omnix_provider.types import (
    Batch,
    Choice,
    Chunk,
    Completion,
    FinishReason,
    Message,
    Reasoned,
    Role,
    Text,
    ToolCall,
    ToolCallDelta,
    Usage,
)

from omnix_adapter_bedrock import wire
from omnix_adapter_bedrock.eventstream import Frame

_FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "end_turn": FinishReason.STOP,
        "stop_sequence": FinishReason.STOP,
        "max_tokens": FinishReason.LENGTH,
        "model_context_window_exceeded": FinishReason.LENGTH,
        "tool_use": FinishReason.TOOL_CALLS,
        "guardrail_intervened": FinishReason.CONTENT_FILTER,
        "content_filtered": FinishReason.CONTENT_FILTER,
    }
)
_UNUSABLE = frozenset({"malformed_model_output", "malformed_tool_use"})
_LONG = "1h"
_VENDORS_OWN = "server_tool_use"
"""A call that the vendor makes and answers by itself."""
_MOST_BLOCKS = 4096

_decode_answer = msgspec.json.Decoder(wire.Answer).decode
_decode_start = msgspec.json.Decoder(wire.BlockStart).decode
_decode_delta = msgspec.json.Decoder(wire.BlockDelta).decode
_decode_block_stop = msgspec.json.Decoder(wire.BlockStop).decode
_decode_message_stop = msgspec.json.Decoder(wire.MessageStop).decode
_decode_metadata = msgspec.json.Decoder(wire.Metadata).decode
_decode_fault = msgspec.json.Decoder(wire.Fault).decode

Unreadable = msgspec.DecodeError | RecursionError


class InBandError(Exception):
    """AWS told of an error inside a stream that had begun well."""

    def __init__(self, kind: str, fault: wire.Fault) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fault = fault


class Unusable(Exception):
    """The model's answer is not one; the argument is AWS's stop reason."""

    def __init__(self, reason: str, usage: Usage | None) -> None:
        super().__init__(reason)
        self.usage = usage


class Blocked(Exception):
    """A guardrail or filter left nothing of the answer; the argument is AWS's stop reason."""

    def __init__(self, reason: str, usage: Usage | None) -> None:
        super().__init__(reason)
        self.usage = usage


def completion_from_wire(body: bytes, provider: str, vendor_id: str = "") -> Completion:
    """Read a whole answer.

    :raises msgspec.DecodeError: when it is none.
    :raises Unusable: when AWS says so.
    :raises Blocked: when nothing of it was let through.
    """
    answer = _decode_answer(body)
    if answer.stop_reason in _UNUSABLE:
        raise Unusable(answer.stop_reason, _usage(answer.usage))
    text: list[str] = []
    calls: list[ToolCall] = []
    reasoning: list[Reasoned] = []
    for block in answer.output.message.content:
        if block.text:
            text.append(block.text)
        if block.tool_use is not None and block.tool_use.type != _VENDORS_OWN:
            use = block.tool_use
            calls.append(ToolCall(use.tool_use_id, use.name, bytes(use.input).decode()))
        if block.reasoning_content is not None:
            reasoning.append(_reasoned(block.reasoning_content, provider))
        if block.citations_content is not None:
            text += [piece.text for piece in block.citations_content.content or () if piece.text]
    said = "".join(text)
    if not said and not calls and finish_reason(answer.stop_reason) is FinishReason.CONTENT_FILTER:
        raise Blocked(answer.stop_reason, _usage(answer.usage))
    message = Message(
        role=Role.ASSISTANT,
        parts=(Text(said),) if said else (),
        tool_calls=tuple(calls),
        reasoning=tuple(reasoning),
    )
    router = answer.trace.prompt_router if answer.trace is not None else None
    return Completion(
        choices=(Choice(0, message, finish_reason(answer.stop_reason)),),
        usage=_usage(answer.usage),
        vendor_model=(router.invoked_model_id or "") if router is not None else "",
        vendor_id=vendor_id,
        service_tier=(answer.service_tier.type or "") if answer.service_tier is not None else "",
    )


def _reasoned(content: wire.Reasoning, provider: str) -> Reasoned:
    said = content.reasoning_text or wire.ReasoningText()
    return Reasoned(said.text or "", (said.signature or "").encode(), content.redacted_content or b"", provider)


def finish_reason(reason: str) -> FinishReason:
    return _FINISH_REASONS.get(reason, FinishReason.OTHER)


class EventReader:
    """Reads the frames of one stream; it remembers which of the answer's blocks are calls of tools."""

    __slots__ = ("_calls", "_provider", "_said", "_unargued", "blocked", "unusable")

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: dict[int, int] = {}
        """Number of the call, by the block's index."""
        self._unargued: set[int] = set()
        """Blocks of calls that have had no arguments yet."""
        self._said = False
        """Text came, or a call."""
        self.blocked: str | None = None
        """AWS's stop reason, when a guardrail or filter left nothing. What it counted comes after."""
        self.unusable: str | None = None
        """AWS's stop reason, when it says that the answer is none. What it counted comes after."""

    def batch(self, frames: Sequence[Frame]) -> tuple[Batch, Unreadable | InBandError | None]:
        """What came with these frames, and what is wrong with the one at which reading ended, if any.

        Content that came before a bad frame counts all the same.
        """
        chunks: list[Chunk] = []
        usage: Usage | None = None
        failure: Unreadable | InBandError | None = None
        for frame in frames:
            try:
                if frame.kind == "contentBlockDelta":
                    chunk = self._delta(_decode_delta(frame.payload))
                elif frame.kind == "metadata":
                    usage = _usage(_decode_metadata(frame.payload).usage) or usage
                    continue
                elif frame.failed:
                    failure = InBandError(frame.kind, _fault(frame))
                    break
                else:
                    chunk = self._seldom(frame)
            except (msgspec.DecodeError, RecursionError) as exc:
                failure = exc
                break
            if chunk is not None:
                chunks.append(chunk)
        return Batch(chunks, usage=usage), failure

    def _delta(self, event: wire.BlockDelta) -> Chunk | None:
        delta = event.delta
        if delta.text:
            self._said = True
            return Chunk(delta.text)
        if delta.tool_use is not None:
            call = self._calls.get(event.content_block_index)
            if call is None or not delta.tool_use.input:
                return None
            self._unargued.discard(event.content_block_index)
            return Chunk(tool_calls=(ToolCallDelta(call, arguments_json=delta.tool_use.input),))
        thought = delta.reasoning_content
        if thought is not None and (thought.text or thought.signature or thought.redacted_content):
            signature = (thought.signature or "").encode()
            return Chunk(
                reasoning=Reasoned(thought.text or "", signature, thought.redacted_content or b"", self._provider)
            )
        return None

    def _seldom(self, frame: Frame) -> Chunk | None:
        match frame.kind:
            case "contentBlockStart":
                return self._begun(_decode_start(frame.payload))
            case "contentBlockStop":
                return self._ended(_decode_block_stop(frame.payload).content_block_index)
            case "messageStop":
                return self._stopped(_decode_message_stop(frame.payload).stop_reason)
            case _:
                return None  # the role, and what AWS may add

    def _stopped(self, reason: str) -> Chunk | None:
        if reason in _UNUSABLE:
            self.unusable = reason
            return None
        finish = finish_reason(reason)
        if finish is FinishReason.CONTENT_FILTER and not self._said:
            self.blocked = reason
            return None
        return Chunk(finish_reason=finish)

    def _begun(self, event: wire.BlockStart) -> Chunk | None:
        use = event.start.tool_use if event.start is not None else None
        if use is None or use.type == _VENDORS_OWN:
            return None
        if len(self._calls) >= _MOST_BLOCKS:
            raise msgspec.ValidationError("the answer has too many calls")
        number = self._calls[event.content_block_index] = len(self._calls)
        self._unargued.add(event.content_block_index)
        self._said = True
        return Chunk(tool_calls=(ToolCallDelta(number, use.tool_use_id, use.name),))

    def _ended(self, index: int) -> Chunk | None:
        """A call without arguments streams none; whole, it has an empty object."""
        if index not in self._unargued:
            return None
        self._unargued.discard(index)
        return Chunk(tool_calls=(ToolCallDelta(self._calls[index], arguments_json="{}"),))


def _fault(frame: Frame) -> wire.Fault:
    if not frame.payload:
        return wire.Fault(message=frame.message)
    try:
        return _decode_fault(frame.payload)
    except (msgspec.DecodeError, RecursionError):
        return wire.Fault(message=frame.message)


def _usage(counted: wire.Usage | None) -> Usage | None:
    """AWS counts what it read from the cache and wrote to it beside the input; here they are parts of it."""
    if counted is None or counted.input_tokens is None or counted.output_tokens is None:
        return None
    read, written = counted.cache_read_input_tokens or 0, counted.cache_write_input_tokens or 0
    return Usage(
        input_tokens=counted.input_tokens + read + written,
        output_tokens=counted.output_tokens,
        cached_input_tokens=read,
        cache_write_input_tokens=written,
        long_cache_write_input_tokens=sum(
            detail.input_tokens or 0 for detail in counted.cache_details or () if detail.ttl == _LONG
        ),
    )
