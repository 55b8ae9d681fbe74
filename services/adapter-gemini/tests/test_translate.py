"""Tables of what is said in OmniX's words and what it is in Gemini's."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini.contents import UNSIGNED
from omnix_adapter_gemini.dialect import Service, generation
from omnix_adapter_gemini.translate import request_body
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
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

NEW, OLD = "gemini-3.8-flash", "gemini-2.5-flash"
USER = Message(Role.USER, (Text("Hi"),))
F = Tool("f")


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


def test_instructions_become_one_and_speakers_take_turns() -> None:
    told = body(
        asking(
            Message(Role.SYSTEM, (Text("Be kind."), Text(""))),
            USER,
            Message(Role.USER, (Text("Again"), Text("and again"))),
            Message(Role.ASSISTANT, (Text("Yes?"),), refusal="No."),
            Message(Role.DEVELOPER, (Text("Be brief."),)),
            Message(Role.ASSISTANT, (Text(""),)),
            Message(Role.USER),
        )
    )
    assert told["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]}
    assert told["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}, {"text": "Again"}, {"text": "and again"}]},
        {"role": "model", "parts": [{"text": "Yes?"}, {"text": "No."}, {"text": ""}]},
        {"role": "user", "parts": [{"text": ""}]},
    ]


PNG = {"inlineData": {"mimeType": "image/png", "data": "AP8="}}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("x", CacheBreakpoint()), {"text": "x"}),
        (Image(data=b"\x00\xff"), PNG),
        (Image(data=b"\x00\xff", detail="auto"), PNG),
        (Image(data=b"\x00\xff", detail="high"), {**PNG, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
        (
            Image(url="https://x.example/cat.JPG?w=1"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/cat.JPG?w=1"}},
        ),
        (Audio(b"\x00\xff", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AP8="}}),
        (File(data=b"%PDF-1"), {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}}),
        (
            File(data=b"\x00\xff", media_type="video/mp4", filename="a.mp4"),
            {"inlineData": {"mimeType": "video/mp4", "data": "AP8="}},
        ),
        (File(data=b"\x00\xff", filename="a.TXT"), {"inlineData": {"mimeType": "text/plain", "data": "AP8="}}),
        (
            File(url="https://x.example/film", media_type="video/mp4"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x.example/film"}},
        ),
    ],
)
def test_parts(part: Any, expected: dict[str, Any]) -> None:
    assert body(asking(Message(Role.USER, (part,))))["contents"][0]["parts"] == [expected]


CALLS = (ToolCall("1", "f", '{"a": 1.50}', b"c2ln"), ToolCall("2", "g", ""))


def test_calls_and_their_results_go_back_with_id_name_and_signature() -> None:
    told = body(
        asking(
            USER,
            Message(Role.ASSISTANT, (Text("Let me see."),), tool_calls=CALLS),
            Message(Role.TOOL, (Text("2"),), tool_call_id="2"),
            Message(Role.TOOL, (Text("it"), Text("broke")), tool_call_id="1", tool_failed=True),
            Message(Role.USER, (Text("So?"),)),
        )
    )
    assert told["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {"functionCall": {"name": "f", "args": {"a": 1.5}, "id": "1"}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "g", "args": {}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "g", "response": {"output": "2"}, "id": "2"}},
                {"functionResponse": {"name": "f", "response": {"error": ["it", "broke"]}, "id": "1"}},
            ],
        },
        {"role": "user", "parts": [{"text": "So?"}]},
    ]


def test_numbers_in_arguments_stay_as_the_model_wrote_them() -> None:
    call = ToolCall("1", "f", '{"a": 1.50, "b": 12345678901234567890123}')
    assert b'{"a":1.50,"b":12345678901234567890123}' in request_body(
        asking(USER, Message(Role.ASSISTANT, tool_calls=(call,))), attempt(), Service.DEVELOPER
    )


def test_result_with_images_holds_them_or_is_followed_by_them() -> None:
    request = asking(
        USER,
        Message(Role.ASSISTANT, tool_calls=(CALLS[0],)),
        Message(Role.TOOL, (Text("seen"), Image(data=b"\x00\xff")), tool_call_id="1"),
        Message(Role.TOOL, (Image(data=b"\x00\xff"),), tool_call_id="1"),
    )
    response = {"name": "f", "response": {"output": "seen"}, "id": "1"}
    silent = {"name": "f", "response": {}, "id": "1"}
    assert body(request)["contents"][2]["parts"] == [
        {"functionResponse": {**response, "parts": [PNG]}},
        {"functionResponse": {**silent, "parts": [PNG]}},
    ]
    assert body(request, OLD)["contents"][2]["parts"] == [
        {"functionResponse": response},
        PNG,
        {"functionResponse": silent},
        PNG,
    ]


@pytest.mark.parametrize(
    ("reasoning", "parts"),
    [
        ((Reasoned("Hm.", provider="gemini"),), [{"text": "Hm.", "thought": True}, {"text": "a"}]),
        (
            (Reasoned("Hm.", b"s1", provider="gemini"), Reasoned("", b"s2", provider="gemini")),
            [{"text": "Hm.", "thought": True, "thoughtSignature": "s1"}, {"text": "a", "thoughtSignature": "s2"}],
        ),
        (
            (Reasoned("", b"s1"), Reasoned("", b"s2")),
            [{"text": "", "thoughtSignature": "s1"}, {"text": "a", "thoughtSignature": "s2"}],
        ),
        ((Reasoned("Hm.", b"\xff", provider="bedrock"), Reasoned("", redacted=b"x")), [{"text": "a"}]),
    ],
)
def test_reasoning_goes_back_to_where_it_came_from(reasoning: tuple[Reasoned, ...], parts: list[Any]) -> None:
    told = body(asking(USER, Message(Role.ASSISTANT, (Text("a"),), reasoning=reasoning), USER))
    assert told["contents"][1]["parts"] == parts


def test_lonely_signature_gets_an_empty_text() -> None:
    told = body(asking(USER, Message(Role.ASSISTANT, reasoning=(Reasoned("", b"s"),)), USER))
    assert told["contents"][1]["parts"] == [{"text": "", "thoughtSignature": "s"}]


def test_first_call_of_each_step_of_this_turn_is_told_as_unsigned_where_signatures_are_demanded() -> None:
    request = asking(
        USER,
        Message(Role.ASSISTANT, tool_calls=(ToolCall("0", "f", "{}"),)),
        Message(Role.TOOL, (Text("0"),), tool_call_id="0"),
        USER,
        Message(Role.ASSISTANT, tool_calls=(ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}"))),
        Message(Role.TOOL, (Text("1"),), tool_call_id="1"),
        Message(Role.ASSISTANT, tool_calls=(ToolCall("3", "f", "{}", b"own"),)),
        Message(Role.TOOL, (Text("3"),), tool_call_id="3"),
    )

    def signatures(model: str) -> list[str | None]:
        return [
            part.get("thoughtSignature")
            for content in body(request, model)["contents"]
            for part in content["parts"]
            if "functionCall" in part
        ]

    assert signatures(NEW) == [None, UNSIGNED, None, "own"]
    assert signatures("gemini-pro-latest") == [None, UNSIGNED, None, "own"]
    assert signatures(OLD) == [None, None, None, "own"]


def test_first_call_of_a_step_is_found_behind_messages_of_words() -> None:
    calls = (ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}"))
    said = Message(Role.ASSISTANT, (Text("Let me see."),))
    request = asking(USER, said, *(Message(Role.ASSISTANT, tool_calls=(call,)) for call in calls))
    assert body(request, NEW)["contents"][1]["parts"] == [
        {"text": "Let me see."},
        {"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": UNSIGNED},
        {"functionCall": {"name": "f", "args": {}, "id": "2"}},
    ]


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


@pytest.mark.parametrize(
    "part", [Audio(b"x", "wav"), Image(url="https://x.example/a.png"), File(data=b"%PDF-", media_type="video/mp4")]
)
def test_result_holds_only_what_gemini_takes_in_one(part: Any) -> None:
    request = asking(
        USER,
        Message(Role.ASSISTANT, tool_calls=(CALLS[0],)),
        Message(Role.TOOL, (Text("x"), part), tool_call_id="1"),
    )
    with pytest.raises(UnsupportedParameter) as refused:
        body(request)
    assert refused.value.param == "messages.2.content.1"


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
