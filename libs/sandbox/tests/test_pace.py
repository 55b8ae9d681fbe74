import asyncio
import time

import openai
import pytest
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_paced_deltas_carry_the_time_of_sending(
    client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str
) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "x [[tokens=10]][[pace=50/s]][[first=100ms]][[clock]]"}],
        stream=True,
    )
    contents = [chunk.choices[0].delta.content or "" async for chunk in stream]
    call = await sandbox.wait_for_call(request_id=request_id)

    sent = [int(content.split("|")[0]) / 1000 for content in contents if content]
    assert len(sent) == 10
    due = call.due_times()
    assert due == pytest.approx([call.first_due + at / 50 for at in range(10)] if call.first_due else [])
    assert due[0] - call.accepted_time >= 0.1
    assert all(moment - expected > -0.01 for moment, expected in zip(sent, due, strict=True))


async def test_a_unary_answer_comes_when_its_last_token_would_have(client: openai.AsyncOpenAI) -> None:
    began = time.monotonic()
    await client.chat.completions.create(
        model="sandbox-pace-50-first-100ms", messages=[{"role": "user", "content": "x [[tokens=11]]"}]
    )

    assert time.monotonic() - began > 0.28


async def test_many_streams_run_beside_each_other(client: openai.AsyncOpenAI) -> None:
    async def one() -> int:
        stream = await client.chat.completions.create(
            model="sandbox-pace-50-tokens-20", messages=[{"role": "user", "content": "x"}], stream=True
        )
        return sum([bool(chunk.choices[0].delta.content) async for chunk in stream])

    assert await asyncio.gather(*(one() for _ in range(30))) == [20] * 30
