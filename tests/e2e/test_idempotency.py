"""A call with a key is made and billed once, as the vendor and the ledger see it, whatever dies meanwhile."""

import asyncio
from typing import Any

import httpx
import pytest
from omnix_kit.testing import eventually
from omnix_sandbox import script
from openai import APIConnectionError, AsyncOpenAI, ConflictError, UnprocessableEntityError
from support.suite import Suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]


def client(suite: Suite, max_retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=suite.key, max_retries=max_retries, timeout=60)


def text_of(question: str) -> str:
    return script.answer(script.user(question)).text


def messages(question: str) -> Any:
    return [{"role": "user", "content": question}]


async def ask(suite: Suite, question: str, key: str, max_retries: int = 0) -> tuple[bool, str, str]:
    """Whether it was an earlier answer, its id and its text."""
    raw = await client(suite, max_retries).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=messages(question), extra_headers={"Idempotency-Key": key}
    )
    told = raw.parse()
    return "idempotent-replayed" in raw.headers, told.id, told.choices[0].message.content or ""


async def ask_streamed(suite: Suite, question: str, key: str) -> tuple[bool, str, str]:
    raw = await client(suite).chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=messages(question),
        extra_headers={"Idempotency-Key": key},
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in raw.parse()]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return "idempotent-replayed" in raw.headers, chunks[0].id, text


async def vendor_is_called(suite: Suite, calls: int) -> None:
    await eventually(lambda: len(suite.record()) >= calls)


async def kill_gateway(suite: Suite) -> None:
    before = suite.pid("gateway")
    await suite.kill("gateway")
    await suite.reborn("gateway", before)
    await suite.settled()


async def test_whole_answer_is_made_and_billed_once(suite: Suite) -> None:
    question, key = "[[tokens=20]] asked twice with a key", "e2e-whole"
    before = len(suite.record())
    again, first_id, text = await ask(suite, question, key)
    assert (again, text) == (False, text_of(question))
    assert await ask(suite, question, key) == (True, first_id, text)
    with pytest.raises(UnprocessableEntityError):
        await ask(suite, question + "!", key)
    assert len(suite.record()) == before + 1
    await suite.usage_of(first_id, 1)


async def test_stream_and_vectors_are_made_and_billed_once(suite: Suite) -> None:
    question, key = "[[tokens=20]] streamed twice with a key", "e2e-streamed"
    before = len(suite.record())
    again, first_id, text = await ask_streamed(suite, question, key)
    assert (again, text) == (False, text_of(question))
    assert await ask_streamed(suite, question, key) == (True, first_id, text)
    vectors = [
        await client(suite).embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=["with a key"], extra_headers={"Idempotency-Key": "e2e-vectors"}
        )
        for _ in range(2)
    ]
    assert vectors[0].content == vectors[1].content
    assert ["idempotent-replayed" in each.headers for each in vectors] == [False, True]
    assert len(suite.record()) == before + 2
    await suite.usage_of(first_id, 1)
    await suite.usage_of(vectors[0].headers["x-omnix-completion-id"], 1)


async def test_many_at_once_are_one_call(suite: Suite) -> None:
    question, key = "[[tokens=30]] [[pace=60/s]] many at once with a key", "e2e-many"
    before = len(suite.record())
    answers = await asyncio.gather(*(ask(suite, question, key) for _ in range(20)))
    assert {text for _, _, text in answers} == {text_of(question)}
    assert sum(again for again, _, _ in answers) == 19
    [completion_id] = {completion_id for _, completion_id, _ in answers}
    assert len(suite.record()) == before + 1
    await suite.usage_of(completion_id, 1)


async def test_stream_is_had_whole_though_its_gateway_was_killed(suite: Suite) -> None:
    question, key = "[[tokens=90]] [[pace=30/s]] the gateway dies in the middle", "e2e-killed-stream"
    before = len(suite.record())
    stream = await client(suite).chat.completions.create(
        model="gpt-4o",
        messages=messages(question),
        extra_headers={"Idempotency-Key": key},
        stream=True,
        stream_options={"include_usage": True},
    )
    first = await anext(aiter(stream))
    await kill_gateway(suite)
    await stream.close()
    assert await ask_streamed(suite, question, key) == (True, first.id, text_of(question))
    assert await ask_streamed(suite, question, key) == (True, first.id, text_of(question))
    assert len(suite.record()) == before + 1
    [entry] = await suite.usage_of(first.id, 1)
    assert entry["outcome"] == "succeeded"


async def test_call_that_died_with_its_gateway_is_told_and_not_made_again(suite: Suite) -> None:
    question, key = "[[tokens=90]] [[pace=30/s]] the gateway dies before the answer", "e2e-killed-call"
    before = len(suite.record())
    asking = asyncio.create_task(ask(suite, question, key))
    await vendor_is_called(suite, before + 1)
    await kill_gateway(suite)
    with pytest.raises(APIConnectionError):
        await asking
    with pytest.raises(ConflictError) as doubt:
        await ask(suite, question, key, max_retries=5)
    assert doubt.value.code == "idempotency_in_doubt"
    told: dict[str, Any] = doubt.value.body["idempotency"]  # type: ignore[index]
    [entry] = await suite.usage_of(told["completion_id"], 1)

    async def known() -> bool:
        nonlocal told
        headers = {**suite.headers, "Idempotency-Key": key}
        asked = {"model": "gpt-4o", "messages": messages(question)}
        answered: httpx.Response = await suite.http.post(
            f"{suite.url}/v1/chat/completions", json=asked, headers=headers
        )
        assert answered.status_code == 409
        told = answered.json()["error"]["idempotency"]
        return bool(told["attempts"])

    await eventually(known)
    [attempt] = told["attempts"]
    assert (attempt["provider"], attempt["cost_micros"]) == ("openai", entry["cost_micros"])
    assert len(suite.record()) == before + 1


async def test_retries_of_the_client_never_call_twice(suite: Suite) -> None:
    """The client repeats by itself while the gateway dies and comes back, over and over."""
    before = len(suite.record())
    for number in range(3):
        question = f"[[tokens=40]] [[pace=40/s]] retried through a death {number}"
        asking = asyncio.create_task(ask(suite, question, f"e2e-retried-{number}", max_retries=20))
        await vendor_is_called(suite, before + number + 1)
        await kill_gateway(suite)
        [outcome] = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(outcome, ConflictError):
            assert outcome.code == "idempotency_in_doubt"
        else:
            assert not isinstance(outcome, BaseException)
            assert outcome[2] == text_of(question)
        assert len(suite.record()) == before + number + 1
