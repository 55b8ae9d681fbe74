"""Tables of what Gemini answers and what it is in OmniX's words; ``data/streams.json`` says where some are from."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini.answers import (
    Blocked,
    EventReader,
    Fault,
    InBandError,
    Unspeakable,
    Unusable,
    completion_from_wire,
)
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

ID = "a" * 32
RECORDED: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "data" / "streams.json").read_bytes())


def said(*parts: dict[str, Any], reason: str | None = "STOP", index: int | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **more}
    if reason is not None:
        candidate["finishReason"] = reason
    if index is not None:
        candidate["index"] = index
    return candidate


def answered(*candidates: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"candidates": candidates, **more})


def whole(*candidates: dict[str, Any], **more: Any) -> Completion:
    return completion_from_wire(answered(*candidates, **more), ID)


def read(*events: bytes, alternatives: int = 1) -> tuple[Batch, Fault | None]:
    return EventReader(ID, alternatives).batch(events)


def test_whole_answer_is_read_to_the_last_detail() -> None:
    body = msgspec.json.format(
        answered(
            said(
                {"text": "Hm.", "thought": True},
                {"text": "Grüezi", "thoughtSignature": "c2ln"},
                {"text": "!"},
                {"functionCall": {"name": "f", "args": {"a": 1.50}, "id": "x"}, "thoughtSignature": "c2ln2"},
                {"functionCall": {"name": "g"}},
                index=0,
            ),
            usageMetadata={
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 5,
                "candidatesTokenCount": 7,
                "thoughtsTokenCount": 4,
                "cachedContentTokenCount": 3,
                "totalTokenCount": 26,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}, {"modality": "TEXT", "tokenCount": 4}],
                "candidatesTokensDetails": [{"modality": "AUDIO"}],
                "serviceTier": "flex",
            },
            modelVersion="gemini-3.8-flash",
            responseId="r1",
            createTime="2026-11-22T10:00:00.5Z",
        ),
        indent=2,
    )
    assert completion_from_wire(body, ID) == Completion(
        choices=(
            Choice(
                0,
                Message(
                    Role.ASSISTANT,
                    (Text("Grüezi!"),),
                    tool_calls=(
                        ToolCall("x", "f", '{"a":1.5}', b"c2ln2"),
                        ToolCall(f"call_{ID}_0_1", "g", "{}"),
                    ),
                    reasoning=(Reasoned("Hm.", provider="gemini"), Reasoned("", b"c2ln", provider="gemini")),
                ),
                FinishReason.TOOL_CALLS,
            ),
        ),
        usage=Usage(15, 11, 3, 4, audio_input_tokens=6),
        create_time=datetime(2026, 11, 22, 10, 0, 0, 500_000, UTC),
        vendor_model="gemini-3.8-flash",
        vendor_id="r1",
        service_tier="flex",
    )


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("CONTINUATION", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("SPII", FinishReason.CONTENT_FILTER),
        ("BLOCKLIST", FinishReason.CONTENT_FILTER),
        ("MODEL_ARMOR", FinishReason.CONTENT_FILTER),
        ("LANGUAGE", FinishReason.OTHER),
        ("OTHER", FinishReason.OTHER),
        ("TOO_MANY_TOOL_CALLS", FinishReason.OTHER),
        ("TOMORROWS_REASON", FinishReason.OTHER),
    ],
)
def test_finish_reasons(told: str, reason: FinishReason) -> None:
    [choice] = whole(said({"text": "a"}, reason=told)).choices
    assert choice.finish_reason is reason
    batch, fault = read(answered(said({"text": "a"}, reason=told)))
    assert (list(batch.chunks), fault) == ([Chunk("a", finish_reason=reason)], None)


def test_call_that_is_cut_off_is_no_call_to_make() -> None:
    [choice] = whole(said({"functionCall": {"name": "f"}}, reason="MAX_TOKENS")).choices
    assert choice.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("body", "fault", "told"),
    [
        (msgspec.json.encode({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), Blocked, "PROHIBITED_CONTENT"),
        (answered(said(reason="SAFETY")), Blocked, "SAFETY"),
        (answered({"finishReason": "RECITATION"}), Blocked, "RECITATION"),
        (answered(said(reason="MALFORMED_FUNCTION_CALL")), Unusable, "MALFORMED_FUNCTION_CALL"),
        (answered(said(reason="UNEXPECTED_TOOL_CALL")), Unusable, "UNEXPECTED_TOOL_CALL"),
        (answered(said({"inlineData": {"mimeType": "image/png", "data": ""}})), Unspeakable, "an image"),
        (answered(said({"inlineData": {}, "thoughtSignature": "x"})), Unspeakable, "an image"),
        (answered(said({"executableCode": {"code": "1"}})), Unspeakable, "own tools"),
        (answered(said({"functionCall": {"args": {}}})), msgspec.ValidationError, "no name"),
        (answered(said({"functionCall": {"name": "f", "partialArgs": []}})), msgspec.ValidationError, "pieces"),
        (b'{"candidates": 1}', msgspec.ValidationError, "candidates"),
        (b"[" * 10_000, Exception, "depth|Expected"),
        (b"<html>", msgspec.DecodeError, "malformed"),
    ],
)
def test_what_is_no_answer_is_a_fault_whole_and_streamed(body: bytes, fault: type[Exception], told: str) -> None:
    with pytest.raises(fault, match=told):
        completion_from_wire(body, ID)
    batch, found = read(body)
    assert isinstance(found, fault)
    assert not batch.chunks


@pytest.mark.parametrize("body", [b"{}", b'{"candidates": []}', answered(said({"text": "a"}, reason=None))])
def test_whole_answer_needs_a_candidate_with_a_reason(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        completion_from_wire(body, ID)


def test_filter_in_the_middle_is_a_finish_reason() -> None:
    reader = EventReader(ID)
    first, _ = reader.batch([answered(said({"text": "a"}, reason=None))])
    last, fault = reader.batch([answered({"finishReason": "SAFETY"})])
    assert (list(first.chunks), list(last.chunks), fault) == (
        [Chunk("a")],
        [Chunk(finish_reason=FinishReason.CONTENT_FILTER)],
        None,
    )


def test_filtered_alternative_takes_nothing_from_the_others() -> None:
    batch, fault = read(answered({"finishReason": "SAFETY"}, said({"text": "b"}, index=1)), alternatives=2)
    assert fault is None
    assert list(batch.chunks) == [
        Chunk(finish_reason=FinishReason.CONTENT_FILTER),
        Chunk("b", 1, finish_reason=FinishReason.STOP),
    ]
    filtered, said_b = whole({"finishReason": "SAFETY"}, said({"text": "b"}, index=1)).choices
    assert (filtered.finish_reason, said_b.message.parts) == (FinishReason.CONTENT_FILTER, (Text("b"),))


def test_empty_answer_is_one() -> None:
    [choice] = whole({"finishReason": "STOP"}).choices
    assert choice == Choice(0, Message(Role.ASSISTANT), FinishReason.STOP)
    batch, fault = read(answered(said({"text": ""})))
    assert (list(batch.chunks), fault) == ([Chunk(finish_reason=FinishReason.STOP)], None)


def test_stream_gives_parts_in_order_and_numbers_the_calls() -> None:
    reader = EventReader(ID)
    batch, fault = reader.batch(
        [
            answered(said({"text": "Hm.", "thought": True}, reason=None), modelVersion="m", createTime="soon"),
            answered(said({"text": ""}, reason=None), modelVersion="m"),
            answered(said({"text": "a"}, {"functionCall": {"name": "f", "args": {"x": [1, 2]}}}, reason=None)),
            answered(said({"functionCall": {"name": "g", "id": "7"}, "thoughtSignature": "s"}, reason=None)),
            answered(said({"text": "", "thoughtSignature": "t"}), usageMetadata={"promptTokenCount": 1}),
        ]
    )
    assert fault is None
    assert reader.whole
    assert batch == Batch(
        [
            Chunk(reasoning=Reasoned("Hm.", provider="gemini")),
            Chunk("a"),
            Chunk(tool_calls=(ToolCallDelta(0, f"call_{ID}_0_0", "f", '{"x":[1,2]}'),)),
            Chunk(tool_calls=(ToolCallDelta(1, "7", "g", "{}", b"s"),)),
            Chunk(reasoning=Reasoned("", b"t", provider="gemini"), finish_reason=FinishReason.TOOL_CALLS),
        ],
        Head(vendor_model="m"),
        Usage(input_tokens=1),
    )


def test_usage_is_an_estimate_until_the_answer_is_finished() -> None:
    reader = EventReader(ID)
    counted = {"promptTokenCount": 3, "candidatesTokenCount": 1}
    first, _ = reader.batch([answered(said({"text": "a"}, reason=None), usageMetadata=counted)])
    silent, _ = reader.batch([answered(said({"text": "b"}, reason=None), usageMetadata={"trafficType": "ON_DEMAND"})])
    last, _ = reader.batch([answered(said({"text": "c"}), usageMetadata={**counted, "candidatesTokenCount": 3})])
    assert (first.usage, silent.usage, last.usage) == (Usage(3, 1, estimated=True), None, Usage(3, 3))


def test_event_without_counts_hides_none_that_came_with_it() -> None:
    counted, silent = {"promptTokenCount": 3, "candidatesTokenCount": 1}, {"trafficType": "ON_DEMAND"}
    batch, _ = read(answered(said({"text": "a"}), usageMetadata=counted), answered(usageMetadata=silent))
    assert batch.usage == Usage(3, 1)


def test_probabilities_of_tokens() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "c", "logProbability": -2}]}
        ],
    }
    expected = (
        TokenLogprob("a", -0.5, top=(TokenLogprob("a", -0.5), TokenLogprob("c", -2.0))),
        TokenLogprob("b", 0.0),
    )
    assert whole(said({"text": "ab"}, logprobsResult=result)).choices[0].logprobs == expected
    batch, _ = read(answered(said({"text": "ab"}, reason=None, logprobsResult=result)))
    assert list(batch.chunks) == [Chunk("ab", logprobs=expected)]
    batch, _ = read(answered(said(reason=None, logprobsResult=result)))
    assert list(batch.chunks) == [Chunk(logprobs=expected)]


def test_error_inside_a_stream_ends_it_after_what_came_before() -> None:
    error = b'{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}'
    batch, fault = read(answered(said({"text": "a"}, reason=None)), error, answered(said({"text": "b"})))
    assert list(batch.chunks) == [Chunk("a")]
    assert isinstance(fault, InBandError)
    assert (fault.error.code, fault.error.status) == (503, "UNAVAILABLE")


def recorded(name: str) -> tuple[Batch, Fault | None]:
    return read(*(msgspec.json.encode(event) for event in RECORDED[name]["events"]))


def test_recorded_thoughts_and_call() -> None:
    batch, fault = recorded("thinking-then-call")
    thought, call = batch.chunks
    assert fault is None
    assert thought.reasoning is not None
    assert thought.reasoning.text.startswith("**Investigating File Access**\n\nI'm")
    assert call.finish_reason is FinishReason.TOOL_CALLS
    [delta] = call.tool_calls
    assert (delta.name, delta.signature[:8]) == ("read_file", b"CiQB0e2K")
    assert msgspec.json.decode(delta.arguments_json)["file_path"].endswith("nonexistent/file.txt")
    assert batch.usage == Usage(12303, 222, reasoning_tokens=164)


def test_recorded_text_with_signature() -> None:
    [chunk] = recorded("thinking-then-signed-text")[0].chunks
    assert chunk.reasoning is not None
    assert (chunk.text[:11], chunk.reasoning.text, chunk.finish_reason) == ("I have read", "", FinishReason.STOP)
    assert chunk.reasoning.signature.startswith(b"CikB0e2K")


@pytest.mark.parametrize(
    ("name", "text", "usage"),
    [
        ("text-alone", "File not found", Usage(12588, 3)),
        ("no-count-of-the-answer", "\n", Usage(12723, 0)),
        (
            "reason-with-every-event",
            "In the quaint, sunlit cottage nestled amidst a lush meadow, resided two feline"
            " other and for adventure stronger than ever.",
            None,
        ),
    ],
)
def test_recorded_texts(name: str, text: str, usage: Usage | None) -> None:
    batch, fault = recorded(name)
    assert ("".join(chunk.text for chunk in batch.chunks), batch.usage, fault) == (text, usage, None)
    assert batch.chunks[-1].finish_reason is FinishReason.STOP
