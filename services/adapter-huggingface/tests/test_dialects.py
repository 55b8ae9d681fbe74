"""What the router and each kind of endpoint are asked, and what is refused by name."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_adapter_huggingface.dialects import ROUTER, TGI, VLLM, Abilities
from omnix_kit.caller import Caller
from omnix_provider import fuzzing
from omnix_provider.chatcompletions.request import request_body
from omnix_provider.errors import Refused, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
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
)

USER = Message(Role.USER, (Text("Hi"),))


def body(abilities: Abilities, request: CompletionRequest, plan: ReasoningPlan | None = None) -> dict[str, Any]:
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "huggingface", "org/name:groq", reasoning=plan)
    assert abilities.chat is not None
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt, abilities.chat, stream=False))
    return decoded


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


SCHEMA = ResponseFormat(FormatKind.JSON_SCHEMA, "n", schema_json='{"type":"object"}', strict=True)
INNER = {"name": "n", "schema": {"type": "object"}, "strict": True}


@pytest.mark.parametrize(
    ("abilities", "more", "fields"),
    [
        (ROUTER, {"max_output_tokens": 5, "end_user": "u"}, {"max_tokens": 5}),
        (ROUTER, {"reasoning": Reasoning(Effort.MAX)}, {"reasoning_effort": "xhigh"}),
        (ROUTER, {"candidate_count": 1, "parallel_tool_calls": True}, {}),
        (ROUTER, {"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        (ROUTER, {"response_format": SCHEMA}, {"response_format": {"type": "json_schema", "json_schema": INNER}}),
        (TGI, {"response_format": SCHEMA}, {"response_format": {"type": "json_schema", "value": INNER}}),
        (VLLM, {"sampling": Sampling(top_k=3), "end_user": "u"}, {"top_k": 3, "user": "u"}),
        (VLLM, {"candidate_count": 2}, {"n": 2}),
    ],
)
def test_server_is_asked_in_its_words(abilities: Abilities, more: dict[str, Any], fields: dict[str, Any]) -> None:
    plain = {"model": "org/name:groq", "messages": [{"role": "user", "content": "Hi"}]}
    assert body(abilities, asking(**more)) == plain | fields


@pytest.mark.parametrize(
    ("abilities", "plan", "fields"),
    [
        (ROUTER, ReasoningPlan(Control.EFFORT, Effort.LOW), {"reasoning_effort": "low"}),
        (ROUTER, ReasoningPlan(Control.SWITCH, Effort.NONE), {"reasoning_effort": "none"}),
        (ROUTER, ReasoningPlan(Control.FIXED, Effort.HIGH), {}),
        (TGI, ReasoningPlan(Control.FIXED, Effort.HIGH), {}),
        (
            VLLM,
            ReasoningPlan(Control.SWITCH, Effort.NONE),
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
    ],
)
def test_plan_is_obeyed(abilities: Abilities, plan: ReasoningPlan, fields: dict[str, Any]) -> None:
    asked = body(abilities, asking(compute_mode=ComputeMode.THINK), plan)
    assert {name: asked[name] for name in asked if name not in ("model", "messages")} == fields


def test_reasoning_of_an_earlier_turn_goes_back_in_the_servers_word() -> None:
    request = asking(Message(Role.ASSISTANT, (Text("Yes."),), reasoning=(Reasoned("Hm."),)))
    assert body(ROUTER, request)["messages"] == [{"role": "assistant", "content": "Yes.", "reasoning": "Hm."}]


@pytest.mark.parametrize(
    ("abilities", "request_", "param"),
    [
        *((each, asking(candidate_count=2), "n") for each in (ROUTER, TGI)),
        *((each, asking(parallel_tool_calls=False), "parallel_tool_calls") for each in (ROUTER, TGI)),
        *((each, asking(sampling=Sampling(top_k=1)), "top_k") for each in (ROUTER, TGI)),
        *((each, asking(compute_mode=ComputeMode.THINK), "mode") for each in (ROUTER, TGI, VLLM)),
        *((each, asking(reasoning=Reasoning(None, 9)), "reasoning.budget_tokens") for each in (ROUTER, TGI, VLLM)),
        (TGI, asking(reasoning=Reasoning(Effort.LOW)), "reasoning_effort"),
        (TGI, asking(response_format=ResponseFormat(FormatKind.JSON)), "response_format"),
        (ROUTER, asking(Message(Role.TOOL, (Image(data=b"x"),))), "messages.0.content"),
        (ROUTER, asking(vendor_parameters={"repetition_penalty": "1"}), "repetition_penalty"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    abilities: Abilities, request_: CompletionRequest, param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        body(abilities, request_)
    assert told.value.param == param


@pytest.mark.parametrize("part", [Audio(b"x", "wav"), File(data=b"x"), File(data=b"x", media_type="video/mp4")])
@pytest.mark.parametrize("abilities", [ROUTER, TGI])
def test_only_images_are_seen(abilities: Abilities, part: Part) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        body(abilities, asking(Message(Role.USER, (part,))))
    assert told.value.param == "messages.0.content.0"


@settings(deadline=None)
@given(fuzzing.requests(), fuzzing.attempts("huggingface"), st.sampled_from([ROUTER, TGI, VLLM]), st.booleans())
def test_any_request_is_translated_or_refused(
    request: CompletionRequest, attempt: Attempt, abilities: Abilities, stream: bool
) -> None:
    assert abilities.chat is not None
    try:
        asked = request_body(request, attempt, abilities.chat, stream=stream)
    except Refused as exc:
        if not exc.param or exc.reached:
            raise
    else:
        assert msgspec.json.decode(asked)["model"] == attempt.model


def test_endpoints_are_given_the_beginning_of_an_answer_and_the_router_is_not() -> None:
    def made(abilities: Abilities) -> dict[str, Any]:
        attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "huggingface", "org/name", prefix="Once upon")
        assert abilities.chat is not None
        decoded: dict[str, Any] = msgspec.json.decode(request_body(asking(), attempt, abilities.chat, stream=False))
        return decoded

    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Once upon"}]
    plain = {"model": "org/name", "messages": messages}
    assert made(TGI) == plain
    assert made(VLLM) == plain | {"continue_final_message": True, "add_generation_prompt": False}
    with pytest.raises(UnsupportedParameter) as refused:
        made(ROUTER)
    assert refused.value.param == "prefix"
