"""Requests that say how the answer begins, in every vendor's format, by the vendors' own SDKs."""

import json
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors, types
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.errors import HfHubHTTPError
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox

from .bedrock_client import off

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Grüezi [[tokens=40]]"
ANSWER = script.answer(script.user(QUESTION))
PREFIX = "".join(ANSWER.tokens[:15])
REST = ANSWER.text.removeprefix(PREFIX)
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}


def said(question: str = QUESTION, prefix: str = PREFIX) -> list[Any]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": prefix}]


def to_bedrock(question: str = QUESTION, prefix: str = PREFIX) -> list[dict[str, Any]]:
    return [{"role": message["role"], "content": [{"text": message["content"]}]} for message in said(question, prefix)]


def to_gemini(question: str = QUESTION, prefix: str = PREFIX) -> list[Any]:
    return [
        types.Content(role="user", parts=[types.Part(text=question)]),
        types.Content(role="model", parts=[types.Part(text=prefix)]),
    ]


def gemini(sandbox: Sandbox) -> genai.client.AsyncClient:
    options = types.HttpOptions(base_url=sandbox.gemini_url, timeout=10_000, async_client_args={"ssl": False})
    return genai.Client(api_key="key", http_options=options).aio


async def streamed(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


@pytest.mark.parametrize("stream", [False, True])
async def test_flags_of_openai_like_servers_have_the_answer_continued(client: openai.AsyncOpenAI, stream: bool) -> None:
    asked: Any = client.chat.completions.create
    answer = await asked(model="sandbox-chat", messages=said(), stream=stream, extra_body=FLAGS)
    assert (await streamed(answer) if stream else answer.choices[0].message.content) == REST


async def test_flag_of_the_last_message_has_the_answer_continued(client: openai.AsyncOpenAI) -> None:
    messages = said()
    messages[-1]["prefix"] = True
    answer = await client.chat.completions.create(model="sandbox-chat", messages=messages)
    assert answer.choices[0].message.content == REST
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 25


async def test_without_a_flag_the_last_message_is_a_turn(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="sandbox-chat", messages=said())
    turns = script.Prompt((script.Message("user", QUESTION), script.Message("assistant", PREFIX)))
    assert answer.choices[0].message.content == script.answer(turns).text != REST


@pytest.mark.parametrize(
    ("model", "last", "flags", "told"),
    [
        ("gpt-4o", {}, FLAGS, "Unknown parameter: 'continue_final_message'."),
        ("gpt-4o", {"prefix": True}, {}, "Unknown parameter: 'messages[1].prefix'."),
        ("sandbox-no-prefix", {}, FLAGS, "Unknown parameter: 'continue_final_message'."),
        ("sandbox-tokens-9-no-prefix", {"prefix": True}, {}, "Unknown parameter: 'messages[1].prefix'."),
        ("sandbox-chat", {}, {"continue_final_message": True}, "Cannot set both"),
    ],
)
async def test_openai_like_servers_refuse(
    client: openai.AsyncOpenAI, model: str, last: dict[str, Any], flags: dict[str, Any], told: str
) -> None:
    messages = said()
    messages[-1] |= last
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model=model, messages=messages, extra_body=flags)
    assert told in str(refused.value)


async def test_beginning_of_another_answer_is_answered_with_something_else(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="sandbox-chat", messages=said(prefix="Another."), extra_body=FLAGS
    )
    turns = script.Prompt((script.Message("user", QUESTION), script.Message("assistant", "Another.")))
    assert answer.choices[0].message.content == script.answer(turns).text


async def test_router_of_hugging_face_hands_the_flags_on(sandbox: Sandbox) -> None:
    async with AsyncInferenceClient(base_url=f"{sandbox.huggingface_url}/v1", api_key="hf_token", timeout=10) as router:
        asked: Any = router.chat_completion
        answer = await asked(said(), model="sandbox-chat", extra_body=FLAGS)
        assert answer.choices[0].message.content == REST
        with pytest.raises(HfHubHTTPError, match="continue the final message"):
            await asked(said(), model="sandbox-no-prefix", extra_body=FLAGS)


async def test_tgi_continues_unasked(sandbox: Sandbox) -> None:
    async with AsyncInferenceClient(model=f"{sandbox.huggingface_url}/tgi", timeout=10) as tgi:
        answer = await tgi.chat_completion(said())
        assert answer.choices[0].message.content == REST
        with pytest.raises(HfHubHTTPError, match="Template error"):
            await tgi.chat_completion(said(), model="sandbox-no-prefix")


@pytest.mark.parametrize(
    "model", ["sandbox-chat", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"]
)
async def test_converse_continues_a_last_message_of_the_assistant(bedrock: Any, model: str) -> None:
    # A space would be refused, and the answer goes on with it.
    prefix = PREFIX.rstrip()
    answer = await off(bedrock.converse, modelId=model, messages=to_bedrock(prefix=prefix))
    assert answer["output"]["message"]["content"] == [{"text": ANSWER.text.removeprefix(prefix)}]
    stream = await off(bedrock.converse_stream, modelId=model, messages=to_bedrock(prefix=prefix))
    deltas = [event["contentBlockDelta"]["delta"] for event in stream["stream"] if "contentBlockDelta" in event]
    assert "".join(delta["text"] for delta in deltas) == ANSWER.text.removeprefix(prefix)


@pytest.mark.parametrize(
    ("model", "prefix", "told"),
    [
        ("global.anthropic.claude-opus-4-6-v1", "So", "does not support assistant message prefill"),
        ("anthropic.claude-sonnet-5", "So", "does not support assistant message prefill"),
        ("sandbox-no-prefix", "So", "does not support assistant message prefill"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "So ", "cannot end with trailing whitespace"),
    ],
)
async def test_converse_refuses(bedrock: Any, model: str, prefix: str, told: str) -> None:
    with pytest.raises(ClientError) as refused:
        await off(bedrock.converse, modelId=model, messages=to_bedrock(prefix=prefix))
    error = refused.value.response["Error"]
    assert error.get("Code") == "ValidationException"
    assert told in error.get("Message", "")


async def test_claude_that_thinks_by_a_budget_begins_with_its_thoughts(bedrock: Any) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with pytest.raises(ClientError, match="Expected `thinking`"):
        await off(
            bedrock.converse,
            modelId="anthropic.claude-sonnet-4-5-20250929-v1:0",
            messages=to_bedrock(prefix="So"),
            additionalModelRequestFields=thinking,
        )


@pytest.mark.parametrize("model", ["sandbox-chat", "gemini-2.5-flash", "gemini-3-flash-preview"])
async def test_gemini_continues_a_last_content_of_the_model(sandbox: Sandbox, model: str) -> None:
    answer = await gemini(sandbox).models.generate_content(model=model, contents=to_gemini())
    assert answer.text == REST
    stream = await gemini(sandbox).models.generate_content_stream(model=model, contents=to_gemini())
    assert "".join([chunk.text or "" async for chunk in stream]) == REST


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "sandbox-no-prefix"])
async def test_gemini_refuses_a_last_content_of_the_model(sandbox: Sandbox, model: str) -> None:
    with pytest.raises(errors.ClientError, match="ending with a model turn") as refused:
        await gemini(sandbox).models.generate_content(model=model, contents=to_gemini())
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")


async def test_directive_refuses_whatever_the_model(sandbox: Sandbox) -> None:
    asked = {"model": "tgi", "messages": said("Grüezi [[no-prefix]]")}
    async with sandbox.http.post(f"{sandbox.huggingface_url}/tgi/v1/chat/completions", json=asked) as response:
        assert response.status == 422
    asked["messages"] = asked["messages"][:1]
    async with sandbox.http.post(f"{sandbox.huggingface_url}/tgi/v1/chat/completions", json=asked) as response:
        assert response.status == 200


async def turn(sandbox: Sandbox, question: str, model: str = "sandbox-chat") -> tuple[int, str, bool]:
    """Status, text and whether the stream ended as it should, of one more call of a conversation."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "stream": True}
    data = b""
    try:
        async with sandbox.http.post(
            f"{sandbox.openai_url}/chat/completions", json=body, headers={"Authorization": "Bearer k"}
        ) as response:
            async for piece in response.content.iter_any():
                data += piece
            status = response.status
    except aiohttp.ClientError:
        status = 0
    events = [line[6:] for line in data.decode(errors="replace").splitlines() if line.startswith("data: ")]
    return status, "".join(_texts(events)), "[DONE]" in events and not any('"error"' in event for event in events)


def _texts(events: list[str]) -> list[str]:
    texts = []
    for event in events:
        try:
            told = json.loads(event)
        except ValueError:
            continue
        texts += [choice["delta"].get("content") or "" for choice in told.get("choices", ())]
    return texts


@pytest.mark.parametrize(
    ("fault", "whole"),
    [
        ("cut-after-5", False),
        ("cut-after-5-rst", False),
        ("malformed-after-5", True),
        ("error-after-5", False),
        ("error-503-after-5", False),
        ("end-after-5", False),
        ("stall-after-5-for-50ms", True),
        ("no-done", False),
        ("no-finish", False),
    ],
)
async def test_fault_befalls_the_first_calls_of_a_conversation_alone(sandbox: Sandbox, fault: str, whole: bool) -> None:
    for times, word in ((1, "once"), (2, "times-2")):
        question = f"{fault} [[tokens=20]] [[fault={fault}-{word}]]"
        for _ in range(times):
            status, text, ended = await turn(sandbox, question)
            assert ended == whole
            assert status == (0 if "cut" in fault else 200)
            if "end-" in fault or "cut" in fault:
                assert text == "".join(script.answer(script.user(question)).tokens[:5])
        assert await turn(sandbox, question) == (200, script.answer(script.user(question)).text, True)


async def test_fault_of_a_models_name_befalls_each_conversation_anew(sandbox: Sandbox) -> None:
    model = "sandbox-503-once"
    assert [(await turn(sandbox, question, model))[0] for question in ("a", "b", "a", "b")] == [503, 503, 200, 200]
    await sandbox.clear_faults()
    assert (await turn(sandbox, "a", model))[0] == 503


async def test_conversation_that_was_cut_goes_well_at_another_vendor(sandbox: Sandbox, bedrock: Any) -> None:
    question = "elsewhere [[tokens=20]] [[fault=cut-after-5-once]]"
    _, begun, _ = await turn(sandbox, question)
    answer = await off(bedrock.converse, modelId="sandbox-chat", messages=to_bedrock(question, begun.rstrip()))
    rest = answer["output"]["message"]["content"][0]["text"]
    assert begun.rstrip() + rest == script.answer(script.user(question)).text


async def test_rule_may_befall_the_first_call_of_each_conversation(sandbox: Sandbox) -> None:
    await sandbox.order_fault("503-once", match={"model": "sandbox-chat"})
    try:
        statuses = [(await turn(sandbox, question))[0] for question in ("rule a", "rule b", "rule a")]
    finally:
        await sandbox.clear_faults()
    assert statuses == [503, 503, 200]


async def test_answer_departs_from_the_second_call_on(sandbox: Sandbox) -> None:
    question = "departs [[tokens=20]] [[depart_later=5]]"
    prompt = script.user(question)
    first, second = [(await turn(sandbox, question))[1] for _ in range(2)]
    assert first == script.answer(prompt).text
    assert second == script.answer(replace(prompt, earlier=1)).text
    same = "".join(script.answer(prompt).tokens[:5])
    assert second.startswith(same)
    assert second != first


async def test_answer_of_a_model_may_depart_always(sandbox: Sandbox) -> None:
    question = "departs [[tokens=20]]"
    _, text, _ = await turn(sandbox, question, "sandbox-depart-5")
    assert text == script.answer(script.user(question, model="sandbox-depart-5")).text
    assert text.startswith("".join(script.answer(script.user(question)).tokens[:5]))
    assert text != script.answer(script.user(question)).text
