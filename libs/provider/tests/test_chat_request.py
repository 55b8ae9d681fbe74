"""Tables of what is asked in OmniX's words and what it is in the format's."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from omnix_kit.caller import Caller
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.request import request_body
from omnix_provider.errors import InvalidRequest, Refused, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    CacheBreakpoint,
    CompletionRequest,
    ComputeMode,
    Control,
    Effort,
    File,
    FormatKind,
    Image,
    Message,
    Part,
    Reasoned,
    Reasoning,
    ReasoningPlan,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", "gpt-4o")
STRICT = Dialect(
    refusals=True,
    max_tokens_field="max_completion_tokens",
    developer_role=True,
    parameters=frozenset({"logit_bias", "prediction", "service_tier", "store"}),
    audio_formats=frozenset({"wav", "mp3"}),
    cache_lifetimes=((timedelta(minutes=30), "30m"), (timedelta(hours=12), "12h")),
)
COMPATIBLE = Dialect(
    stream_usage=False,
    parameters=frozenset({"top_k", "mirostat"}),
    reasoning_field="reasoning_content",
)
USER = Message(Role.USER, (Text("Hi"),))


def body(
    request: CompletionRequest, dialect: Dialect = STRICT, *, stream: bool = False, plan: ReasoningPlan | None = None
) -> dict[str, Any]:
    attempt = msgspec.structs.replace(ATTEMPT, reasoning=plan)
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt, dialect, stream=stream))
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
                Effort.EXTRA_HIGH: "xhigh",
                Effort.MAX: "max",
            }.items()
        ),
        ({"reasoning": Reasoning(include=True)}, {}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
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
            Message(Role.TOOL, (Text("42"),), tool_call_id="c1", tool_failed=True),
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
                    File(data=b"\x02", media_type="application/pdf"),
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
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,Ag==", "filename": "file.pdf"},
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
        (asking(compute_mode=ComputeMode.THINK), UnsupportedParameter, "mode"),
        (asking(reasoning=Reasoning(budget_tokens=5)), UnsupportedParameter, "reasoning.budget_tokens"),
        (asking(vendor_parameters={"messages": "[]"}), UnsupportedParameter, "messages"),
        (asking(vendor_parameters={"modalities": "[]"}), UnsupportedParameter, "modalities"),
        (asking(vendor_parameters={"store": "{"}), InvalidRequest, "store"),
        (asking(vendor_parameters={"prediction": "[" * 5000}), InvalidRequest, "prediction"),
        (asking(tools=(Tool("f", parameters_json="{"),)), InvalidRequest, "tools.0.function.parameters"),
        (asking(USER, Message(Role.USER, (File(url="https://x"),))), UnsupportedParameter, "messages.1.content.0"),
        (
            asking(Message(Role.USER, (File(data=b"x", media_type="video/mp4"),))),
            UnsupportedParameter,
            "messages.0.content.0",
        ),
        (
            asking(Message(Role.USER, (Audio(b"x", "flac"),))),
            UnsupportedParameter,
            "messages.0.content.0.input_audio.format",
        ),
        *(
            (asking(USER, Message(role, (Text("x"), Image(data=b"x")))), UnsupportedParameter, "messages.1.content")
            for role in (Role.SYSTEM, Role.DEVELOPER, Role.ASSISTANT, Role.TOOL)
        ),
        (
            asking(Message(Role.USER, (Text("x", CacheBreakpoint(timedelta(hours=13))),))),
            UnsupportedParameter,
            "messages.0.content.0.prompt_cache_breakpoint.ttl",
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


@pytest.mark.parametrize("dialect", [STRICT, COMPATIBLE])
def test_what_other_vendors_signed_is_left_out(dialect: Dialect) -> None:
    request = asking(
        Message(
            Role.ASSISTANT,
            tool_calls=(ToolCall("c", "f", "{}", b"sig"),),
            reasoning=(Reasoned("x", b"sig", provider="bedrock"), Reasoned(redacted=b"sealed", provider="bedrock")),
        )
    )
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert body(request, dialect)["messages"] == [{"role": "assistant", "tool_calls": [call]}]


def test_reasoning_is_left_out_where_the_server_takes_none_back() -> None:
    request = asking(Message(Role.ASSISTANT, (Text("Yes."),), reasoning=(Reasoned("Hm."),)))
    assert body(request)["messages"] == [{"role": "assistant", "content": "Yes."}]


EXPLICIT = {"mode": "explicit"}


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (Text("x", CacheBreakpoint()), {"type": "text", "text": "x", "prompt_cache_breakpoint": EXPLICIT}),
        (
            Text("x", CacheBreakpoint(timedelta(minutes=5))),
            {"type": "text", "text": "x", "prompt_cache_breakpoint": EXPLICIT | {"ttl": "30m"}},
        ),
        (
            Image(url="https://x", cache=CacheBreakpoint(timedelta(hours=1))),
            {
                "type": "image_url",
                "image_url": {"url": "https://x"},
                "prompt_cache_breakpoint": EXPLICIT | {"ttl": "12h"},
            },
        ),
    ],
)
def test_cache_breakpoint_is_asked_for_at_least_as_long_as_wished(part: Part, wire: dict[str, Any]) -> None:
    assert body(asking(Message(Role.USER, (part,))))["messages"] == [{"role": "user", "content": [wire]}]


def test_cache_breakpoint_says_nothing_to_a_server_that_keeps_prefixes_by_itself() -> None:
    request = asking(Message(Role.USER, (Text("x", CacheBreakpoint(timedelta(days=3))),)))
    assert body(request, COMPATIBLE)["messages"] == [{"role": "user", "content": "x"}]
    assert body(asking(tools=(Tool("f", cache=CacheBreakpoint()),)))["tools"] == [
        {"type": "function", "function": {"name": "f"}}
    ]


TEMPLATES = Dialect(switch="chat_template_kwargs")
ON, OFF = ({"chat_template_kwargs": {"enable_thinking": on, "thinking": on}} for on in (True, False))


@pytest.mark.parametrize(
    ("plan", "dialect", "fields"),
    [
        (ReasoningPlan(Control.NONE), STRICT, {}),
        (ReasoningPlan(Control.FIXED, Effort.HIGH), STRICT, {}),
        (ReasoningPlan(Control.EFFORT), STRICT, {}),
        (ReasoningPlan(Control.EFFORT, Effort.EXTRA_HIGH), STRICT, {"reasoning_effort": "xhigh"}),
        (ReasoningPlan(Control.EFFORT, Effort.NONE), STRICT, {"reasoning_effort": "none"}),
        (ReasoningPlan(Control.BUDGET), STRICT, {}),
        (ReasoningPlan(Control.SWITCH), STRICT, {}),
        (ReasoningPlan(Control.SWITCH, Effort.NONE), STRICT, {"reasoning_effort": "none"}),
        (ReasoningPlan(Control.SWITCH, Effort.HIGH), STRICT, {"reasoning_effort": "high"}),
        (ReasoningPlan(Control.SWITCH, Effort.HIGH), TEMPLATES, ON),
        (ReasoningPlan(Control.SWITCH, Effort.NONE), TEMPLATES, OFF),
    ],
)
def test_plan_is_obeyed_in_place_of_the_callers_wish(
    plan: ReasoningPlan, dialect: Dialect, fields: dict[str, Any]
) -> None:
    wish = asking(compute_mode=ComputeMode.THINK, reasoning=Reasoning(Effort.LOW, 7, include=True))
    asked = body(wish, dialect, plan=plan)
    assert {name: asked[name] for name in asked if name not in ("model", "messages")} == fields


@pytest.mark.parametrize(
    ("plan", "dialect", "param"),
    [
        (ReasoningPlan(Control.BUDGET, budget_tokens=0), STRICT, "reasoning.budget_tokens"),
        (ReasoningPlan(Control.SWITCH, Effort.NONE), Dialect(switch=None), "reasoning_effort"),
        (ReasoningPlan(Control.EFFORT, Effort.LOW), Dialect(efforts={}), "reasoning_effort"),
    ],
)
def test_plan_that_the_server_cannot_be_told_is_refused(plan: ReasoningPlan, dialect: Dialect, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        body(asking(), dialect, plan=plan)
    assert told.value.param == param


@pytest.mark.parametrize(
    ("roles", "plan", "sent"),
    [
        ((Role.SYSTEM,), Control.EFFORT, ["system"]),
        ((Role.SYSTEM, Role.DEVELOPER), Control.EFFORT, ["developer", "developer"]),
        ((Role.SYSTEM, Role.DEVELOPER), Control.FIXED, ["developer", "developer"]),
        ((Role.SYSTEM, Role.DEVELOPER), Control.NONE, ["system", "developer"]),
        ((Role.SYSTEM, Role.DEVELOPER), None, ["system", "developer"]),
    ],
)
def test_reasoning_model_gets_no_system_message_beside_a_developers(
    roles: tuple[Role, ...], plan: Control | None, sent: list[str]
) -> None:
    request = asking(*(Message(role, (Text("x"),)) for role in roles))
    asked = body(request, plan=None if plan is None else ReasoningPlan(plan))
    assert [message["role"] for message in asked["messages"]] == sent


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"candidate_count": 2}, "n"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": ResponseFormat(FormatKind.JSON)}, "response_format"),
    ],
)
def test_what_a_server_would_ignore_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    lacking = Dialect(lacks=frozenset({"n", "parallel_tool_calls"}), json_object=False)
    with pytest.raises(UnsupportedParameter) as told:
        body(asking(**more), lacking)
    assert told.value.param == param


def test_what_all_servers_do_needs_no_field() -> None:
    lacking = Dialect(lacks=frozenset({"n", "parallel_tool_calls"}), end_user=False)
    asked = body(asking(candidate_count=1, parallel_tool_calls=True, end_user="u1"), lacking)
    assert sorted(asked) == ["messages", "model"]


@pytest.mark.parametrize("part", [Image(data=b"x"), Audio(b"x", "wav"), File(data=b"x")])
def test_media_that_a_server_does_not_take_are_refused(part: Part) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        body(asking(Message(Role.USER, (Text("x"), part))), Dialect(media=frozenset()))
    assert told.value.param == "messages.0.content.1"


def test_tool_shows_an_image_where_the_server_looks_at_it() -> None:
    request = asking(Message(Role.TOOL, (Image(data=b"x", media_type="image/png"),), tool_call_id="c1"))
    [message] = body(request, Dialect(media_of_tools=True))["messages"]
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}]


def test_schema_goes_where_the_server_looks_for_it() -> None:
    form = ResponseFormat(FormatKind.JSON_SCHEMA, "n", schema_json='{"type": "object"}')
    asked = body(asking(response_format=form), Dialect(schema_in="value"))
    assert asked["response_format"] == {
        "type": "json_schema",
        "value": {"name": "n", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (Message(Role.ASSISTANT, refusal="no"), "no"),
        (
            Message(Role.ASSISTANT, (Text("Well,"),), refusal="no"),
            [{"type": "text", "text": "Well,"}, {"type": "text", "text": "no"}],
        ),
    ],
)
def test_refusal_is_text_for_servers_that_have_no_word_for_it(message: Message, content: object) -> None:
    [sent] = body(asking(message), COMPATIBLE)["messages"]
    assert sent == {"role": "assistant", "content": content}


@pytest.mark.parametrize("depth", range(900, 1000))
def test_schema_of_any_depth_is_translated_or_refused(depth: int) -> None:
    """What can just be read is a few levels deeper in the body."""
    schema = '{"a":' * depth + "1" + "}" * depth
    with suppress(InvalidRequest):
        assert request_body(asking(tools=(Tool("f", parameters_json=schema),)), ATTEMPT, STRICT, stream=False)


BEGUN = {"role": "assistant", "content": "Once upon"}
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}
OFF = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
VLLM = Dialect(continued="continue_final_message", switch="chat_template_kwargs")


def continuing(
    dialect: Dialect, plan: ReasoningPlan | None = None, *, prefix: str = "Once upon", **more: Any
) -> dict[str, Any]:
    attempt = msgspec.structs.replace(ATTEMPT, reasoning=plan, prefix=prefix)
    request = CompletionRequest("fast", (USER,), **more)
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt, dialect, stream=False))
    return decoded


@pytest.mark.parametrize(
    ("dialect", "plan", "last", "fields"),
    [
        (VLLM, None, BEGUN, FLAGS),
        (VLLM, ReasoningPlan(Control.NONE), BEGUN, FLAGS),
        (VLLM, ReasoningPlan(Control.SWITCH, Effort.HIGH), BEGUN, FLAGS | OFF),
        (VLLM, ReasoningPlan(Control.SWITCH, Effort.NONE), BEGUN, FLAGS | OFF),
        (Dialect(continued="prefix"), None, BEGUN | {"prefix": True}, {}),
        (
            Dialect(continued="prefix"),
            ReasoningPlan(Control.EFFORT, Effort.NONE),
            BEGUN | {"prefix": True},
            {"reasoning_effort": "none"},
        ),
        (Dialect(continued="last_message"), None, BEGUN, {}),
    ],
)
def test_server_is_given_the_beginning_of_its_answer(
    dialect: Dialect, plan: ReasoningPlan | None, last: dict[str, Any], fields: dict[str, Any]
) -> None:
    plain = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}, last]}
    assert continuing(dialect, plan) == plain | fields


def test_beginning_follows_what_the_caller_began() -> None:
    attempt = msgspec.structs.replace(ATTEMPT, prefix="Once upon")
    request = CompletionRequest("fast", (USER, Message(Role.ASSISTANT, (Text("A tale. "),))))

    def made(dialect: Dialect) -> list[dict[str, Any]]:
        decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt, dialect, stream=False))
        messages: list[dict[str, Any]] = decoded["messages"]
        return messages[1:]

    assert made(Dialect(continued="last_message")) == [{"role": "assistant", "content": "A tale. Once upon"}]
    assert made(VLLM) == [{"role": "assistant", "content": "A tale. "}, BEGUN]


def test_white_space_at_the_end_of_a_beginning_stays_out() -> None:
    assert continuing(VLLM, prefix="Once upon \n")["messages"][-1] == BEGUN
    assert continuing(STRICT, prefix=" \n")["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("dialect", "plan", "more"),
    [
        (STRICT, None, {}),
        (VLLM, ReasoningPlan(Control.FIXED), {}),
        (VLLM, ReasoningPlan(Control.EFFORT, Effort.LOW), {}),
        (VLLM, ReasoningPlan(Control.EFFORT), {}),
        (VLLM, None, {"reasoning": Reasoning(Effort.LOW)}),
        (VLLM, None, {"response_format": ResponseFormat(FormatKind.JSON)}),
        (VLLM, None, {"response_format": ResponseFormat(FormatKind.JSON_SCHEMA, "n", schema_json="{}")}),
    ],
)
def test_beginning_that_would_not_be_continued_is_refused_by_name(
    dialect: Dialect, plan: ReasoningPlan | None, more: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        continuing(dialect, plan, **more)
    assert refused.value.param == "prefix"
