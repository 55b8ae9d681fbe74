"""The real SDK, unmodified, against the real process."""

import asyncio
import json
from typing import Any

import openai
import pytest
from omnix_sandbox import script
from omnix_sandbox.openai.request import prompt_of
from omnix_sandbox.testing import Sandbox
from pydantic import BaseModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_unary_answer_is_the_computed_one(client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str) -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "messages": said("Grüezi [[tokens=300]]")}
    raw = await client.chat.completions.with_raw_response.create(**body)
    answer = raw.parse()

    expected = script.answer(prompt_of(body))
    assert answer.choices[0].message.content == expected.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4o-2024-08-06"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 300
    assert answer.usage.prompt_tokens == script.input_tokens(prompt_of(body))
    call = await sandbox.wait_for_call(request_id=request_id)
    assert raw.headers["x-request-id"] == call.call
    assert raw.headers["x-ratelimit-limit-requests"] == "10000"
    assert (call.produced_tokens, call.output_tokens, call.usage_sent, call.answer_id) == (300, 300, True, answer.id)


async def test_stream_is_one_token_a_delta_and_equals_the_unary_answer(
    client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str
) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=said("Grüezi [[tokens=300]]"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    expected = script.answer(script.user("Grüezi [[tokens=300]]"))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in chunks[1:-2]] == list(expected.tokens)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 300
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.produced_tokens, call.output_tokens, call.usage_sent) == ("completed", 300, 300, True)


async def test_sync_client_streams_and_asks(sandbox: Sandbox) -> None:
    def ask() -> tuple[str | None, str | None, str]:
        with openai.OpenAI(base_url=sandbox.openai_url, api_key="k", max_retries=0, timeout=10) as client:
            whole = client.chat.completions.create(model="o3", messages=said("Hoi"), max_completion_tokens=5)
            stream = client.chat.completions.create(model="o3", messages=said("Hoi"), stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        return whole.choices[0].finish_reason, whole.choices[0].message.content, text

    finish, beginning, text = await asyncio.to_thread(ask)

    assert finish == "length"
    assert text == script.answer(script.user("Hoi")).text
    assert beginning
    assert text.startswith(beginning)


async def test_streamed_tool_calls_come_in_parallel(client: openai.AsyncOpenAI) -> None:
    text = '[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"東京"}]]'
    async with client.chat.completions.stream(model="gpt-4o", messages=said(text), tools=TOOLS) as stream:
        final = await stream.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Zürich", "東京"]
    assert len({call.id for call in calls}) == 2
    assert final.choices[0].finish_reason == "tool_calls"


async def test_tool_call_and_its_result_make_a_conversation(client: openai.AsyncOpenAI) -> None:
    messages = said("Wetter? [[tool=get_weather]]")
    first = await client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
    message = first.choices[0].message
    assert message.content is None
    assert message.tool_calls
    messages.append(message.model_dump(exclude_none=True, include={"role", "tool_calls"}))
    messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"})

    second = await client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)

    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


async def test_json_schema_is_answered_by_the_schema(client: openai.AsyncOpenAI) -> None:
    class City(BaseModel):
        name: str
        size: int
        rivers: list[str]

    parsed = await client.chat.completions.parse(model="gpt-4o", messages=said("a city"), response_format=City)

    assert isinstance(parsed.choices[0].message.parsed, City)


async def test_json_mode_answers_an_object(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=said("json please"), response_format={"type": "json_object"}
    )

    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


async def test_choices_logprobs_refusals_and_usage_details(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=said("x [[tokens=7]]"), n=2, stream=True, logprobs=True, top_logprobs=2
    )
    texts = ["", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.delta.content:
                assert choice.logprobs is not None
                assert choice.logprobs.content is not None
                assert len(choice.logprobs.content[0].top_logprobs) == 2
    assert texts == [answer.text for answer in script.answers(script.user("x [[tokens=7]]", choices=2))]

    refused = await client.chat.completions.create(
        model="gpt-4o", messages=said("[[refuse]][[reasoning=50]][[cached=3]]")
    )
    assert refused.choices[0].message.content is None
    assert refused.choices[0].message.refusal
    assert refused.usage is not None
    assert refused.usage.completion_tokens_details is not None
    assert refused.usage.completion_tokens_details.reasoning_tokens == 50
    assert refused.usage.prompt_tokens_details is not None
    assert refused.usage.prompt_tokens_details.cached_tokens == 3


async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]

    assert {"gpt-4o", "gpt-4o-mini", "o3"} <= set(names)
    assert (await client.models.retrieve("sandbox-cut-after-5")).owned_by == "omnix-sandbox"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-none")


async def test_a_wrong_key_is_refused(sandbox: Sandbox) -> None:
    async with openai.AsyncOpenAI(base_url=sandbox.openai_url, api_key="invalid", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=said("x"))

    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic eA=="}])
async def test_a_missing_key_is_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    async with sandbox.http.get(f"{sandbox.openai_url}/models", headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"model": "gpt-none"}, 404, "model_not_found", None),
        ({"model": "sandbox-cut-aftr-5"}, 400, "invalid_value", None),
        ({"messages": []}, 400, "invalid_value", "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "invalid_value", "messages[0].role"),
        ({"temperature": 3}, 400, "invalid_value", "temperature"),
        ({"colour": "red"}, 400, "unknown_parameter", "colour"),
        ({"stream_options": {"include_usage": True}}, 400, None, "stream_options"),
        ({"model": "o3", "max_tokens": 5}, 400, "unsupported_parameter", "max_tokens"),
        ({"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]}, 400, None, "messages.[0].role"),
        ({"messages": [{"role": "user", "content": "[[tokens=many]]"}]}, 400, "invalid_value", None),
    ],
)
async def test_bad_requests_are_refused_by_name(
    client: openai.AsyncOpenAI, changes: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    body = {"model": "gpt-4o", "messages": said("x"), **changes}
    with pytest.raises(openai.APIStatusError) as caught:
        await client.post("/chat/completions", body=body, cast_to=object)

    assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, param)


@pytest.mark.parametrize("body", [b"{", b'{"model":' + b"[" * 100_000, b"\xff\xfe", b'{"\xff":1}', b""])
async def test_bodies_that_are_no_json_are_refused(sandbox: Sandbox, body: bytes) -> None:
    async with sandbox.http.post(
        f"{sandbox.openai_url}/chat/completions", data=body, headers={"Authorization": "Bearer k"}
    ) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_a_caller_who_waits_to_send_its_body_is_told_to_go_on(sandbox: Sandbox) -> None:
    body = {"model": "gpt-4o", "messages": said("x")}
    async with asyncio.timeout(5):
        async with sandbox.http.post(
            f"{sandbox.openai_url}/chat/completions", json=body, expect100=True, headers={"Authorization": "Bearer k"}
        ) as response:
            assert response.status == 200
