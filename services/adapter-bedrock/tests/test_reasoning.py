"""Tables of how much a model shall reason, and how its family is told."""

from typing import Any

import msgspec
import pytest
from omnix_adapter_bedrock.translate import converse_body
from omnix_kit.caller import Caller
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    CompletionRequest,
    ComputeMode,
    Control,
    Effort,
    Message,
    Reasoning,
    ReasoningPlan,
    Role,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    ToolMode,
)

SONNET_4_5 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_6 = "global.anthropic.claude-opus-4-6-v1"
OPUS_4_8 = "us.anthropic.claude-opus-4-8"
OPUS_5 = "anthropic.claude-opus-5"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
NOVA = "amazon.nova-pro-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama4-scout-17b-instruct-v1:0"
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


FIELDS = "additionalModelRequestFields"
TOOLS = (Tool("t"),)


def effort(word: Effort | None) -> ReasoningPlan:
    return ReasoningPlan(Control.EFFORT, effort=word)


def budget(tokens: int | None) -> ReasoningPlan:
    return ReasoningPlan(Control.BUDGET, budget_tokens=tokens)


def enabled(tokens: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


@pytest.mark.parametrize(
    ("plan", "model", "fields"),
    [
        (effort(None), OPUS_4_6, {}),
        (budget(None), SONNET_4_5, {}),
        (budget(0), SONNET_4_5, {}),
        (budget(0), OPAQUE, {}),
        (ReasoningPlan(Control.NONE), LLAMA, {}),
        (ReasoningPlan(Control.FIXED), "deepseek.r1-v1:0", {}),
        (budget(2000), SONNET_4_5, {FIELDS: enabled(2000), "inferenceConfig": {"maxTokens": 6096}}),
        (budget(2000), OPAQUE, {FIELDS: enabled(2000), "inferenceConfig": {"maxTokens": 6096}}),
        (effort(Effort.NONE), OPUS_4_6, {}),
        (effort(Effort.NONE), OPUS_4_8, {}),
        (effort(Effort.NONE), OPUS_5, {FIELDS: {"thinking": {"type": "disabled"}}}),
        (effort(Effort.LOW), OPUS_4_6, {FIELDS: {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "low"}}),
        (effort(Effort.MAX), OPUS_5, {FIELDS: {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "max"}}),
        (
            effort(Effort.EXTRA_HIGH),
            OPUS_4_8,
            {FIELDS: {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "xhigh"}},
        ),
        (
            ReasoningPlan(Control.SWITCH, effort=Effort.HIGH),
            OPUS_4_6,
            {FIELDS: {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "high"}},
        ),
        (effort(Effort.NONE), NOVA_2, {FIELDS: {"reasoningConfig": {"type": "disabled"}}}),
        (
            effort(Effort.MEDIUM),
            NOVA_2,
            {FIELDS: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}},
        ),
        (effort(Effort.LOW), GPT_OSS, {FIELDS: {"reasoning_effort": "low"}}),
        (effort(Effort.NONE), "global.openai.gpt-5.6-sol", {FIELDS: {"reasoning": {"effort": "none"}}}),
        (effort(Effort.HIGH), "qwen.qwen3-32b-v1:0", {"outputConfig": {"effort": "high"}}),
        (effort(Effort.HIGH), OPAQUE, {"outputConfig": {"effort": "high"}}),
        (effort(Effort.NONE), LLAMA, {}),
    ],
)
def test_plan_is_obeyed_in_the_familys_words(plan: ReasoningPlan, model: str, fields: dict[str, Any]) -> None:
    """Whatever the request itself says of effort."""
    request = asking(reasoning=Reasoning(effort=Effort.MINIMAL), compute_mode=ComputeMode.THINK)
    made = beside_the_messages(request, model, reasoning=plan)
    if model == LLAMA:
        made.pop("inferenceConfig", None)
    assert made == fields


@pytest.mark.parametrize(
    ("wish", "model", "fields"),
    [
        (Reasoning(effort=Effort.HIGH), OPUS_5, {FIELDS: {"thinking": {"type": "adaptive"}}}),
        (Reasoning(effort=Effort.HIGH), GPT_OSS, {FIELDS: {"reasoning_effort": "high"}}),
        (Reasoning(budget_tokens=0), SONNET_4_5, {}),
        (Reasoning(include=True), SONNET_4_5, {}),
        (Reasoning(include=True), OPUS_4_8, {}),
        (Reasoning(include=True), OPUS_5, {FIELDS: {"thinking": {"type": "adaptive", "display": "summarized"}}}),
        (
            Reasoning(effort=Effort.LOW, include=True),
            OPUS_4_8,
            {FIELDS: {"thinking": {"type": "adaptive", "display": "summarized"}}},
        ),
        (Reasoning(effort=Effort.LOW, include=True), OPUS_4_6, {FIELDS: {"thinking": {"type": "adaptive"}}}),
    ],
)
def test_without_a_plan_the_request_is_followed(wish: Reasoning, model: str, fields: dict[str, Any]) -> None:
    made = beside_the_messages(asking(reasoning=wish), model)
    made.pop("outputConfig", None)
    assert made == fields


@pytest.mark.parametrize(
    ("asked", "most", "limit"), [(None, 0, 2000 + 4096), (None, 64_000, 64_000), (3000, 64_000, 3000)]
)
def test_limit_leaves_room_to_answer_beside_the_budget(asked: int | None, most: int, limit: int) -> None:
    made = beside_the_messages(asking(max_output_tokens=asked), reasoning=budget(2000), max_output_tokens=most)
    assert made["inferenceConfig"] == {"maxTokens": limit}


def test_temperature_of_one_is_what_a_thinking_claude_has_anyway() -> None:
    made = beside_the_messages(asking(sampling=Sampling(temperature=1.0, top_p=0.97)), reasoning=budget(1024))
    assert made["inferenceConfig"] == {"maxTokens": 5120, "topP": 0.97}


@pytest.mark.parametrize(
    ("more", "model", "plan", "param"),
    [
        ({"compute_mode": ComputeMode.THINK}, OPUS_5, None, "mode"),
        ({"reasoning": Reasoning(effort=Effort.LOW)}, SONNET_4_5, None, "reasoning_effort"),
        ({"reasoning": Reasoning(effort=Effort.MINIMAL)}, OPUS_5, None, "reasoning_effort"),
        ({"reasoning": Reasoning(effort=Effort.LOW)}, NOVA, None, "reasoning_effort"),
        ({"reasoning": Reasoning(effort=Effort.MAX)}, NOVA_2, None, "reasoning_effort"),
        ({"reasoning": Reasoning(effort=Effort.NONE)}, GPT_OSS, None, "reasoning_effort"),
        ({"reasoning": Reasoning(effort=Effort.NONE)}, OPAQUE, None, "reasoning_effort"),
        ({"reasoning": Reasoning(budget_tokens=2000)}, OPUS_5, None, "reasoning.budget_tokens"),
        ({"reasoning": Reasoning(budget_tokens=2000)}, NOVA_2, None, "reasoning.budget_tokens"),
        ({"reasoning": Reasoning(budget_tokens=1023)}, SONNET_4_5, None, "reasoning.budget_tokens"),
        ({"reasoning": Reasoning(effort=Effort.LOW, budget_tokens=9)}, SONNET_4_5, None, "reasoning.budget_tokens"),
        ({"max_output_tokens": 2000}, SONNET_4_5, budget(2000), "reasoning.budget_tokens"),
        ({"sampling": Sampling(temperature=0.5)}, SONNET_4_5, budget(2000), "temperature"),
        ({"sampling": Sampling(top_p=0.5)}, SONNET_4_5, budget(2000), "top_p"),
        ({"sampling": Sampling(top_k=5)}, SONNET_4_5, budget(2000), "top_k"),
        ({"sampling": Sampling(temperature=0.5)}, OPUS_4_6, effort(Effort.LOW), "temperature"),
        ({"tools": TOOLS, "tool_choice": ToolChoice(ToolMode.REQUIRED)}, SONNET_4_5, budget(2000), "tool_choice"),
        (
            {"tools": TOOLS, "tool_choice": ToolChoice(ToolMode.NAMED, "t")},
            OPUS_5,
            effort(Effort.LOW),
            "tool_choice",
        ),
        ({"max_output_tokens": 2000}, NOVA_2, effort(Effort.HIGH), "max_completion_tokens"),
        ({"sampling": Sampling(temperature=0.5)}, NOVA_2, effort(Effort.HIGH), "temperature"),
        ({"sampling": Sampling(top_p=0.5)}, NOVA_2, effort(Effort.HIGH), "top_p"),
        ({"sampling": Sampling(top_k=5)}, NOVA_2, effort(Effort.HIGH), "top_k"),
    ],
)
def test_what_a_family_cannot_be_told_is_refused_by_name(
    more: dict[str, Any], model: str, plan: ReasoningPlan | None, param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        beside_the_messages(asking(**more), model, reasoning=plan)
    assert refused.value.param == param
