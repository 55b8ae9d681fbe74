"""A caller changes the model's name and nothing else: OpenAI's SDK, four vendors, the same answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx
import openai
import pytest
from omnix_sandbox import script, vectors
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from support.suite import Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]

T = TypeVar("T")

MODELS = (
    "openai/gpt-6-luna",
    "bedrock/global.anthropic.claude-opus-5",
    "gemini/gemini-3.8-flash",
    "huggingface/openai/gpt-oss-120b",
)
SEEING_MODELS = (*MODELS[:3], "huggingface/google/gemma-4-31B-it")
EMBEDDING_MODELS = (
    "openai/text-embedding-3-large",
    "bedrock/amazon.titan-embed-text-v2:0",
    "gemini/gemini-embedding-001",
    "huggingface/BAAI/bge-m3",
)

QUESTION = "Grüezi, was gibt's? 東京 👩‍👩‍👧‍👦"
PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string", "enum": ["Zürich"]}, "people": {"type": "integer", "enum": [447_082]}},
    "required": ["name", "people"],
    "additionalProperties": False,
}


def weather(name: str) -> Any:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": "The weather", "parameters": parameters}}


TOOLS = [weather("get_weather"), weather("get_forecast")]
CALLS = '[[tool=get_weather {"city":"Zürich"}]] [[tool=get_forecast {"city":"東京"}]] How is it, how will it be?'


def asked(content: Any, *before: Any) -> list[ChatCompletionMessageParam]:
    return [*before, {"role": "user", "content": content}]


@pytest.fixture
def sdk(suite: Suite) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=suite.key, max_retries=0)


async def of_each(models: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    names = list(models)
    return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))


def the_same(value: T, models: Iterable[str] = MODELS) -> dict[str, T]:
    return dict.fromkeys(models, value)


async def test_text_and_count_of_an_answer_are_the_same(sdk: AsyncOpenAI) -> None:
    expected = script.answer(script.user(QUESTION))

    async def ask(model: str) -> tuple[str | None, str, int]:
        raw = await sdk.chat.completions.with_raw_response.create(model=model, messages=asked(QUESTION))
        assert raw.headers["x-omnix-model"] == model
        answer = raw.parse()
        assert answer.usage is not None
        return answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage.completion_tokens

    assert await of_each(MODELS, ask) == the_same((expected.text, "stop", expected.output_tokens))


async def test_streams_are_the_same(sdk: AsyncOpenAI) -> None:
    expected = script.answer(script.user(QUESTION))

    async def ask(model: str) -> tuple[str, list[str], int]:
        text, tokens = "", 0
        reasons: list[str] = []
        async for chunk in await sdk.chat.completions.create(
            model=model, messages=asked(QUESTION), stream=True, stream_options={"include_usage": True}
        ):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
            tokens += chunk.usage.completion_tokens if chunk.usage else 0
        return text, reasons, tokens

    assert await of_each(MODELS, ask) == the_same((expected.text, ["stop"], expected.output_tokens))


async def test_conversations_with_instructions_are_the_same(sdk: AsyncOpenAI) -> None:
    turns: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Who "}, {"type": "text", "text": "are you?"}]},
        {"role": "assistant", "content": "Nobody."},
    ]

    async def ask(model: str) -> str | None:
        answer = await sdk.chat.completions.create(model=model, messages=asked("And now?", *turns))
        return answer.choices[0].message.content

    answers = await of_each(MODELS, ask)
    assert answers == the_same(answers[MODELS[0]])
    assert answers[MODELS[0]] != script.answer(script.user("And now?")).text


@pytest.mark.parametrize("how", ["max_completion_tokens", "stop"])
async def test_answers_end_early_in_the_same_way(sdk: AsyncOpenAI, how: str) -> None:
    whole = script.answer(script.user(QUESTION))
    words = whole.text.split(" ")
    more: dict[str, Any] = {"max_completion_tokens": 16} if how == "max_completion_tokens" else {"stop": [words[6]]}
    expected = {
        "max_completion_tokens": ("".join(whole.tokens[:16]), "length"),
        "stop": (whole.text[: whole.text.index(words[6])], "stop"),
    }[how]

    async def ask(model: str) -> tuple[str | None, str]:
        answer = await sdk.chat.completions.create(model=model, messages=asked(QUESTION), **more)
        return answer.choices[0].message.content, answer.choices[0].finish_reason

    # GPT's reasoning models know no stop sequences.
    models = MODELS if how == "max_completion_tokens" else ("openai/gpt-4.1", *MODELS[1:])
    assert await of_each(models, ask) == the_same(expected, models)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_in_parallel_and_their_results_taken(sdk: AsyncOpenAI, streamed: bool) -> None:
    async def ask(model: str) -> tuple[list[tuple[str, Any]], str, str | None]:
        if streamed:
            async with sdk.chat.completions.stream(model=model, messages=asked(CALLS), tools=TOOLS) as stream:
                first: Any = await stream.get_final_completion()
        else:
            first = await sdk.chat.completions.create(model=model, messages=asked(CALLS), tools=TOOLS)
        message = first.choices[0].message
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]
        results: list[ChatCompletionMessageParam] = [
            {"role": "tool", "tool_call_id": call.id, "content": f"result {number}"}
            for number, call in enumerate(message.tool_calls)
        ]
        history = [*asked("How is it, how will it be?"), message.to_dict(), *results]
        second = await sdk.chat.completions.create(model=model, messages=history, tools=TOOLS)
        return calls, first.choices[0].finish_reason, second.choices[0].message.content

    seen = await of_each(MODELS, ask)
    calls, reason, after = seen[MODELS[0]]
    assert calls == [("get_weather", {"city": "Zürich"}), ("get_forecast", {"city": "東京"})]
    assert reason == "tool_calls"
    assert after
    assert seen == the_same((calls, reason, after))


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_follows_the_schema(sdk: AsyncOpenAI, streamed: bool) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY}}

    async def ask(model: str) -> Any:
        if streamed:
            async with sdk.chat.completions.stream(
                model=model, messages=asked("A city, please."), response_format=wanted
            ) as stream:
                answer: Any = await stream.get_final_completion()
        else:
            answer = await sdk.chat.completions.create(
                model=model, messages=asked("A city, please."), response_format=wanted
            )
        return json.loads(answer.choices[0].message.content)

    assert await of_each(MODELS, ask) == the_same({"name": "Zürich", "people": 447_082})


@pytest.mark.parametrize("streamed", [False, True])
async def test_pictures_are_seen(sdk: AsyncOpenAI, streamed: bool) -> None:
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    question = asked(content)

    async def ask(model: str) -> str | None:
        if not streamed:
            answer = await sdk.chat.completions.create(model=model, messages=question)
            return answer.choices[0].message.content
        stream = await sdk.chat.completions.create(model=model, messages=question, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    seen = await of_each(SEEING_MODELS, ask)
    assert seen == the_same(script.answer(script.user("What is this?")).text, SEEING_MODELS)


@pytest.mark.parametrize("encoding", ["as the SDK asks, in base64", "float"])
async def test_embeddings_have_one_shape(sdk: AsyncOpenAI, encoding: str) -> None:
    dimensions = 1024
    more: dict[str, Any] = {"encoding_format": "float"} if encoding == "float" else {}

    async def ask(model: str) -> list[float]:
        answer = await sdk.embeddings.create(model=model, input="Grüezi", dimensions=dimensions, **more)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
        [embedding] = answer.data
        return embedding.embedding

    for model, vector in (await of_each(EMBEDDING_MODELS, ask)).items():
        assert vector == pytest.approx(vectors.vector("Grüezi", dimensions), abs=1e-6), model


THINKING: dict[str, dict[str, tuple[str, str | None]]] = {
    "openai/gpt-6-luna": {"flash": ("none", "none"), "think": ("medium", "medium"), "ultra-think": ("xhigh", "xhigh")},
    "bedrock/global.anthropic.claude-opus-5": {
        "flash": ("none", "off"),
        "think": ("medium", "medium"),
        "ultra-think": ("xhigh", "xhigh"),
    },
    "bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0": {
        "flash": ("none", None),
        "think": ("8192", "8192"),
        "ultra-think": ("32000", "32000"),
    },
    "gemini/gemini-3.8-flash": {
        "flash": ("low", "low"),
        "think": ("medium", "medium"),
        "ultra-think": ("high", "high"),
    },
    "gemini/gemini-2.5-flash": {"flash": ("none", "0"), "think": ("8192", "8192"), "ultra-think": ("24576", "24576")},
    "huggingface/openai/gpt-oss-120b": {
        "flash": ("low", "low"),
        "think": ("medium", "medium"),
        "ultra-think": ("high", "high"),
    },
}
"""By mode: what the answer says was used, and what the vendor was told."""


@pytest.mark.parametrize("mode", ["flash", "think", "ultra-think"])
@pytest.mark.parametrize("way", ["field", "suffix", "streamed"])
async def test_mode_is_what_each_vendor_calls_it_and_the_answer_tells(suite: Suite, mode: str, way: str) -> None:
    reasoned = 0 if mode == "flash" else 20
    question = f"[[reasoning={reasoned}]] How many?" if reasoned else "How many?"
    answer = script.answer(script.user(question))

    async def ask(model: str) -> tuple[str | None, str | None, str | None, str]:
        if way == "streamed":
            stream = await suite.stream(question, model=model, mode=mode)
            headers, text, status = stream.headers, stream.text, stream.status
        elif way == "suffix":
            headers, text, status = _unary(await suite.chat(question, model=f"{model}:{mode}"))
        else:
            headers, text, status = _unary(await suite.chat(question, model=model, mode=mode))
        assert status == 200, text
        [entry] = await suite.usage_of(headers["x-omnix-completion-id"])
        call = await suite.vendor_call(entry["id"])
        told = None if call.reasoning is None else call.reasoning.lower()
        # Converse counts reasoning as output, without a number of its own.
        assert entry["reasoning_tokens"] == (0 if entry["provider"] == "bedrock" else reasoned)
        assert entry["output_tokens"] == answer.output_tokens + reasoned
        return headers.get("x-omnix-mode"), headers.get("x-omnix-reasoning"), told, text

    expected = {model: (mode, *used[mode], answer.text) for model, used in THINKING.items()}
    assert await of_each(THINKING, ask) == expected


def _unary(answer: httpx.Response) -> tuple[httpx.Headers, str, int]:
    if answer.status_code != 200:
        return answer.headers, answer.text, answer.status_code
    return answer.headers, answer.json()["choices"][0]["message"]["content"], 200


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        ("openai/gpt-6-luna", {"top_k": 5}, "top_k"),
        ("bedrock/global.anthropic.claude-opus-5", {"seed": 7}, "seed"),
        ("bedrock/amazon.titan-text-express-v1", {"tools": TOOLS}, "tools"),
        ("gemini/gemini-3.8-flash", {"tools": TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ("gemini/gemini-3.8-flash", {"n": 2}, "n"),
        ("huggingface/openai/gpt-oss-120b", {"n": 2}, "n"),
        ("huggingface/openai/gpt-oss-120b", {"top_k": 5}, "top_k"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_vendor_cannot_do_is_refused_by_name_before_it_is_called(
    suite: Suite, sdk: AsyncOpenAI, model: str, more: dict[str, Any], param: str, streamed: bool
) -> None:
    called = len(suite.record())
    with pytest.raises(openai.BadRequestError) as told:
        await sdk.chat.completions.create(
            model=model, messages=asked("x"), stream=streamed, extra_body=more, timeout=20
        )
    assert (told.value.code, told.value.param) == ("unsupported_parameter", param)
    assert len(suite.record()) == called


async def test_every_model_of_the_catalogue_answers(suite: Suite, sdk: AsyncOpenAI) -> None:
    """Whatever is listed can be asked for, and says the same."""
    listed = (await suite.http.get(f"{suite.url}/v1/models", headers=suite.headers)).json()["data"]
    known = {model["id"]: model["capabilities"] for model in listed if model["capabilities"]}
    assert len(known) >= 60
    at_once = asyncio.Semaphore(16)

    async def ask(model: str) -> str:
        async with at_once:
            if "embeddings" in known[model]:
                vector = await sdk.embeddings.create(model=model, input="Grüezi")
                return "" if vector.data[0].embedding else "no vector"
            answer = await suite.chat(QUESTION, model=model)
            return _unary(answer)[1]

    answers = await of_each(known, ask)
    text = script.answer(script.user(QUESTION)).text
    assert {model: told for model, told in answers.items() if told not in ("", text)} == {}
