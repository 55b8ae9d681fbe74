"""Converse's answers, whole and in events, in OmniX's words; those that were recorded are cited in the data."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omnix_adapter_bedrock import wire
from omnix_adapter_bedrock.errors import error_in_band
from omnix_adapter_bedrock.eventstream import EventStream, Frame
from omnix_adapter_bedrock.translate import Blocked, EventReader, InBandError, completion_from_wire
from omnix_provider.errors import Unavailable
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

SAMPLES: dict[str, Any] = json.loads((Path(__file__).parent / "data/samples.json").read_text())


def whole(*content: Any, reason: str = "end_turn", **more: Any) -> Completion:
    said = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, **more}
    return completion_from_wire(msgspec.json.encode(said), "bedrock", "r1")


def frame(kind: str, **payload: Any) -> Frame:
    return Frame(kind, msgspec.json.encode({**payload, "p": "abcd"}))


def delta(index: int, **what: Any) -> Frame:
    return frame("contentBlockDelta", contentBlockIndex=index, delta=what)


def read(*frames: Frame) -> Batch:
    batch, failure = EventReader("bedrock").batch(frames)
    assert failure is None
    return batch


def test_recorded_call_with_reasoning() -> None:
    sample = SAMPLES["call-with-reasoning"]["json"]
    [thought, said, _] = sample["output"]["message"]["content"]
    told = thought["reasoningContent"]["reasoningText"]
    assert completion_from_wire(msgspec.json.encode(sample), "bedrock") == Completion(
        choices=(
            Choice(
                0,
                Message(
                    Role.ASSISTANT,
                    (Text(said["text"]),),
                    tool_calls=(ToolCall("tooluse_K1lsjyEkuj5bbg5tAkGAhO", "get_resistor_value", '{"ref":"R1"}'),),
                    reasoning=(Reasoned(told["text"], told["signature"].encode(), provider="bedrock"),),
                ),
                FinishReason.TOOL_CALLS,
            ),
        ),
        usage=Usage(input_tokens=515, output_tokens=100),
    )


def test_recorded_answer_of_nova() -> None:
    sample = SAMPLES["nova-2-that-hides-its-reasoning"]["json"]
    [choice] = completion_from_wire(msgspec.json.encode(sample), "bedrock").choices
    assert choice.message.reasoning == (Reasoned("[REDACTED].", provider="bedrock"),)
    assert choice.message.parts == (Text("ok"),)


def test_recorded_stream() -> None:
    frames = EventStream().feed(b64decode(SAMPLES["stream-of-claude"]["base64"]))
    assert [each.kind for each in frames] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert read(*frames) == Batch(
        [Chunk("OK"), Chunk("."), Chunk(finish_reason=FinishReason.STOP)], usage=Usage(input_tokens=12, output_tokens=5)
    )


def test_recorded_exception_in_a_stream() -> None:
    frames = EventStream().feed(b64decode(SAMPLES["exception-in-a-stream"]["base64"]))
    _, failure = EventReader("bedrock").batch(frames)
    assert isinstance(failure, InBandError)
    assert failure.kind == "modelStreamErrorException"
    assert failure.fault == wire.Fault("Model Stream Error", original_status_code=500)
    error = error_in_band(failure, "bedrock")
    assert isinstance(error, Unavailable)
    assert (str(error), error.provider_status, error.reached) == ("Model Stream Error", None, True)


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_finish_reasons(reason: str, meaning: FinishReason) -> None:
    assert whole({"text": "a"}, reason=reason).choices[0].finish_reason is meaning
    text = frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "a"})
    assert read(text, frame("messageStop", stopReason=reason)).chunks[1:] == [Chunk(finish_reason=meaning)]


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
def test_answer_of_which_a_filter_leaves_nothing_is_blocked(reason: str) -> None:
    with pytest.raises(Blocked, match=reason):
        whole(reason=reason)
    reader = EventReader("bedrock")
    thought = frame("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "hm"}})
    batch, failure = reader.batch([thought, frame("messageStop", stopReason=reason)])
    assert (batch.chunks[-1].finish_reason, failure, reader.blocked) == (None, None, reason)


def test_usage_holds_the_cached_and_the_cache_written_among_the_input() -> None:
    counted = {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 115,
        "cacheReadInputTokens": 70,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
    }
    meant = Usage(
        input_tokens=110,
        output_tokens=5,
        cached_input_tokens=70,
        cache_write_input_tokens=30,
        long_cache_write_input_tokens=20,
    )
    assert whole(usage=counted).usage == meant
    assert read(frame("metadata", usage=counted, metrics={"latencyMs": 1})).usage == meant
    assert whole({"text": "a"}).usage is None


def test_whole_answer_of_many_blocks() -> None:
    answer = whole(
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"text": "One, "},
        {"citationsContent": {"content": [{"text": "two"}], "citations": []}},
        {"toolUse": {"toolUseId": "a", "name": "t", "input": {}}},
        {"toolUse": {"toolUseId": "b", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"image": {"format": "png", "source": {"bytes": "AAEC"}}},
        serviceTier={"type": "flex"},
        trace={"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/m"}},
    )
    assert answer == Completion(
        choices=(
            Choice(
                0,
                Message(
                    Role.ASSISTANT,
                    (Text("One, two"),),
                    tool_calls=(ToolCall("a", "t", "{}"),),
                    reasoning=(Reasoned(redacted=b"\x00\x01\x02", provider="bedrock"),),
                ),
                FinishReason.STOP,
            ),
        ),
        vendor_id="r1",
        vendor_model="arn:aws:bedrock:us-east-1::foundation-model/m",
        service_tier="flex",
    )


def test_empty_answer_has_no_parts() -> None:
    assert whole().choices[0].message == Message(Role.ASSISTANT)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"output":{"message":{"content":[]}}}', b"<html>", b"[" * 5000])
def test_what_is_no_answer_is_told_apart(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        completion_from_wire(body, "bedrock")


def test_parallel_calls_are_numbered_by_their_order() -> None:
    batch = read(
        frame("messageStart", role="assistant"),
        delta(0, reasoningContent={"text": "Hm."}),
        delta(0, reasoningContent={"text": ""}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        delta(1, reasoningContent={"redactedContent": "AAEC"}),
        delta(2, text="Both."),
        frame("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "a", "name": "t"}}),
        delta(3, toolUse={"input": ""}),
        delta(3, toolUse={"input": '{"x":'}),
        delta(3, toolUse={"input": "1}"}),
        frame("contentBlockStop", contentBlockIndex=3),
        frame(
            "contentBlockStart",
            contentBlockIndex=4,
            start={"toolUse": {"toolUseId": "s", "name": "own", "type": "server_tool_use"}},
        ),
        delta(4, toolUse={"input": "{}"}),
        frame("contentBlockStart", contentBlockIndex=5, start={"toolUse": {"toolUseId": "b", "name": "u"}}),
        frame("contentBlockStop", contentBlockIndex=5),
        frame("somethingNew", a=1),
        frame("messageStop", stopReason="tool_use"),
    )
    assert batch.chunks == [
        Chunk(reasoning=Reasoned("Hm.", provider="bedrock")),
        Chunk(reasoning=Reasoned(signature=b"c2ln", provider="bedrock")),
        Chunk(reasoning=Reasoned(redacted=b"\x00\x01\x02", provider="bedrock")),
        Chunk("Both."),
        Chunk(tool_calls=(ToolCallDelta(0, "a", "t"),)),
        Chunk(tool_calls=(ToolCallDelta(0, arguments_json='{"x":'),)),
        Chunk(tool_calls=(ToolCallDelta(0, arguments_json="1}"),)),
        Chunk(tool_calls=(ToolCallDelta(1, "b", "u"),)),
        Chunk(tool_calls=(ToolCallDelta(1, arguments_json="{}"),)),
        Chunk(finish_reason=FinishReason.TOOL_CALLS),
    ]


def test_content_before_a_bad_frame_counts() -> None:
    batch, failure = EventReader("bedrock").batch(
        [delta(0, text="a"), Frame("contentBlockDelta", b"{"), delta(0, text="b")]
    )
    assert isinstance(failure, msgspec.DecodeError)
    assert batch.chunks == [Chunk("a")]


def test_error_without_a_payload_is_told_by_its_headers() -> None:
    _, failure = EventReader("bedrock").batch([Frame("internalServerException", b"", True, "It broke.")])
    assert isinstance(failure, InBandError)
    assert (failure.kind, failure.fault.message) == ("internalServerException", "It broke.")
