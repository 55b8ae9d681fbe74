"""What was answered is answered again, and what is asked at once is asked once, as the vendor and the ledger see it."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from omnix_kit.testing import eventually
from omnix_sandbox import script
from openai import AsyncOpenAI
from support.suite import Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]

ON = {"x-omnix-cache": "ttl=300"}


def client(suite: Suite) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=suite.key, max_retries=0)


def text_of(question: str) -> str:
    return script.answer(script.user(question)).text


async def ask(suite: Suite, question: str, headers: dict[str, str] = ON, **more: Any) -> tuple[str, str, str]:
    """Outcome, id and text of an unary answer."""
    raw = await client(suite).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": question}], extra_headers=headers, **more
    )
    answer = raw.parse()
    return raw.headers.get("x-omnix-cache", ""), answer.id, answer.choices[0].message.content or ""


async def ask_streamed(suite: Suite, question: str, headers: dict[str, str] = ON) -> tuple[str, str, str]:
    raw = await client(suite).chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": question}],
        extra_headers=headers,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in raw.parse()]
    assert chunks[-1].usage is not None
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return raw.headers.get("x-omnix-cache", ""), chunks[0].id, text


async def hit(suite: Suite, question: str) -> str:
    """Ask until the answer comes out of the cache, which it does in a moment; answers its id."""
    found = ("", "", "")

    async def there() -> bool:
        nonlocal found
        found = await ask(suite, question)
        return found[0] == "hit"

    await eventually(there)
    assert found[2] == text_of(question)
    return found[1]


@pytest.mark.parametrize("streamed_first", [False, True])
async def test_the_vendor_is_called_and_paid_once(suite: Suite, streamed_first: bool) -> None:
    question = f"[[tokens=30]] asked again and again, 東京 {streamed_first}"
    before = len(suite.record())
    outcome, first_id, text = await (ask_streamed if streamed_first else ask)(suite, question)
    assert (outcome, text) == ("miss", text_of(question))
    again_id = await hit(suite, question)
    streamed_outcome, streamed_id, streamed = await ask_streamed(suite, question)
    assert (streamed_outcome, streamed) == ("hit", text_of(question))
    by_field = await ask(suite, question, {}, extra_body={"cache": {"ttl": 60}})
    assert by_field[0] == "hit"
    assert len(suite.record()) == before + 1
    [entry] = await suite.usage_of(first_id)
    assert entry["outcome"] == "succeeded"
    for costless in (again_id, streamed_id, by_field[1]):
        assert costless != first_id
        assert await suite.usage(completion_id=costless) == []
    assert (await ask(suite, question, {}))[0] == ""
    assert (await ask(suite, question, {"x-omnix-cache": "ttl=60,no-cache"}))[0] == "bypass"
    assert len(suite.record()) == before + 3


async def test_many_at_once_are_one_call(suite: Suite) -> None:
    question = "[[tokens=60]] [[pace=60/s]] asked by many at once"
    before = len(suite.record())
    asking = [*(ask(suite, question) for _ in range(8)), *(ask_streamed(suite, question) for _ in range(8))]
    answers = await asyncio.gather(*asking)
    assert {text for _, _, text in answers} == {text_of(question)}
    assert Counter(outcome for outcome, _, _ in answers) == {"miss": 1, "joined": 15}
    [completion_id] = {completion_id for _, completion_id, _ in answers}
    assert len(suite.record()) == before + 1
    await suite.usage_of(completion_id, 1)


async def test_what_fails_is_asked_again(suite: Suite) -> None:
    question = "[[fault=cut-after-5]] [[tokens=40]] breaks off in the middle"
    before = len(suite.record())
    for _ in range(2):
        stream = await suite.stream(question, cache={"ttl": 60}, provider={"allow_fallbacks": False})
        assert stream.headers["x-omnix-cache"] == "miss"
        assert stream.errors
        assert not stream.done
    assert len(suite.record()) >= before + 2
