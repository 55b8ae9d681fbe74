"""What Gemini has no words for, and what makes no sense to it, goes by its name in OmniX's."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.translate import request_body
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    CompletionRequest,
    ComputeMode,
    Effort,
    File,
    FormatKind,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
)

NEW, OLD = "gemini-3.8-flash", "gemini-2.5-flash"
USER = Message(Role.USER, (Text("Hi"),))
F = Tool("f")


def attempt(model: str = NEW) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", model)


def body(request: CompletionRequest, model: str = NEW) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt(model), Service.DEVELOPER))
    return decoded


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


def said(*parts: Any, role: Role = Role.USER, **more: Any) -> tuple[Message, ...]:
    return (Message(role, parts, **more),)


@pytest.mark.parametrize(
    ("messages", "more", "param"),
    [
        ((), {"candidate_count": 2}, "n"),
        ((), {"seed": 2**31}, "seed"),
        ((), {"top_logprobs": 2}, "top_logprobs"),
        ((), {"parallel_tool_calls": False, "tools": (F,)}, "parallel_tool_calls"),
        ((), {"compute_mode": ComputeMode.THINK}, "mode"),
        ((), {"reasoning": Reasoning(Effort.MAX)}, "reasoning_effort"),
        ((), {"reasoning": Reasoning(Effort.NONE)}, "reasoning_effort"),
        ((), {"reasoning": Reasoning(Effort.LOW, 5)}, "reasoning.budget_tokens"),
        ((), {"vendor_parameters": {"logit_bias": "{}"}}, "logit_bias"),
        ((), {"vendor_parameters": {"service_tier": '"scale"'}}, "service_tier"),
        ((), {"vendor_parameters": {"service_tier": "{}"}}, "service_tier"),
        ((), {"vendor_parameters": {"cachedContent": '"a"', "cached_content": '"b"'}}, "cached_content"),
        (said(Image(data=b"x"), role=Role.SYSTEM), {}, "messages.0.content.0"),
        (said(Text("x"), role=Role.SYSTEM), {}, "messages"),
        (said(Text("x"), name="Ann"), {}, "messages.0.name"),
        (said(Image(data=b"x"), role=Role.ASSISTANT), {}, "messages.0.content.0"),
        (said(Image(data=b"x", detail="fine")), {}, "messages.0.content.0.image_url.detail"),
        (said(Image(url="http://x.example/a.png")), {}, "messages.0.content.0.image_url.url"),
        (said(Image(url="https://x.example/a")), {}, "messages.0.content.0.image_url.url"),
        (said(Image(url="gs://bucket/a.png")), {}, "messages.0.content.0.image_url.url"),
        (said(Image(url="https://[::1/a.png")), {}, "messages.0.content.0.image_url.url"),
        (said(File(url="https://storage.googleapis.com/b/a.pdf")), {}, "messages.0.content.0.file.file_url"),
        (said(File(file_id="files/x")), {}, "messages.0.content.0.file.file_id"),
        (said(File(data=b"x")), {}, "messages.0.content.0.file"),
        (said(Audio(b"x", "pcm16")), {}, "messages.0.content.0.input_audio.format"),
    ],
)
def test_what_gemini_cannot_say_is_refused_by_name(
    messages: tuple[Message, ...], more: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        body(asking(*messages, **more))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("messages", "more", "param"),
    [
        (said(Text("x"), role=Role.TOOL, tool_call_id="9"), {}, "messages.0.tool_call_id"),
        (
            (Message(Role.ASSISTANT, tool_calls=(ToolCall("1", "f", "[1]"),)),),
            {},
            "messages.0.tool_calls.0.function.arguments",
        ),
        (
            (Message(Role.ASSISTANT, tool_calls=(ToolCall("1", "f", "{}", b"\xff"),)),),
            {},
            "messages.0.tool_calls.0.signature",
        ),
        ((), {"tools": (Tool("f", "", "{"),)}, "tools.0.function.parameters"),
        ((), {"tools": (Tool("f", "", "[" * 5000),)}, "tools.0.function.parameters"),
        (
            (),
            {"response_format": ResponseFormat(FormatKind.JSON_SCHEMA, schema_json="x")},
            "response_format.json_schema.schema",
        ),
        ((), {"vendor_parameters": {"safetySettings": "x"}}, "safetySettings"),
    ],
)
def test_what_makes_no_sense_is_invalid_by_name(
    messages: tuple[Message, ...], more: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body(asking(*messages, **more))
    assert refused.value.param == param


def test_older_models_are_told_no_level_of_effort_and_no_detail() -> None:
    for request, param in (
        (asking(reasoning=Reasoning(Effort.LOW)), "reasoning_effort"),
        (asking(*said(Image(data=b"x", detail="low"))), "messages.0.content.0.image_url.detail"),
    ):
        with pytest.raises(UnsupportedParameter) as refused:
            body(request, OLD)
        assert refused.value.param == param


@pytest.mark.parametrize("depth", range(900, 1000))
def test_schema_of_any_depth_is_translated_or_refused(depth: int) -> None:
    """What can just be read is a few levels deeper in the body."""
    schema = '{"a":' * depth + "1" + "}" * depth
    request = asking(USER, tools=(Tool("f", parameters_json=schema),))
    with suppress(InvalidRequest):
        assert request_body(request, attempt(NEW), Service.DEVELOPER)
