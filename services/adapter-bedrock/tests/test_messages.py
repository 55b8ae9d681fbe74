"""Tables of conversations in OmniX's words and in Converse's."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from omnix_adapter_bedrock.translate import converse_body
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    CacheBreakpoint,
    CompletionRequest,
    File,
    Image,
    Message,
    Part,
    Reasoned,
    Role,
    Text,
    Tool,
    ToolCall,
)

SONNET_4_5 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama4-scout-17b-instruct-v1:0"
USER = Message(Role.USER, (Text("Hi"),))


def asking(*messages: Message, **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", messages or (USER,), **more)


def body(request: CompletionRequest, model: str = SONNET_4_5, **more: Any) -> dict[str, Any]:
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "bedrock", model, **more)
    decoded: dict[str, Any] = msgspec.json.decode(converse_body(request, attempt))
    return decoded


BYTES = b"\x89PNG"
BASE64 = b64encode(BYTES).decode()
SOURCE = {"bytes": BASE64}
CACHE = CacheBreakpoint()
POINT = {"cachePoint": {"type": "default"}}


def said(*messages: Message, model: str = SONNET_4_5) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(asking(*messages, tools=(Tool("t"),)), model)["messages"]
    return found


def test_instructions_stand_apart_wherever_they_were_said() -> None:
    made = body(
        asking(
            Message(Role.SYSTEM, (Text("One.", CACHE), Text(""))),
            USER,
            Message(Role.DEVELOPER, (Text("Two."),)),
            Message(Role.USER, (Text("Go on."),)),
        )
    )
    assert made == {
        "system": [{"text": "One."}, POINT, {"text": "Two."}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}, {"text": "Go on."}]}],
    }


def test_results_of_parallel_calls_and_what_the_user_adds_are_one_message() -> None:
    assert said(
        USER,
        Message(
            Role.ASSISTANT,
            (Text("Let me see."),),
            tool_calls=(ToolCall("a", "t", '{"x": 1.50}'), ToolCall("b", "t", "")),
        ),
        Message(Role.TOOL, (Text("one"), Image(data=BYTES, media_type="image/png")), tool_call_id="a"),
        Message(Role.TOOL, (Text("broken", CACHE),), tool_call_id="b", tool_failed=True, name="t"),
        USER,
    ) == [
        {"role": "user", "content": [{"text": "Hi"}]},
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "a", "name": "t", "input": {"x": 1.5}}},
                {"toolUse": {"toolUseId": "b", "name": "t", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "a",
                        "content": [{"text": "one"}, {"image": {"format": "png", "source": SOURCE}}],
                    }
                },
                {"toolResult": {"toolUseId": "b", "content": [{"text": "broken"}], "status": "error"}},
                POINT,
                {"text": "Hi"},
            ],
        },
    ]


def test_ids_of_other_vendors_become_ids_that_bedrock_takes() -> None:
    strange = "call|" + "x" * 80
    _, assistant, user = said(
        USER,
        Message(Role.ASSISTANT, tool_calls=(ToolCall(strange, "t", "{}"),)),
        Message(Role.TOOL, (), tool_call_id=strange),
    )
    made = assistant["content"][0]["toolUse"]["toolUseId"]
    assert made == user["content"][0]["toolResult"]["toolUseId"]
    assert made.startswith("call_")
    assert len(made) <= 64
    assert user["content"][0]["toolResult"]["content"] == []


def test_ids_become_nine_letters_and_digits_for_mistral() -> None:
    _, assistant, user = said(
        USER,
        Message(Role.ASSISTANT, tool_calls=(ToolCall("tooluse_Ac1", "t", "{}"), ToolCall("abcDEF123", "t", "{}"))),
        Message(Role.TOOL, (Text("1"),), tool_call_id="tooluse_Ac1"),
        Message(Role.TOOL, (Text("2"),), tool_call_id="abcDEF123"),
        model="mistral.mistral-large-2407-v1:0",
    )
    made, kept = (block["toolUse"]["toolUseId"] for block in assistant["content"])
    assert [block["toolResult"]["toolUseId"] for block in user["content"]] == [made, kept]
    assert (len(made), made.isalnum(), kept) == (9, True, "abcDEF123")


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image(data=BYTES), {"image": {"format": "png", "source": SOURCE}}),
        (Image(data=BYTES, media_type="image/jpeg", detail="high"), {"image": {"format": "jpeg", "source": SOURCE}}),
        (Image(data=BYTES, media_type="image/WebP"), {"image": {"format": "webp", "source": SOURCE}}),
        (Audio(BYTES, "wav"), {"audio": {"format": "wav", "source": SOURCE}}),
        (File(data=BYTES, media_type="video/mp4"), {"video": {"format": "mp4", "source": SOURCE}}),
        (File(data=BYTES, media_type="video/3gpp"), {"video": {"format": "three_gp", "source": SOURCE}}),
        (
            File(data=BYTES, media_type="application/pdf", filename="Our plan_v2: (final)!.pdf"),
            {"document": {"format": "pdf", "name": "Our plan v2 (final)", "source": SOURCE}},
        ),
        (File(data=BYTES, filename="notes.md"), {"document": {"format": "md", "name": "notes", "source": SOURCE}}),
        (
            File(data=BYTES, media_type="text/plain; charset=utf-8"),
            {"document": {"format": "txt", "name": "document", "source": SOURCE}},
        ),
    ],
)
def test_media(part: Part, block: dict[str, Any]) -> None:
    assert said(Message(Role.USER, (part,))) == [{"role": "user", "content": [block]}]


def test_names_of_documents_are_cut_and_told_apart() -> None:
    pdf = File(data=BYTES, media_type="application/pdf", filename="x" * 300 + ".pdf")
    unnamed = File(data=BYTES, media_type="application/pdf", filename="報告.pdf")
    [message] = said(Message(Role.USER, (pdf, pdf, unnamed, unnamed)))
    names = [block["document"]["name"] for block in message["content"]]
    assert names == ["x" * 192, "x" * 192 + " (2)", "document", "document (2)"]


def test_cache_points_stand_after_what_they_keep() -> None:
    hour = CacheBreakpoint(timedelta(hours=1))
    parts = (Text("a", CacheBreakpoint(timedelta(minutes=5))), Text("", CACHE), Text("b", hour))
    assert said(Message(Role.USER, parts)) == [
        {
            "role": "user",
            "content": [
                {"text": "a"},
                {"cachePoint": {"type": "default", "ttl": "5m"}},
                {"text": "b"},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
            ],
        }
    ]


def test_model_without_cache_points_is_asked_without_them() -> None:
    assert said(Message(Role.USER, (Text("a", CACHE),)), model=LLAMA) == [{"role": "user", "content": [{"text": "a"}]}]


def test_reasoning_of_bedrock_goes_back_unchanged_and_that_of_others_stays_here() -> None:
    thoughts = (
        Reasoned("I think", b"c2lnbmVk", provider="bedrock"),
        Reasoned("", b"omitted", provider="bedrock"),
        Reasoned(redacted=BYTES, provider="bedrock"),
        Reasoned("unsigned", provider="bedrock"),
        Reasoned("theirs", b"x", provider="gemini"),
        Reasoned("nobody's"),
        Reasoned("perhaps ours", b"eA==", provider=""),
    )
    _, assistant = said(USER, Message(Role.ASSISTANT, (Text("So."),), reasoning=thoughts))
    assert assistant["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "I think", "signature": "c2lnbmVk"}}},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "omitted"}}},
        {"reasoningContent": {"redactedContent": BASE64}},
        {"reasoningContent": {"reasoningText": {"text": "perhaps ours", "signature": "eA=="}}},
        {"text": "So."},
    ]


def test_refusal_is_what_the_assistant_said() -> None:
    _, assistant = said(USER, Message(Role.ASSISTANT, refusal="I will not."))
    assert assistant["content"] == [{"text": "I will not."}]


def test_turns_in_which_nothing_was_said_are_left_out() -> None:
    assert said(USER, Message(Role.ASSISTANT, (Text("\n"),)), USER) == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]}
    ]


@pytest.mark.parametrize(
    ("messages", "model", "param"),
    [
        ((Message(Role.USER, (Text("a"),), name="ann"),), NOVA, "messages.0.name"),
        ((USER, Message(Role.SYSTEM, (Image(data=BYTES),))), NOVA, "messages.1.content.0"),
        ((USER, Message(Role.ASSISTANT, (Text("a"), Image(data=BYTES)))), NOVA, "messages.1.content.1"),
        ((Message(Role.TOOL, (Audio(BYTES, "wav"),), tool_call_id="a"),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (Image(url="https://x.example/a.png"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (Image(data=BYTES, media_type="image/tiff"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (Image(data=BYTES, detail="low"),)),), NOVA, "messages.0.content.0.image_url.detail"),
        ((Message(Role.USER, (Audio(BYTES, "midi"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (File(file_id="f"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (File(data=BYTES, media_type="application/zip"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (File(data=BYTES, media_type="video/avi"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (File(url="https://x.example/a.pdf"),)),), NOVA, "messages.0.content.0"),
        ((Message(Role.USER, (Image(url="s3://ours/a.png"),)),), NOVA, "messages.0.content.0"),
        (
            (Message(Role.USER, (File(url="s3://ours/a.mp4", media_type="video/mp4"),)),),
            NOVA,
            "messages.0.content.0",
        ),
        (
            (Message(Role.USER, (Text("a", CacheBreakpoint(timedelta(hours=1))),)),),
            NOVA,
            "messages.0.content.0.prompt_cache_breakpoint.ttl",
        ),
        (
            (Message(Role.USER, (Text("a", CacheBreakpoint(timedelta(hours=2))),)),),
            SONNET_4_5,
            "messages.0.content.0.prompt_cache_breakpoint.ttl",
        ),
        (
            (USER, Message(Role.ASSISTANT, tool_calls=(ToolCall("a", "bad name", "{}"),))),
            NOVA,
            "messages.1.tool_calls.0.function.name",
        ),
    ],
)
def test_what_converse_cannot_say_is_refused_by_name(messages: tuple[Message, ...], model: str, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        said(*messages, model=model)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (Message(Role.ASSISTANT, tool_calls=(ToolCall("a", "t", "{"),)), "messages.1.tool_calls.0.function.arguments"),
        (Message(Role.ASSISTANT, tool_calls=(ToolCall("", "t", "{}"),)), "messages.1.tool_calls.0.id"),
        (Message(Role.TOOL, (Text("a"),)), "messages.1.tool_call_id"),
        (
            Message(Role.ASSISTANT, reasoning=(Reasoned("a", b"\xff", provider="bedrock"),)),
            "messages.1.reasoning_details",
        ),
    ],
)
def test_what_is_no_message_is_invalid(message: Message, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        said(USER, message)
    assert refused.value.param == param
