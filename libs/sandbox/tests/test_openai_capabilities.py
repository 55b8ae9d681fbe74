"""What OpenAI's models take and refuse, and their embeddings, by the real SDK."""

import base64
import struct
from typing import Any

import openai
import pytest
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox
from omnix_sandbox.vectors import vector

pytestmark = pytest.mark.asyncio(loop_scope="module")

PDF = "data:application/pdf;base64,JVBERi0="


def said(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "o3", "temperature": 0.5}, "unsupported_parameter", "temperature"),
        ({"model": "gpt-5", "temperature": 0.5}, "unsupported_value", "temperature"),
        ({"model": "gpt-5", "top_p": 0.5}, "unsupported_parameter", "top_p"),
        ({"model": "gpt-5", "logprobs": True}, "unsupported_parameter", "logprobs"),
        ({"model": "gpt-5", "stop": ["x"]}, "unsupported_parameter", "stop"),
        ({"model": "o4-mini", "parallel_tool_calls": True}, "unsupported_parameter", "parallel_tool_calls"),
        ({"model": "gpt-5.1", "max_tokens": 5}, "unsupported_parameter", "max_tokens"),
        ({"model": "gpt-5.1", "reasoning_effort": "low", "temperature": 0.5}, "unsupported_value", "temperature"),
        ({"model": "o3", "reasoning_effort": "minimal"}, "unsupported_value", "reasoning_effort"),
        ({"model": "gpt-5", "reasoning_effort": "none"}, "unsupported_value", "reasoning_effort"),
        ({"model": "gpt-5.1", "reasoning_effort": "minimal"}, "unsupported_value", "reasoning_effort"),
        ({"model": "gpt-5.2", "reasoning_effort": "max"}, "unsupported_value", "reasoning_effort"),
        ({"model": "gpt-4o", "reasoning_effort": "low"}, None, None),
        ({"model": "gpt-4o", "verbosity": "low"}, "unsupported_value", "verbosity"),
        ({"model": "text-embedding-3-small"}, None, "model"),
    ],
)
async def test_what_a_model_does_not_take_is_refused_by_name(
    client: openai.AsyncOpenAI, body: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.post("/chat/completions", body={"messages": said("x"), **body}, cast_to=object)

    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "o3", "reasoning_effort": "high", "temperature": 1, "max_completion_tokens": 50},
        {"model": "gpt-5", "reasoning_effort": "minimal", "verbosity": "low"},
        {"model": "gpt-5.1", "temperature": 0.5, "top_p": 0.5},
        {"model": "gpt-5.4", "reasoning_effort": "none", "logprobs": True},
        {"model": "gpt-6-luna", "reasoning_effort": "max"},
        {"model": "sandbox-chat", "reasoning_effort": "max", "temperature": 0.5, "max_tokens": 5},
    ],
)
async def test_what_a_model_takes_is_taken(client: openai.AsyncOpenAI, body: dict[str, Any]) -> None:
    messages = [{"role": "developer", "content": "Be kind."}, *said("x")]
    answer = await client.chat.completions.create(messages=messages, **body)

    assert answer.choices[0].message.content


async def test_the_record_tells_how_much_reasoning_was_asked_for(
    client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str
) -> None:
    await client.chat.completions.create(model="o3", messages=said("x"), reasoning_effort="high")

    assert (await sandbox.wait_for_call(request_id=request_id)).reasoning == "high"


async def test_sounds_and_files_count(client: openai.AsyncOpenAI) -> None:
    parts = [
        {"type": "text", "text": "eins zwei"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
    ]
    answer = await client.chat.completions.create(model="gpt-audio", messages=said(parts))

    assert answer.usage is not None
    assert answer.usage.prompt_tokens == script.input_tokens(script.user("eins zwei")) + 3 * 85
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.audio_tokens == 85


@pytest.mark.parametrize(
    ("model", "part", "param"),
    [
        ("gpt-4o", {"type": "input_audio"}, "messages[0].content[0].input_audio"),
        (
            "gpt-4o",
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "ogg"}},
            "messages[0].content[0].input_audio.format",
        ),
        ("gpt-4o", {"type": "file", "file": {"file_data": PDF}}, "messages[0].content[0].file.file_data"),
        ("gpt-4o", {"type": "image_url", "image_url": {"url": "ftp://x"}}, "messages[0].content[0].image_url"),
        ("gpt-4o", {"type": "text", "text": "x", "size": 1}, "messages[0].content[0].size"),
        (
            "gpt-4",
            {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
            "messages.[0].content.[0].type",
        ),
        (
            "gpt-5.5",
            {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
            "messages.[0].content.[0].prompt_cache_breakpoint",
        ),
    ],
)
async def test_parts_that_make_no_sense_are_refused_by_name(
    client: openai.AsyncOpenAI, model: str, part: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=model, messages=said([part]))

    assert caught.value.param == param


async def test_cache_writes_and_refusals_probabilities_are_told(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=said("[[refuse]] [[cached=30]] [[cache_write=20]]"), logprobs=True, top_logprobs=2
    )

    assert answer.usage is not None
    assert answer.usage.prompt_tokens >= 50
    assert answer.usage.prompt_tokens_details is not None
    details = answer.usage.prompt_tokens_details
    assert (details.cached_tokens, details.cache_write_tokens) == (30, 20)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is None
    assert "".join(token.token for token in logprobs.refusal or []) == answer.choices[0].message.refusal


async def test_an_answer_can_be_empty(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="sandbox-empty", messages=said("x"))

    assert answer.choices[0].message.content == ""
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0


@pytest.mark.parametrize(
    ("model", "dimensions", "length"),
    [
        ("text-embedding-3-small", None, 1536),
        ("text-embedding-3-large", 256, 256),
        ("text-embedding-ada-002", None, 1536),
        ("sandbox-embed", 64, 64),
    ],
)
async def test_texts_are_embedded(
    client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str, model: str, dimensions: int | None, length: int
) -> None:
    more: dict[str, Any] = {} if dimensions is None else {"dimensions": dimensions}
    made = await client.embeddings.create(model=model, input=["eins", "zwei 🚀"], encoding_format="float", **more)
    coded = await client.embeddings.create(model=model, input=["eins", "zwei 🚀"], encoding_format="base64", **more)

    expected = [vector("eins", length), vector("zwei 🚀", length)]
    assert [one.embedding for one in made.data] == expected
    packed: list[Any] = [one.embedding for one in coded.data]
    assert [list(struct.unpack(f"<{length}f", base64.b64decode(one))) for one in packed] == expected
    tokens = script.count_tokens("eins") + script.count_tokens("zwei 🚀")
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (tokens, tokens)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.operation, call.input_tokens, call.output_tokens, call.usage_sent) == ("embeddings", tokens, 0, True)


async def test_tokens_are_embedded(client: openai.AsyncOpenAI) -> None:
    one = await client.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3])
    two = await client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3], [4]])

    assert (one.usage.prompt_tokens, two.usage.prompt_tokens) == (3, 4)
    assert one.data[0].embedding == two.data[0].embedding == vector("1 2 3", 1536)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "text-embedding-none", "input": "x"}, 404, None),
        ({"model": "gpt-4o", "input": "x"}, 403, None),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["x", ""]}, 400, "input"),
        ({"input": ["x", 1]}, 400, "input"),
        ({"input": ["x"] * 2049}, 400, "input"),
        ({"input": "x" * 40_000}, 400, None),
        ({"input": "x", "dimensions": 2000}, 400, "dimensions"),
        ({"input": "x", "model": "text-embedding-ada-002", "dimensions": 5}, 400, "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, 400, "encoding_format"),
        ({"input": "x", "colour": "red"}, 400, "colour"),
        ({"input": "x", "model": "sandbox-429"}, 429, None),
    ],
)
async def test_bad_embedding_requests_are_refused_by_name(
    client: openai.AsyncOpenAI, body: dict[str, Any], status: int, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.post("/embeddings", body={"model": "text-embedding-3-small", **body}, cast_to=object)

    assert (caught.value.status_code, caught.value.param) == (status, param)


async def test_rules_can_meet_embeddings_alone(client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str) -> None:
    await sandbox.order_fault("503", match={"request_id": request_id, "operation": "embeddings"})
    with pytest.raises(openai.InternalServerError):
        await client.embeddings.create(model="text-embedding-3-small", input="x")
    assert await client.chat.completions.create(model="gpt-4o", messages=said("x"))
    await sandbox.clear_faults()
