"""Tables of what is asked in OmniX's words and what it is in Converse's, but for messages and reasoning."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from omnix_adapter_bedrock.translate import converse_body
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, Refused, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    CacheBreakpoint,
    CompletionRequest,
    Control,
    Effort,
    FormatKind,
    Message,
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

SONNET_4_5 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_8 = "us.anthropic.claude-opus-4-8"
OPUS_5 = "anthropic.claude-opus-5"
NOVA = "amazon.nova-pro-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama4-scout-17b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-3-675b-instruct"
OPAQUE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456"
USER = Message(Role.USER, (Text("Hi"),))


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


def body(request: CompletionRequest, model: str = SONNET_4_5, **more: Any) -> dict[str, Any]:
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "bedrock", model, **more)
    decoded: dict[str, Any] = msgspec.json.decode(converse_body(request, attempt))
    return decoded


def beside_the_messages(request: CompletionRequest, model: str = SONNET_4_5, **more: Any) -> dict[str, Any]:
    made = body(request, model, **more)
    del made["messages"]
    return made


TOOL = Tool("get_weather", "Tells the weather.", '{"type":"object","properties":{"city":{"type":"string"}}}')
SPEC = {
    "toolSpec": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}
CALLED = (
    USER,
    Message(Role.ASSISTANT, tool_calls=(ToolCall("call_1", "get_weather", '{"city":"Bern"}'),)),
    Message(Role.TOOL, (Text("Rain"),), tool_call_id="call_1"),
)
SCHEMA = ResponseFormat(FormatKind.JSON_SCHEMA, "city", "A city.", '{"type":"object","big":12345678901234567890123}')


@pytest.mark.parametrize(
    ("more", "model", "fields"),
    [
        ({}, SONNET_4_5, {}),
        ({"candidate_count": 1, "parallel_tool_calls": True}, SONNET_4_5, {}),
        ({"sampling": Sampling(frequency_penalty=0.0, presence_penalty=0.0)}, SONNET_4_5, {}),
        ({"max_output_tokens": 7}, SONNET_4_5, {"inferenceConfig": {"maxTokens": 7}}),
        ({"stop": ("a", "b")}, SONNET_4_5, {"inferenceConfig": {"stopSequences": ["a", "b"]}}),
        (
            {"sampling": Sampling(temperature=0.0, top_p=0.5)},
            NOVA,
            {"inferenceConfig": {"temperature": 0.0, "topP": 0.5}},
        ),
        ({"sampling": Sampling(top_k=5)}, SONNET_4_5, {"additionalModelRequestFields": {"top_k": 5}}),
        ({"sampling": Sampling(top_k=5)}, MISTRAL, {"additionalModelRequestFields": {"top_k": 5}}),
        ({"sampling": Sampling(top_k=5)}, NOVA, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5}}}),
        ({"sampling": Sampling(top_k=5)}, "cohere.command-r-v1:0", {"additionalModelRequestFields": {"k": 5}}),
        ({"sampling": Sampling(temperature=1.0, top_p=1.0)}, OPUS_4_8, {}),
        ({"metadata": {"team": "a b", "stränge": "x", "y": "ü"}}, SONNET_4_5, {"requestMetadata": {"team": "a b"}}),
        ({"end_user": "u-1", "metadata": {"a": ""}}, NOVA, {"requestMetadata": {"end_user": "u-1", "a": ""}}),
        ({"end_user": "ü"}, NOVA, {}),
        ({"vendor_parameters": {"service_tier": '"flex"'}}, NOVA, {"serviceTier": {"type": "flex"}}),
        ({"vendor_parameters": {"service_tier": '"auto"'}}, NOVA, {}),
        (
            {"vendor_parameters": {"performanceConfig": '{"latency":"optimized"}'}},
            NOVA,
            {"performanceConfig": {"latency": "optimized"}},
        ),
        (
            {"vendor_parameters": {"guardrailConfig": '{"guardrailIdentifier":"g","guardrailVersion":"1"}'}},
            NOVA,
            {"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}},
        ),
        (
            {"vendor_parameters": {"additionalModelRequestFields": '{"x":1}'}, "sampling": Sampling(top_k=5)},
            SONNET_4_5,
            {"additionalModelRequestFields": {"top_k": 5, "x": 1}},
        ),
        (
            {"response_format": SCHEMA},
            SONNET_4_5,
            {
                "outputConfig": {
                    "textFormat": {
                        "type": "json_schema",
                        "structure": {
                            "jsonSchema": {
                                "schema": '{"type":"object","big":12345678901234567890123}',
                                "name": "city",
                                "description": "A city.",
                            }
                        },
                    }
                }
            },
        ),
        ({"response_format": ResponseFormat(FormatKind.TEXT)}, LLAMA, {}),
    ],
)
def test_wish_becomes_a_field(more: dict[str, Any], model: str, fields: dict[str, Any]) -> None:
    assert beside_the_messages(asking(**more), model) == fields


@pytest.mark.parametrize(
    ("more", "model", "config", "extra"),
    [
        ({"tools": (TOOL,)}, LLAMA, {"tools": [SPEC]}, None),
        (
            {"tools": (Tool("a"),)},
            LLAMA,
            {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}]},
            None,
        ),
        (
            {"tools": (Tool("a", strict=True),)},
            SONNET_4_5,
            {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}, "strict": True}}]},
            None,
        ),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(ToolMode.AUTO)},
            NOVA,
            {"tools": [SPEC], "toolChoice": {"auto": {}}},
            None,
        ),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(ToolMode.REQUIRED)},
            NOVA,
            {"tools": [SPEC], "toolChoice": {"any": {}}},
            None,
        ),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(ToolMode.NAMED, "get_weather")},
            NOVA,
            {"tools": [SPEC], "toolChoice": {"tool": {"name": "get_weather"}}},
            None,
        ),
        ({"tools": (TOOL,), "tool_choice": ToolChoice(ToolMode.NONE)}, NOVA, None, None),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(ToolMode.NONE)},
            SONNET_4_5,
            {"tools": [SPEC]},
            {"tool_choice": {"type": "none"}},
        ),
        (
            {"tools": (TOOL,), "parallel_tool_calls": False},
            SONNET_4_5,
            {"tools": [SPEC]},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": (TOOL,), "parallel_tool_calls": False, "tool_choice": ToolChoice(ToolMode.NAMED, "get_weather")},
            SONNET_4_5,
            {"tools": [SPEC]},
            {"tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}},
        ),
        (
            {
                "tools": (
                    Tool("a", cache=CacheBreakpoint()),
                    Tool("b", cache=CacheBreakpoint(timedelta(hours=1))),
                )
            },
            OPAQUE,
            {
                "tools": [
                    {"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}},
                    {"cachePoint": {"type": "default"}},
                    {"toolSpec": {"name": "b", "inputSchema": {"json": {"type": "object"}}}},
                    {"cachePoint": {"type": "default", "ttl": "1h"}},
                ]
            },
            None,
        ),
        (
            {"tools": (Tool("a", cache=CacheBreakpoint()),)},
            NOVA,
            {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}]},
            None,
        ),
        ({"tool_choice": ToolChoice(ToolMode.NONE)}, NOVA, None, None),
    ],
)
def test_tools_and_the_choice_among_them(more: dict[str, Any], model: str, config: Any, extra: Any) -> None:
    made = beside_the_messages(asking(**more), model)
    assert (made.get("toolConfig"), made.get("additionalModelRequestFields")) == (config, extra)


def test_calls_without_tools_are_shown_to_claude_with_tools_that_it_must_not_call() -> None:
    """Converse demands tools when the conversation has calls."""
    made = beside_the_messages(asking(*CALLED))
    assert made == {
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}}],
        },
        "additionalModelRequestFields": {"tool_choice": {"type": "none"}},
    }


@pytest.mark.parametrize(
    ("request_", "model", "param"),
    [
        (asking(candidate_count=2), NOVA, "n"),
        (asking(seed=1), NOVA, "seed"),
        (asking(logprobs=True), NOVA, "logprobs"),
        (asking(top_logprobs=2), NOVA, "top_logprobs"),
        (asking(sampling=Sampling(frequency_penalty=0.5)), NOVA, "frequency_penalty"),
        (asking(sampling=Sampling(presence_penalty=-0.5)), NOVA, "presence_penalty"),
        (asking(sampling=Sampling(temperature=1.2)), NOVA, "temperature"),
        (asking(sampling=Sampling(temperature=float("nan"))), NOVA, "temperature"),
        (asking(sampling=Sampling(top_p=1.1)), NOVA, "top_p"),
        (asking(sampling=Sampling(temperature=0.5, top_p=0.5)), SONNET_4_5, "top_p"),
        (asking(sampling=Sampling(temperature=0.5)), OPUS_4_8, "temperature"),
        (asking(sampling=Sampling(top_p=0.9)), OPUS_5, "top_p"),
        (asking(sampling=Sampling(top_k=3)), OPUS_5, "top_k"),
        (asking(sampling=Sampling(top_k=3)), LLAMA, "top_k"),
        (asking(response_format=ResponseFormat(FormatKind.JSON)), SONNET_4_5, "response_format"),
        (asking(response_format=SCHEMA), NOVA, "response_format"),
        (asking(response_format=SCHEMA), "anthropic.claude-3-7-sonnet-20250219-v1:0", "response_format"),
        (asking(tools=(TOOL,), parallel_tool_calls=False), NOVA, "parallel_tool_calls"),
        (asking(*CALLED), NOVA, "tools"),
        (asking(*CALLED, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.NONE)), NOVA, "tool_choice"),
        (asking(tools=(Tool("not a name"),)), NOVA, "tools.0.function.name"),
        (
            asking(tools=(Tool("a", cache=CacheBreakpoint(timedelta(minutes=30))),)),
            SONNET_4_5,
            "tools.0.prompt_cache_breakpoint.ttl",
        ),
        (asking(vendor_parameters={"service_tier": '"best"'}), NOVA, "service_tier"),
        (asking(vendor_parameters={"store": "true"}), NOVA, "store"),
        (
            asking(sampling=Sampling(top_k=3), vendor_parameters={"additionalModelRequestFields": '{"top_k":1}'}),
            SONNET_4_5,
            "additionalModelRequestFields.top_k",
        ),
    ],
)
def test_what_converse_cannot_honour_is_refused_by_name(request_: Any, model: str, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        beside_the_messages(request_, model)
    assert (refused.value.param, refused.value.reached) == (param, False)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (asking(tools=(Tool("a", parameters_json="{"),)), "tools.0.function.parameters"),
        (asking(tool_choice=ToolChoice(ToolMode.REQUIRED)), "tool_choice"),
        (asking(response_format=ResponseFormat(FormatKind.JSON_SCHEMA)), "response_format.json_schema.schema"),
        (asking(vendor_parameters={"performanceConfig": "[]"}), "performanceConfig"),
        (asking(vendor_parameters={"service_tier": "1"}), "service_tier"),
        (asking(Message(Role.SYSTEM, (Text("Be brief."),))), "messages"),
    ],
)
def test_what_is_no_request_is_invalid(request_: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        beside_the_messages(request_)
    assert refused.value.param == param


@pytest.mark.parametrize(("model", "limit"), [(LLAMA, 4096), (MISTRAL, 4096), (SONNET_4_5, None), (GPT_OSS, None)])
def test_models_that_end_early_unasked_get_the_most_they_can_do(model: str, limit: int | None) -> None:
    made = beside_the_messages(asking(), model, max_output_tokens=4096)
    assert made.get("inferenceConfig", {}).get("maxTokens") == limit


def test_most_labels_are_sixteen() -> None:
    made = beside_the_messages(asking(metadata={f"k{i}": "v" for i in range(20)}))
    assert len(made["requestMetadata"]) == 16


def test_deep_nesting_is_refused() -> None:
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(Refused):
        beside_the_messages(asking(tools=(Tool("a", parameters_json=deep),)))


def test_half_a_character_is_refused() -> None:
    with pytest.raises(Refused):
        beside_the_messages(asking(Message(Role.USER, (Text("\ud83d"),))))


HAIKU_4_5 = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
BEGUN = {"role": "assistant", "content": [{"text": "Once upon"}]}


@pytest.mark.parametrize(
    "model", [SONNET_4_5, HAIKU_4_5, "anthropic.claude-3-haiku-20240307-v1:0", NOVA, LLAMA, OPAQUE]
)
def test_beginning_of_the_answer_is_the_last_message(model: str) -> None:
    asked = [{"role": "user", "content": [{"text": "Hi"}]}]
    assert body(asking(), model, prefix="Once upon") == {"messages": [*asked, BEGUN]}
    # Bedrock's own words for it are "final assistant content cannot end with trailing whitespace".
    assert body(asking(), model, prefix="Once upon \n") == {"messages": [*asked, BEGUN]}
    assert body(asking(), model, prefix=" ") == {"messages": asked}


def test_beginning_follows_what_the_caller_began() -> None:
    begun = Message(Role.ASSISTANT, (Text("A tale."),))
    assert body(asking(USER, begun), prefix="Once upon")["messages"][-1] == {
        "role": "assistant",
        "content": [{"text": "A tale."}, {"text": "Once upon"}],
    }


def test_model_whose_answer_is_begun_does_not_think() -> None:
    budget = ReasoningPlan(Control.BUDGET, budget_tokens=2048)
    effort = ReasoningPlan(Control.EFFORT, Effort.HIGH)
    for model, plan in ((SONNET_4_5, budget), (OPAQUE, budget), ("amazon.nova-2-lite-v1:0", effort)):
        assert "additionalModelRequestFields" in body(asking(), model, reasoning=plan)
        made = beside_the_messages(asking(max_output_tokens=100), model, reasoning=plan, prefix="Once")
        assert made == {"inferenceConfig": {"maxTokens": 100}}


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("us.anthropic.claude-sonnet-4-6", {}),
        (OPUS_4_8, {}),
        (OPUS_5, {}),
        ("anthropic.claude-mythos-preview", {}),
        (SONNET_4_5, {"response_format": SCHEMA}),
    ],
)
def test_beginning_that_would_not_be_continued_is_refused_by_name(model: str, more: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        body(asking(**more), model, prefix="Once upon")
    assert refused.value.param == "prefix"
