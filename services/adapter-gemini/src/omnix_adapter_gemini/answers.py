"""From Gemini's words to OmniX's: whole answers and events. Pure.

Thoughts lie outside Gemini's count of the answer, and what its own tools read outside that of the prompt; both are
added. Safety blocks come as answers with status 200: one before any content becomes ``Blocked``, one after content a
finish reason. An answer whose call or words Gemini itself could not read becomes ``Unusable``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec
from omnix_provider.types import (
    Batch,
    Choice,
    Chunk,
    Completion,
    FinishReason,
    Head,
    Message,
    Reasoned,
    Role,
    Text,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)

from omnix_adapter_gemini import wire

_decode = msgspec.json.Decoder(wire.Answer).decode

_PROVIDER = "gemini"
_FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "STOP": FinishReason.STOP,
        "MAX_TOKENS": FinishReason.LENGTH,
        "CONTINUATION": FinishReason.LENGTH,  # the most of one call; more would take another one
        "SAFETY": FinishReason.CONTENT_FILTER,
        "RECITATION": FinishReason.CONTENT_FILTER,
        "BLOCKLIST": FinishReason.CONTENT_FILTER,
        "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
        "SPII": FinishReason.CONTENT_FILTER,
        "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
        "ESCALATION": FinishReason.CONTENT_FILTER,
        "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
        "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
        "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    }
)
"""https://ai.google.dev/api/generate-content#FinishReason; any other is ``OTHER`` or one of ``_UNUSABLE``."""
_UNUSABLE = frozenset(
    {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"}
)


class NoAnswer(Exception):
    """An answer came, and there is nothing to hand on."""

    usage: Usage | None = None
    """Of a whole answer; a stream tells it beside the fault."""


class Blocked(NoAnswer):
    """Nothing was said, because a filter forbade it; the argument names which."""


class Unusable(NoAnswer):
    """The model's answer is not one; the argument is Gemini's finish reason."""


class Unspeakable(NoAnswer):
    """The answer holds what OmniX's contract has no place for; the argument says what."""


class InBandError(Exception):
    """The vendor told of an error inside a stream that had begun well."""

    def __init__(self, error: wire.Error) -> None:
        super().__init__(error.message)
        self.error = error


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what is no answer."""
Unreadable = msgspec.DecodeError | UnicodeDecodeError | RecursionError
Fault = Unreadable | Blocked | Unusable | Unspeakable | InBandError


def completion_from_wire(body: bytes, attempt_id: str) -> Completion:
    """Read a whole answer.

    :param attempt_id: names the calls to which Gemini gave no id.
    :raises UNREADABLE: when it is none.
    :raises Blocked, Unusable, Unspeakable: when there is nothing to hand on.
    """
    answer = _decode(body)
    try:
        return _completion(answer, attempt_id)
    except NoAnswer as exc:
        exc.usage = _usage(answer.usage_metadata, estimated=False)
        raise


def _completion(answer: wire.Answer, attempt_id: str) -> Completion:
    if not answer.candidates:
        _refuse_blocked(answer)
        raise msgspec.ValidationError("the answer has no candidates")
    choices = tuple([_choice(each, position, attempt_id) for position, each in enumerate(answer.candidates)])
    if all(each.finish_reason is FinishReason.CONTENT_FILTER and each.message == _SILENT for each in choices):
        raise Blocked(answer.candidates[0].finish_reason or "")
    return Completion(
        choices=choices,
        usage=_usage(answer.usage_metadata, estimated=False),
        create_time=_time(answer.create_time),
        vendor_model=answer.model_version or "",
        vendor_id=answer.response_id or "",
        service_tier=_tier(answer.usage_metadata),
    )


_SILENT = Message(Role.ASSISTANT)


def _refuse_blocked(answer: wire.Answer) -> None:
    if answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
        raise Blocked(answer.prompt_feedback.block_reason)


def _choice(candidate: wire.Candidate, position: int, attempt_id: str) -> Choice:
    index = position if candidate.index is None else candidate.index
    if not candidate.finish_reason:
        raise msgspec.ValidationError("a candidate has no finish reason, so it may not be whole")
    texts: list[str] = []
    reasoning: list[Reasoned] = []
    calls: list[ToolCall] = []
    for part in _parts(candidate):
        if part.function_call is not None:
            calls.append(_call(part, index, len(calls), attempt_id))
        elif part.thought:
            reasoning.append(_thought(part))
        else:
            texts.append(_text(part))
            if part.thought_signature:
                reasoning.append(_signature(part.thought_signature))
    return Choice(
        index=index,
        message=Message(
            role=Role.ASSISTANT,
            parts=(Text(text),) if (text := "".join(texts)) else (),
            tool_calls=tuple(calls),
            reasoning=tuple(reasoning),
        ),
        finish_reason=_finish_reason(candidate.finish_reason, called=bool(calls)),
        logprobs=_logprobs(candidate.logprobs_result),
    )


def _parts(candidate: wire.Candidate) -> Sequence[wire.Part]:
    return (candidate.content and candidate.content.parts) or ()


def _thought(part: wire.Part) -> Reasoned:
    return Reasoned(part.text or "", (part.thought_signature or "").encode(), provider=_PROVIDER)


def _signature(signature: str) -> Reasoned:
    """Of a part that is no thought: handed back with the text it came on, kept as Gemini wrote it."""
    return Reasoned("", signature.encode(), provider=_PROVIDER)


def _call(part: wire.Part, index: int, number: int, attempt_id: str) -> ToolCall:
    call = part.function_call
    if call is None or not call.name or bytes(call.partial_args):
        raise msgspec.ValidationError("a function call has no name, or comes in pieces that were not asked for")
    return ToolCall(
        call.id or f"call_{attempt_id}_{index}_{number}",
        call.name,
        msgspec.json.format(_arguments(call), indent=-1).decode(),
        (part.thought_signature or "").encode(),
    )


def _arguments(call: wire.FunctionCall) -> bytes:
    given = bytes(call.args)
    return b"{}" if given in (b"", b"null") else given


def _text(part: wire.Part) -> str:
    """Of a part that is no call. An empty one says nothing."""
    if part.text:
        return part.text
    if part.inline_data is not None or part.file_data is not None:
        raise Unspeakable("an image, a sound or a file")
    if part.executable_code is not None or part.code_execution_result is not None or part.tool_call is not None:
        raise Unspeakable("the work of one of Google's own tools")
    return ""


def _finish_reason(told: str, *, called: bool) -> FinishReason:
    if told in _UNUSABLE:
        raise Unusable(told)
    reason = _FINISH_REASONS.get(told, FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if called and reason is FinishReason.STOP else reason


def _logprobs(result: wire.Logprobs | None) -> tuple[TokenLogprob, ...]:
    if result is None or not result.chosen_candidates:
        return ()
    tops = result.top_candidates or []
    return tuple(
        [
            _likely(chosen, tops[place].candidates if place < len(tops) else None)
            for place, chosen in enumerate(result.chosen_candidates)
        ]
    )


def _likely(token: wire.LikelyToken, top: Sequence[wire.LikelyToken] | None) -> TokenLogprob:
    return TokenLogprob(
        token=token.token or "",
        logprob=token.log_probability or 0.0,
        top=tuple([TokenLogprob(each.token or "", each.log_probability or 0.0) for each in top or ()]),
    )


class EventReader:
    """Reads the events of one stream."""

    __slots__ = ("_alternatives", "_attempt_id", "_calls", "_finished", "_head_told", "_said")

    def __init__(self, attempt_id: str, alternatives: int = 1) -> None:
        self._attempt_id = attempt_id
        self._alternatives = alternatives
        self._head_told = False
        self._said = False
        self._calls: dict[int, int] = {}
        """How many each alternative made so far."""
        self._finished: set[int] = set()

    @property
    def whole(self) -> bool:
        """Some alternative has its finish reason. Gemini has no end marker; the end of the body stands for it."""
        return bool(self._finished)

    def batch(self, events: Sequence[bytes]) -> tuple[Batch, Fault | None]:
        """What came with these events, and what is wrong with the one at which reading ended, if any.

        Content that came before a bad event counts all the same. Until the finish reason, or the word that there will
        be none, usage is flagged as estimated: it is Gemini's count, but of what was made so far.
        """
        fault: Fault | None = None
        chunks: list[Chunk] = []
        head: Head | None = None
        usage: wire.Usage | None = None
        for data in events:
            try:
                event = _decode(data)
                if event.error is not None:
                    raise InBandError(event.error)
                if event.usage_metadata is not None and event.usage_metadata.prompt_token_count is not None:
                    usage = event.usage_metadata
                if event.candidates:
                    for position, candidate in enumerate(event.candidates):
                        self._take(candidate, position, chunks)
                else:
                    _refuse_blocked(event)
            except (*UNREADABLE, Blocked, Unusable, Unspeakable, InBandError) as exc:
                fault = exc
                break
            if not self._head_told and event.model_version:
                self._head_told = True
                head = Head(_time(event.create_time), event.model_version, "", _tier(event.usage_metadata))
        self._said = self._said or bool(chunks)
        over = bool(self._finished) or isinstance(fault, NoAnswer)
        return Batch(chunks, head, _usage(usage, estimated=not over)), fault

    def _take(self, candidate: wire.Candidate, position: int, chunks: list[Chunk]) -> None:
        index = position if candidate.index is None else candidate.index
        parts = _parts(candidate)
        told = candidate.finish_reason
        if not told and len(parts) == 1 and candidate.logprobs_result is None:  # as nearly every event is
            chunk = self._chunk(parts[0], index)
            if chunk is not None:
                chunks.append(chunk)
            return
        made = [chunk for part in parts if (chunk := self._chunk(part, index)) is not None]
        logprobs = _logprobs(candidate.logprobs_result)
        if told:
            reason = _finish_reason(told, called=index in self._calls)
            silent = self._alternatives == 1 and not (made or chunks or self._said)
            if silent and reason is FinishReason.CONTENT_FILTER:
                raise Blocked(told)
            self._finished.add(index)
            last = made.pop() if made else Chunk(choice_index=index)
            made.append(msgspec.structs.replace(last, finish_reason=reason))
        if logprobs:
            first = made[0] if made else Chunk(choice_index=index)
            made[:1] = [msgspec.structs.replace(first, logprobs=logprobs)]
        chunks += made

    def _chunk(self, part: wire.Part, index: int) -> Chunk | None:
        """None for a part that says nothing."""
        signature = part.thought_signature
        if part.function_call is not None:
            number = self._calls.get(index, 0)
            call = _call(part, index, number, self._attempt_id)
            self._calls[index] = number + 1
            return Chunk("", index, (ToolCallDelta(number, call.id, call.name, call.arguments_json, call.signature),))
        if part.thought:
            return Chunk("", index, (), _thought(part)) if part.text or signature else None
        text = _text(part)
        if signature:
            return Chunk(text, index, (), _signature(signature))
        return Chunk(text, index) if text else None


def _usage(usage: wire.Usage | None, *, estimated: bool) -> Usage | None:
    if usage is None or usage.prompt_token_count is None:
        return None
    thoughts = usage.thoughts_token_count or 0
    audio = _of_audio(usage.prompt_tokens_details) + _of_audio(usage.tool_use_prompt_tokens_details)
    return Usage(
        input_tokens=usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0),
        output_tokens=(usage.candidates_token_count or 0) + thoughts,
        cached_input_tokens=usage.cached_content_token_count or 0,
        reasoning_tokens=thoughts,
        audio_input_tokens=audio,
        audio_output_tokens=_of_audio(usage.candidates_tokens_details),
        estimated=estimated,
    )


def _of_audio(details: Sequence[wire.TokenCount] | None) -> int:
    return sum(each.token_count or 0 for each in details if each.modality == "AUDIO") if details else 0


def _tier(usage: wire.Usage | None) -> str:
    return "" if usage is None else usage.service_tier or usage.traffic_type or ""


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return time if time.tzinfo is not None else None
