"""Tables of what is said in OmniX's words and what it is in OpenAI's."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from omnix_adapter_openai.dialect import OPENAI, Dialect
from omnix_adapter_openai.translate import EventReader, InBandError, completion_from_wire, request_body
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, Refused, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    Batch,
    Choice,
    Chunk,
    Completion,
    CompletionRequest,
    ComputeMode,
    Effort,
    File,
    FinishReason,
    FormatKind,
    Head,
    Image,
    Message,
    Reasoned,
    Reasoning,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolMode,
    Usage,
)

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", "gpt-4o")
COMPATIBLE = Dialect(
    max_tokens_field="max_tokens",
    stream_usage=False,
    developer_role=False,
    parameters=frozenset({"top_k", "mirostat"}),
    reasoning_content=True,
)
USER = Message(Role.USER, (Text("Hi"),))


def body(request: CompletionRequest, dialect: Dialect = OPENAI, *, stream: bool = False) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, ATTEMPT, dialect, stream=stream))
    return decoded


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({}, {}),
        ({"max_output_tokens": 0}, {"max_completion_tokens": 0}),
        (
            {"sampling": Sampling(temperature=0.0, top_p=0.5, frequency_penalty=-1.0, presence_penalty=2.0)},
            {"temperature": 0.0, "top_p": 0.5, "frequency_penalty": -1.0, "presence_penalty": 2.0},
        ),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
        ({"seed": -5}, {"seed": -5}),
        ({"candidate_count": 3}, {"n": 3}),
        ({"end_user": "u1"}, {"user": "u1"}),
        ({"metadata": {"a": "b"}}, {}),
        (
            {"metadata": {"a": "b"}, "vendor_parameters": {"store": "true"}},
            {"store": True, "metadata": {"a": "b"}},
        ),
        (
            {"vendor_parameters": {"logit_bias": '{"50256": -100}', "service_tier": '"flex"'}},
            {"logit_bias": {"50256": -100}, "service_tier": "flex"},
        ),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"tool_choice": ToolChoice(ToolMode.AUTO)}, {"tool_choice": "auto"}),
        ({"tool_choice": ToolChoice(ToolMode.NONE)}, {"tool_choice": "none"}),
        ({"tool_choice": ToolChoice(ToolMode.REQUIRED)}, {"tool_choice": "required"}),
        (
            {"tool_choice": ToolChoice(ToolMode.NAMED, "f")},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tools": (Tool("f", "does", '{"type": "object"}', True), Tool("g"))},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "does",
                            "parameters": {"type": "object"},
                            "strict": True,
                        },
                    },
                    {"type": "function", "function": {"name": "g"}},
                ]
            },
        ),
        ({"response_format": ResponseFormat(FormatKind.TEXT)}, {"response_format": {"type": "text"}}),
        ({"response_format": ResponseFormat(FormatKind.JSON)}, {"response_format": {"type": "json_object"}}),
        (
            {"response_format": ResponseFormat(FormatKind.JSON_SCHEMA, "n", "d", '{"type": "object"}', False)},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "n",
                        "description": "d",
                        "schema": {"type": "object"},
                        "strict": False,
                    },
                }
            },
        ),
        *(
            ({"reasoning": Reasoning(effort)}, {"reasoning_effort": word})
            for effort, word in {
                Effort.NONE: "none",
                Effort.MINIMAL: "minimal",
                Effort.LOW: "low",
                Effort.MEDIUM: "medium",
                Effort.HIGH: "high",
                Effort.MAX: "xhigh",
            }.items()
        ),
        ({"reasoning": Reasoning(include=True)}, {}),
    ],
)
def test_request_says_what_was_asked_and_no_more(more: dict[str, Any], fields: dict[str, Any]) -> None:
    plain = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    assert body(asking(**more)) == plain | fields


def test_stream_always_asks_for_usage_where_the_server_knows_it() -> None:
    asked = body(asking(), stream=True)
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in body(asking(), COMPATIBLE, stream=True)


def test_compatible_server_is_asked_in_its_dialect() -> None:
    request = asking(
        Message(Role.DEVELOPER, (Text("Be kind."),)),
        Message(Role.ASSISTANT, (Text("Yes."),), reasoning=(Reasoned("Hm"), Reasoned("m."))),
        max_output_tokens=9,
        sampling=Sampling(top_k=4),
        vendor_parameters={"mirostat": "2"},
    )
    assert body(request, COMPATIBLE) == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "content": "Yes.", "reasoning_content": "Hmm."},
        ],
        "max_tokens": 9,
        "top_k": 4,
        "mirostat": 2,
    }


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Message(Role.SYSTEM, (Text("s"),)), {"role": "system", "content": "s"}),
        (Message(Role.DEVELOPER, (Text("d"),)), {"role": "developer", "content": "d"}),
        (Message(Role.USER, (Text("u"),), name="Ann"), {"role": "user", "content": "u", "name": "Ann"}),
        (Message(Role.USER), {"role": "user", "content": ""}),
        (
            Message(Role.ASSISTANT, tool_calls=(ToolCall("c1", "f", "{not json"),)),
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{not json"}}],
            },
        ),
        (Message(Role.ASSISTANT, refusal="no"), {"role": "assistant", "refusal": "no"}),
        (
            Message(Role.TOOL, (Text("42", cache_breakpoint=True),), tool_call_id="c1", tool_failed=True),
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ),
        (
            Message(
                Role.USER,
                (
                    Text("look"),
                    Image(url="https://x/y.png", detail="low"),
                    Image(data=b"\x00\xff", media_type="image/gif"),
                    Audio(b"\x01", "wav"),
                    File(file_id="file-1"),
                    File(data=b"\x02", media_type="application/pdf", filename="a.pdf"),
                ),
            ),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AP8="}},
                    {"type": "input_audio", "input_audio": {"data": "AQ==", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,Ag==", "filename": "a.pdf"},
                    },
                ],
            },
        ),
    ],
)
def test_message_is_written_as_the_vendor_reads_it(message: Message, wire: dict[str, Any]) -> None:
    assert body(asking(message))["messages"] == [wire]


@pytest.mark.parametrize(
    ("request_", "kind", "param"),
    [
        (asking(sampling=Sampling(top_k=1)), UnsupportedParameter, "top_k"),
        (asking(compute_mode=ComputeMode.THINK), UnsupportedParameter, "compute_mode"),
        (asking(reasoning=Reasoning(budget_tokens=5)), UnsupportedParameter, "reasoning.budget_tokens"),
        (asking(vendor_parameters={"messages": "[]"}), UnsupportedParameter, "messages"),
        (asking(vendor_parameters={"logprobs": "true"}), UnsupportedParameter, "logprobs"),
        (asking(vendor_parameters={"store": "{"}), InvalidRequest, "store"),
        (asking(vendor_parameters={"prediction": "[" * 5000}), InvalidRequest, "prediction"),
        (asking(tools=(Tool("f", parameters_json="{"),)), InvalidRequest, "tools.0.function.parameters"),
        (asking(USER, Message(Role.USER, (File(url="https://x"),))), UnsupportedParameter, "messages.1.content.0"),
        (
            asking(Message(Role.ASSISTANT, reasoning=(Reasoned("x"),))),
            UnsupportedParameter,
            "messages.0.reasoning",
        ),
        (
            asking(Message(Role.ASSISTANT, tool_calls=(ToolCall("c", "f", "{}", b"sig"),))),
            UnsupportedParameter,
            "messages.0.tool_calls.0.signature",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    request_: CompletionRequest, kind: type[Refused], param: str
) -> None:
    with pytest.raises(kind) as told:
        body(request_)
    assert told.value.param == param
    assert not told.value.reached


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
                "logprobs": None,
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
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": None},
        },
    }
    assert completion_from_wire(msgspec.json.encode(answer)) == Completion(
        choices=(
            Choice(0, Message(Role.ASSISTANT, (Text("Grüße 😀"),)), FinishReason.STOP),
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
        usage=Usage(10, 20, cached_input_tokens=4, reasoning_tokens=7, audio_input_tokens=1),
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
        b'{"choices":[{"message":{"content":"x"}}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":""}]}',
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
        (_event({"content": "!"}, "eos"), [Chunk("!", finish_reason=FinishReason.OTHER)]),
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


@pytest.mark.parametrize("bad", [b"{", b'{"choices": 7}', b"null", b"[" * 5000])
def test_content_before_an_event_that_cannot_be_read_counts(bad: bytes) -> None:
    batch, failure = EventReader().batch([_event({"content": "a"}), bad, _event({"content": "b"})])
    assert batch.chunks == [Chunk("a")]
    assert isinstance(failure, msgspec.DecodeError | RecursionError)


@pytest.mark.parametrize("told", ['{"message":"no","type":"server_error","code":null}', '"no"'])
def test_error_inside_a_stream_is_told(told: str) -> None:
    _, failure = EventReader().batch([f'{{"error":{told}}}'.encode()])
    assert isinstance(failure, InBandError)
    assert failure.error.message == "no"
