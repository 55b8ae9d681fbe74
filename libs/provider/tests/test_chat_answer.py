"""Answers of the format, whole and event by event."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from omnix_kit.errors import Reason
from omnix_provider.chatcompletions import wire
from omnix_provider.chatcompletions.answer import completion_from_wire
from omnix_provider.chatcompletions.errors import InBandError, error_in_band
from omnix_provider.chatcompletions.events import EventReader
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

LIKELY = {"token": "y", "logprob": -0.25, "bytes": None}


def test_whole_answer_is_read_with_everything_in_it() -> None:
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_1",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Grüße 😀", "refusal": None, "annotations": []},
                "logprobs": {
                    "content": [{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": [LIKELY]}],
                    "refusal": None,
                },
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Hm",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                },
                "finish_reason": "tool_calls",
            },
            {"index": 2, "message": {"content": None, "refusal": "No."}, "finish_reason": "a new one"},
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": None},
        },
    }
    assert completion_from_wire(msgspec.json.encode(answer)) == Completion(
        choices=(
            Choice(
                0,
                Message(Role.ASSISTANT, (Text("Grüße 😀"),)),
                FinishReason.STOP,
                (TokenLogprob("x", -0.5, b"x", (TokenLogprob("y", -0.25),)),),
            ),
            Choice(
                1,
                Message(
                    Role.ASSISTANT,
                    tool_calls=(ToolCall("c1", "f", '{"a":1}'),),
                    reasoning=(Reasoned("Hm"),),
                ),
                FinishReason.TOOL_CALLS,
            ),
            Choice(2, Message(Role.ASSISTANT, refusal="No."), FinishReason.OTHER),
        ),
        usage=Usage(10, 20, 4, 7, 2, 1),
        create_time=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        vendor_model="gpt-4o-2024-08-06",
        vendor_id="chatcmpl-1",
        system_fingerprint="fp_1",
        service_tier="default",
    )


def test_sparse_answer_of_a_compatible_server_is_read() -> None:
    answer = b'{"choices":[{"message":{"content":"x"},"finish_reason":"length"}],"usage":null}'
    assert completion_from_wire(answer) == Completion(
        choices=(Choice(0, Message(Role.ASSISTANT, (Text("x"),)), FinishReason.LENGTH),)
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{"message":3}]}',
        b'{"choices":[{"message":{},"finish_reason":"stop","logprobs":{"content":[{"token":"x","bytes":[256]}]}}]}',
        b'{"choices":[{"message":{"content":"x"}}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":""}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"insufficient_system_resource"}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}',
    ],
)
def test_answer_that_is_none_is_an_error(answer: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        completion_from_wire(answer)


def _event(delta: dict[str, Any] | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return msgspec.json.encode({"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more})


@pytest.mark.parametrize(
    ("event", "chunks"),
    [
        (_event({"role": "assistant", "content": ""}), []),
        (_event({"content": "日本"}), [Chunk("日本")]),
        (_event({"content": "x"}, index=2), [Chunk("x", 2)]),
        (_event({}, "stop"), [Chunk(finish_reason=FinishReason.STOP)]),
        (_event(None, "length"), [Chunk(finish_reason=FinishReason.LENGTH)]),
        (_event({}, "content_filter"), [Chunk(finish_reason=FinishReason.CONTENT_FILTER)]),
        (_event({}, "function_call"), [Chunk(finish_reason=FinishReason.TOOL_CALLS)]),
        (_event({"content": "!"}, "strange"), [Chunk("!", finish_reason=FinishReason.OTHER)]),
        (_event({}, "model_length"), [Chunk(finish_reason=FinishReason.LENGTH)]),
        (_event({"content": "!"}, "abort"), [Chunk("!")]),
        (_event({}, "error"), []),
        (_event({}, "insufficient_system_resource"), []),
        (_event({"refusal": "No"}), [Chunk(refusal="No")]),
        (_event({"reasoning_content": "Hm"}), [Chunk(reasoning=Reasoned("Hm"))]),
        (_event({"reasoning": "Hm", "content": ""}), [Chunk(reasoning=Reasoned("Hm"))]),
        (
            _event({"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "f"}}]}),
            [Chunk(tool_calls=(ToolCallDelta(1, "c", "f"),))],
        ),
        (
            _event({"tool_calls": [{"index": 0, "function": {"arguments": '{"'}}]}),
            [Chunk(tool_calls=(ToolCallDelta(0, arguments_json='{"'),))],
        ),
        (_event({"content": "x"}, ""), [Chunk("x")]),
        (_event({}, ""), []),
        (b'{"choices":[]}', []),
        (b"{}", []),
    ],
)
def test_event_becomes_its_chunk(event: bytes, chunks: list[Chunk]) -> None:
    assert EventReader().batch([event]) == (Batch(chunks), None)


def test_events_of_one_read_become_one_batch() -> None:
    reader = EventReader()
    batch, failure = reader.batch(
        [
            _event({"role": "assistant"}, created=1, model="m", system_fingerprint="fp", service_tier="flex"),
            _event({"content": "a"}, model="m"),
            _event({}, "stop", model="m"),
            b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
            b"[DONE]",
            _event({"content": "after the end"}),
        ]
    )
    assert failure is None
    assert batch == Batch(
        [Chunk("a"), Chunk(finish_reason=FinishReason.STOP)],
        Head(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "m", "fp", "flex"),
        Usage(1, 2),
        True,
    )
    assert reader.batch([_event({"content": "b"}, model="m")])[0].head is None


@pytest.mark.parametrize("bad", [b'{"model":"\xff"}', b"{", b'{"choices": 7}', b"null", b"[" * 5000])
def test_content_before_an_event_that_cannot_be_read_counts(bad: bytes) -> None:
    batch, failure = EventReader().batch([_event({"content": "a"}), bad, _event({"content": "b"})])
    assert batch.chunks == [Chunk("a")]
    assert isinstance(failure, wire.UNREADABLE)


@pytest.mark.parametrize("told", ['{"message":"no","type":"server_error","code":null}', '"no"'])
def test_error_inside_a_stream_is_told(told: str) -> None:
    _, failure = EventReader().batch([f'{{"error":{told}}}'.encode()])
    assert isinstance(failure, InBandError)
    assert failure.error.message == "no"


def test_arguments_as_an_object_become_their_text() -> None:
    call = {"id": "0", "type": "function", "function": {"name": "f", "arguments": {"a": [1, "b"]}}}
    answer = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "stop"}]}
    [choice] = completion_from_wire(msgspec.json.encode(answer)).choices
    assert choice.message.tool_calls == (ToolCall("0", "f", '{"a":[1,"b"]}'),)


def test_choice_that_calls_ends_for_its_calls() -> None:
    call = {"id": "0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choices = [{"message": {"tool_calls": [call]}, "finish_reason": reason} for reason in ("stop", "length")]
    read = completion_from_wire(msgspec.json.encode({"choices": choices})).choices
    assert [choice.finish_reason for choice in read] == [FinishReason.TOOL_CALLS, FinishReason.LENGTH]
    assert streamed(
        {"index": 1, "delta": {"tool_calls": [{"index": 0, "id": "0", "function": {"name": "f"}}]}},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
        {"index": 1, "delta": {}, "finish_reason": "stop"},
    ) == [
        Chunk(choice_index=1, tool_calls=(ToolCallDelta(0, "0", "f"),)),
        Chunk(choice_index=0, finish_reason=FinishReason.STOP),
        Chunk(choice_index=1, finish_reason=FinishReason.TOOL_CALLS),
    ]


def test_id_of_a_call_is_told_once() -> None:
    pieces = [{"tool_calls": [{"index": 0, "id": "0", "function": {"name": name, "arguments": "{"}}]} for name in "f-"]
    first, second = streamed(*({"delta": piece} for piece in pieces))
    assert (first.tool_calls[0].id, second.tool_calls[0].id) == ("0", "")


def test_calls_under_one_index_are_told_apart() -> None:
    """Ollama gives every call the same: https://github.com/ollama/ollama/issues/15457."""
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 0, "id": "b", "function": {"name": "f", "arguments": "[]"}},
        {"id": "c", "function": {"name": "g"}},
        {"function": {"arguments": "{}"}},
        {"index": 1, "id": "d", "function": {"name": "h"}},
    ]
    assert [chunk.tool_calls for chunk in streamed(*({"delta": {"tool_calls": [piece]}} for piece in pieces))] == [
        (ToolCallDelta(0, "a", "f", "{"),),
        (ToolCallDelta(0, arguments_json="}"),),
        (ToolCallDelta(1, "b", "f", "[]"),),
        (ToolCallDelta(2, "c", "g"),),
        (ToolCallDelta(2, arguments_json="{}"),),
        (ToolCallDelta(3, "d", "h"),),
    ]


def test_call_whose_id_changes_with_every_piece_stays_one() -> None:
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f"}},
        {"index": 0, "id": "b", "function": {"arguments": "{}"}},
    ]
    assert [chunk.tool_calls for chunk in streamed(*({"delta": {"tool_calls": [piece]}} for piece in pieces))] == [
        (ToolCallDelta(0, "a", "f"),),
        (ToolCallDelta(0, arguments_json="{}"),),
    ]


def test_calls_are_bounded() -> None:
    calls = [{"index": index, "id": "c"} for index in range(1025)]
    _, failure = EventReader().batch([msgspec.json.encode({"choices": [{"delta": {"tool_calls": calls}}]})])
    assert isinstance(failure, msgspec.ValidationError)


def likely(*tokens: str) -> dict[str, Any]:
    return {"content": [{"token": token, "logprob": -1.0} for token in tokens]}


def streamed(*choices: dict[str, Any]) -> list[Chunk]:
    batch, failure = EventReader().batch([msgspec.json.encode({"choices": [choice]}) for choice in choices])
    assert failure is None
    return list(batch.chunks)


def test_probabilities_come_with_their_text() -> None:
    assert streamed({"delta": {"content": "ab"}, "logprobs": likely("a", "b")}) == [
        Chunk("ab", logprobs=(TokenLogprob("a", -1.0), TokenLogprob("b", -1.0)))
    ]
    refused = {"delta": {"refusal": "no"}, "logprobs": {"refusal": [{"token": "no", "logprob": None}]}}
    assert streamed(refused) == [Chunk(refusal="no", refusal_logprobs=(TokenLogprob("no", -9999.0),))]


def test_probabilities_without_text_wait_for_the_text_of_their_alternative() -> None:
    assert streamed(
        {"index": 0, "delta": {"content": ""}, "logprobs": likely("half")},
        {"index": 1, "delta": {"content": "x"}},
        {"index": 0, "delta": {"content": "é"}, "logprobs": likely("other half")},
        {"index": 0, "delta": {"content": "!"}},
    ) == [
        Chunk("x", 1),
        Chunk("é", logprobs=(TokenLogprob("half", -1.0), TokenLogprob("other half", -1.0))),
        Chunk("!"),
    ]


def test_probabilities_without_text_are_bounded() -> None:
    event = msgspec.json.encode({"choices": [{"delta": {}, "logprobs": likely(*["x"] * 100)}]})
    _, failure = EventReader().batch([event] * 20)
    assert isinstance(failure, msgspec.ValidationError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (wire.Error("x", "server_error"), Reason.PROVIDER_UNAVAILABLE),
        (wire.Error("x", "rate_limit_error"), Reason.RATE_LIMITED),
        (wire.Error("x", None, 503), Reason.PROVIDER_OVERLOADED),
        (wire.Error("x", None, "context_length_exceeded"), Reason.CONTEXT_TOO_LONG),
        (wire.Error(), Reason.PROVIDER_UNAVAILABLE),
    ],
)
def test_error_in_band_has_no_status_because_what_came_before_may_cost(error: wire.Error, reason: Reason) -> None:
    found = error_in_band(error, "openai")
    assert (found.reason, found.provider_status) == (reason, None)
    assert found.message
