"""Tables of what is asked for in OmniX's words and what it is in Gemini's."""

from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini.dialect import Service, generation
from omnix_adapter_gemini.translate import request_body
from omnix_kit.caller import Caller
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    CacheBreakpoint,
    CompletionRequest,
    ComputeMode,
    Control,
    Effort,
    FormatKind,
    Message,
    Reasoning,
    ReasoningPlan,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    ToolMode,
)

NEW, OLD = "gemini-3.8-flash", "gemini-2.5-flash"
USER = Message(Role.USER, (Text("Hi"),))


def attempt(model: str = NEW, plan: ReasoningPlan | None = None) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", model, reasoning=plan)


def body(
    request: CompletionRequest,
    model: str = NEW,
    service: Service = Service.DEVELOPER,
    plan: ReasoningPlan | None = None,
) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt(model, plan), service))
    return decoded


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


@pytest.mark.parametrize(
    ("model", "number"),
    [
        ("gemini-1.5-pro", 1),
        ("models/gemini-2.5-flash-lite", 2),
        ("gemini-3.8-flash", 3),
        ("publishers/google/models/gemini-4-argon", 4),
        ("gemini-flash-latest", 99),
        ("sandbox-chat", 99),
    ],
)
def test_generation_is_read_from_the_name(model: str, number: int) -> None:
    assert generation(model) == number


@pytest.mark.parametrize(
    ("more", "config"),
    [
        ({}, None),
        ({"max_output_tokens": 0}, {"maxOutputTokens": 0}),
        (
            {"sampling": Sampling(0.0, 0.5, 40, -1.0, 2.0)},
            {"temperature": 0.0, "topP": 0.5, "topK": 40, "frequencyPenalty": -1.0, "presencePenalty": 2.0},
        ),
        ({"stop": ("a", "b")}, {"stopSequences": ["a", "b"]}),
        ({"seed": -5}, {"seed": -5}),
        ({"candidate_count": 1}, None),
        ({"candidate_count": 3}, {"candidateCount": 3}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": True, "top_logprobs": 4}, {"responseLogprobs": True, "logprobs": 4}),
        ({"response_format": ResponseFormat(FormatKind.TEXT)}, None),
        ({"response_format": ResponseFormat(FormatKind.JSON)}, {"responseMimeType": "application/json"}),
        (
            {"response_format": ResponseFormat(FormatKind.JSON_SCHEMA, "n", "d", '{"type": "object"}', True)},
            {
                "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object", "description": "d"},
            },
        ),
        ({"end_user": "u1", "metadata": {"a": "b"}, "parallel_tool_calls": False}, None),
    ],
)
def test_how_tokens_are_drawn(more: dict[str, Any], config: dict[str, Any] | None) -> None:
    expected = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert body(asking(**more), OLD) == (expected if config is None else {**expected, "generationConfig": config})


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        (
            {"tools": (Tool("f", "does", '{"type": "object", "$defs": {}}'), Tool("g"))},
            {
                "tools": [
                    {
                        "functionDeclarations": [
                            {
                                "name": "f",
                                "description": "does",
                                "parametersJsonSchema": {"type": "object", "$defs": {}},
                            },
                            {"name": "g"},
                        ]
                    }
                ]
            },
        ),
        ({"tool_choice": ToolChoice(ToolMode.AUTO)}, {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
        ({"tool_choice": ToolChoice(ToolMode.NONE)}, {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
        ({"tool_choice": ToolChoice(ToolMode.REQUIRED)}, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        (
            {"tool_choice": ToolChoice(ToolMode.NAMED, "f")},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        ),
        (
            {"tools": (Tool("f", strict=True),)},
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
            },
        ),
        (
            {"tools": (Tool("f", strict=True),), "tool_choice": ToolChoice(ToolMode.REQUIRED)},
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            },
        ),
        (
            {"tools": (Tool("f", cache=CacheBreakpoint()),), "parallel_tool_calls": True},
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ),
        ({"vendor_parameters": {"cached_content": '"cachedContents/x"'}}, {"cachedContent": "cachedContents/x"}),
        ({"vendor_parameters": {"safetySettings": "[]"}}, {"safetySettings": []}),
        ({"vendor_parameters": {"service_tier": '"flex"'}}, {"serviceTier": "flex"}),
        ({"vendor_parameters": {"service_tier": '"default"'}}, {"serviceTier": "standard"}),
        ({"vendor_parameters": {"service_tier": '"auto"'}}, {}),
        ({"vendor_parameters": {"store": "false"}}, {"store": False}),
    ],
)
def test_tools_and_what_only_google_knows(more: dict[str, Any], fields: dict[str, Any]) -> None:
    assert body(asking(**more)) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], **fields}


def test_google_cloud_gets_the_labels_that_its_rules_allow() -> None:
    metadata = {"team": "blue-1", "Team": "x", "long": "A b", "1st": "x"}
    assert body(asking(metadata=metadata), service=Service.CLOUD)["labels"] == {"team": "blue-1"}
    assert "store" not in body(asking(vendor_parameters={"store": "false"}), service=Service.CLOUD)
    with pytest.raises(UnsupportedParameter):
        body(asking(vendor_parameters={"store": "true"}), service=Service.CLOUD)


@pytest.mark.parametrize(
    ("plan", "include", "thinking"),
    [
        (ReasoningPlan(Control.NONE), True, None),
        (ReasoningPlan(Control.FIXED), False, None),
        (ReasoningPlan(Control.FIXED), True, {"includeThoughts": True}),
        (ReasoningPlan(Control.SWITCH, Effort.NONE), True, {"thinkingBudget": 0}),
        (ReasoningPlan(Control.SWITCH, Effort.HIGH), True, {"thinkingBudget": -1, "includeThoughts": True}),
        (ReasoningPlan(Control.SWITCH), False, None),
        (ReasoningPlan(Control.EFFORT), False, None),
        (ReasoningPlan(Control.EFFORT, Effort.MINIMAL), False, {"thinkingLevel": "MINIMAL"}),
        (ReasoningPlan(Control.EFFORT, Effort.LOW), False, {"thinkingLevel": "LOW"}),
        (ReasoningPlan(Control.EFFORT, Effort.MEDIUM), False, {"thinkingLevel": "MEDIUM"}),
        (ReasoningPlan(Control.EFFORT, Effort.HIGH), True, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (ReasoningPlan(Control.EFFORT, Effort.EXTRA_HIGH), False, {"thinkingLevel": "XHIGH"}),
        (ReasoningPlan(Control.BUDGET), True, {"includeThoughts": True}),
        (ReasoningPlan(Control.BUDGET, budget_tokens=0), True, {"thinkingBudget": 0}),
        (ReasoningPlan(Control.BUDGET, budget_tokens=512), True, {"thinkingBudget": 512, "includeThoughts": True}),
    ],
)
def test_plan_is_obeyed_whatever_the_request_says(
    plan: ReasoningPlan, include: bool, thinking: dict[str, Any] | None
) -> None:
    request = asking(reasoning=Reasoning(Effort.MAX, 7, include), compute_mode=ComputeMode.ULTRA_THINK)
    assert body(request, plan=plan).get("generationConfig", {}).get("thinkingConfig") == thinking


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking"),
    [
        (NEW, Reasoning(Effort.LOW), {"thinkingLevel": "LOW"}),
        (NEW, Reasoning(budget_tokens=100, include=True), {"thinkingBudget": 100, "includeThoughts": True}),
        (OLD, Reasoning(Effort.NONE, include=True), {"thinkingBudget": 0}),
        (OLD, Reasoning(budget_tokens=0), {"thinkingBudget": 0}),
        (OLD, Reasoning(include=True), {"includeThoughts": True}),
    ],
)
def test_unknown_model_is_told_what_its_generation_has_words_for(
    model: str, reasoning: Reasoning, thinking: dict[str, Any]
) -> None:
    assert body(asking(reasoning=reasoning), model)["generationConfig"]["thinkingConfig"] == thinking


@pytest.mark.parametrize(
    "model",
    [OLD, "gemini-3-flash-preview", "gemini-3.1-pro-preview", "gemini-3.1-flash-lite", "gemma-4-31b-it", "tuned-1"],
)
def test_beginning_of_the_answer_is_the_last_content(model: str) -> None:
    asked = {"role": "user", "parts": [{"text": "Hi"}]}
    begun = {"role": "model", "parts": [{"text": "Once upon"}]}
    assert continuing(model, "Once upon \n") == {"contents": [asked, begun]}
    assert continuing(model, " ") == {"contents": [asked]}
    caller = Message(Role.ASSISTANT, (Text("A tale. "),))
    assert continuing(model, "Once upon", USER, caller)["contents"][-1] == {
        "role": "model",
        "parts": [{"text": "A tale. "}, {"text": "Once upon"}],
    }


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gemini-3.5-flash", {}),
        (NEW, {}),
        ("gemini-4-argon", {}),
        ("gemini-flash-latest", {}),
        (OLD, {"response_format": ResponseFormat(FormatKind.JSON)}),
    ],
)
def test_beginning_that_would_not_be_continued_is_refused_by_name(model: str, more: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        continuing(model, "Once upon", **more)
    assert refused.value.param == "prefix"


def continuing(model: str, prefix: str, *messages: Message, **more: Any) -> dict[str, Any]:
    begun = msgspec.structs.replace(attempt(model), prefix=prefix)
    decoded: dict[str, Any] = msgspec.json.decode(request_body(asking(*messages, **more), begun, Service.DEVELOPER))
    return decoded
