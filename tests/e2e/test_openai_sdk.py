"""The official SDK, unmodified, finds in OmniX what it finds at OpenAI."""

import asyncio
import json
import time

import httpx
import openai
import pytest
from omnix_kit.testing import eventually
from omnix_sandbox import script
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessage
from support.suite import Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]

QUESTION = "Grüezi, was gibt's? 東京 👩‍👩‍👧‍👦"
ANSWER = script.answer(script.user(QUESTION))


def client(suite: Suite, **more: object) -> AsyncOpenAI:
    return AsyncOpenAI(**{"base_url": f"{suite.url}/v1", "api_key": suite.key, "max_retries": 0, **more})  # type: ignore[arg-type]


async def test_plain_answer_is_what_the_vendor_produced(suite: Suite) -> None:
    raw = await client(suite).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": QUESTION}]
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == ANSWER.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == ANSWER.output_tokens
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.headers["x-omnix-model"] == "openai/gpt-4o"
    assert raw.headers["x-omnix-attempts"] == "1"
    assert raw.headers["x-omnix-sandbox"] == "true"
    assert float(raw.headers["x-omnix-cost"]) > 0
    assert raw.request_id
    [entry] = await suite.usage_of(answer.id)
    assert entry["output_tokens"] == ANSWER.output_tokens


async def test_streamed_answer_is_what_the_vendor_produced_with_usage_last(suite: Suite) -> None:
    stream = await client(suite).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER.text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == ANSWER.output_tokens
    assert len({chunk.id for chunk in chunks}) == 1


async def test_synchronous_client_works_too(suite: Suite) -> None:
    await asyncio.to_thread(use_synchronous_client, suite)


def use_synchronous_client(suite: Suite) -> None:
    with OpenAI(base_url=f"{suite.url}/v1", api_key=suite.key, max_retries=0) as sync:
        messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
        assert sync.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content == ANSWER.text
        stream = sync.chat.completions.create(model="openai/gpt-4o", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == ANSWER.text
        assert "openai/gpt-4o" in [model.id for model in sync.models.list()]
        assert sync.models.retrieve("gpt-4o").id == "openai/gpt-4o"


TOOLS: list[openai.types.chat.ChatCompletionFunctionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather now",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
CALL = '[[tool=get_weather {"city":"Zürich"}]] How is it?'


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_are_taken(suite: Suite, streamed: bool) -> None:
    sdk = client(suite)
    if streamed:
        async with sdk.chat.completions.stream(
            model="gpt-4o", messages=[{"role": "user", "content": CALL}], tools=TOOLS
        ) as stream:
            message: ChatCompletionMessage = (await stream.get_final_completion()).choices[0].message
    else:
        plain = await sdk.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": CALL}], tools=TOOLS
        )
        assert plain.choices[0].finish_reason == "tool_calls"
        message = plain.choices[0].message
    assert message.tool_calls is not None
    [call] = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    after = await sdk.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "user", "content": "How is it?"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": call.function.arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ],
        tools=TOOLS,
    )
    assert after.choices[0].message.content


async def test_json_schema_is_passed_on(suite: Suite) -> None:
    answer = await client(suite).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "A city, please."}],
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "city",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {"name": {"type": "string", "enum": ["Zürich"]}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            },
        },
    )
    assert json.loads(answer.choices[0].message.content or "") == {"name": "Zürich"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "content", "error", "status"),
    [
        ("no-such-model", "x", openai.NotFoundError, 404),
        ("openai/gpt-nope", "x", openai.NotFoundError, 404),
        ("gpt-4o", "[[fault=context]] x", openai.BadRequestError, 400),
        ("gpt-4o", "[[fault=filter]] x", openai.BadRequestError, 400),
        ("gpt-4o", "[[fault=500]] x", openai.InternalServerError, 502),
        ("gpt-4o", "[[fault=429-retry-7s]] x", openai.RateLimitError, 429),
    ],
)
async def test_errors_are_the_sdks_own_classes(
    suite: Suite, model: str, content: str, error: type[openai.APIStatusError], status: int, streamed: bool
) -> None:
    with pytest.raises(error) as told:
        await client(suite).chat.completions.create(
            model=model, messages=[{"role": "user", "content": content}], stream=streamed
        )
    assert told.value.status_code == status
    assert told.value.message
    if status == 429:
        assert float(told.value.response.headers["retry-after"]) == 7


async def test_bad_key_is_an_authentication_error(suite: Suite) -> None:
    with pytest.raises(openai.AuthenticationError) as told:
        await client(suite, api_key="sk-omnix-wrong").chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "x"}]
        )
    assert told.value.code == "invalid_api_key"


async def test_client_timeout_closes_the_vendors_connection(suite: Suite) -> None:
    began = time.time()
    with pytest.raises(openai.APITimeoutError):
        await client(suite, timeout=1).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "[[fault=silence]] timeout"}]
        )
    call = next(call for call in reversed(suite.record()) if call.accepted_time >= began)
    assert call.request_id is not None

    async def closed() -> bool:
        return (await suite.vendor_call(str(call.request_id))).closed_time is not None

    await eventually(closed, 5)


async def test_error_in_mid_stream_reaches_the_caller_as_an_error(suite: Suite) -> None:
    stream = await client(suite).chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[fault=cut-after-5]] x"}], stream=True
    )
    reasons: list[str | None] = []

    async def read() -> None:
        async for chunk in stream:
            reasons.extend(choice.finish_reason for choice in chunk.choices)

    with pytest.raises(openai.APIError):
        await read()
    assert set(reasons) == {None}


async def test_many_headers_name_the_same_key(suite: Suite) -> None:
    for headers in ({"x-api-key": suite.key}, {"api-key": suite.key}, {"Authorization": f"bearer {suite.key}"}):
        answer = await suite.http.get(f"{suite.url}/v1/models", headers=headers)
        assert answer.status_code == 200
    assert (await httpx.AsyncClient().get(f"{suite.url}/v1/models")).status_code == 401
