"""Tables of a conversation in OmniX's words and what it is in Gemini's."""

from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini.contents import UNSIGNED
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.translate import request_body
from omnix_kit.caller import Caller
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    CacheBreakpoint,
    CompletionRequest,
    File,
    Image,
    Message,
    Reasoned,
    Role,
    Text,
    ToolCall,
)

NEW, OLD = "gemini-3.8-flash", "gemini-2.5-flash"
USER = Message(Role.USER, (Text("Hi"),))
PNG = {"inlineData": {"mimeType": "image/png", "data": "AP8="}}
CALLS = (ToolCall("1", "f", '{"a": 1.50}', b"c2ln"), ToolCall("2", "g", ""))


def attempt(model: str = NEW) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", model)


def body(request: CompletionRequest, model: str = NEW) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request_body(request, attempt(model), Service.DEVELOPER))
    return decoded


def asking(*messages: Message) -> CompletionRequest:
    return CompletionRequest("fast", messages)


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
