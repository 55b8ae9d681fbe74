"""A thousand streams at once while their vendor fails: each is whole or says why not, none is mixed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio
from omnix_kit.testing import eventually
from omnix_sandbox import script
from support.suite import Stream, Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

_STREAMS = 1000
_TOKENS = 40
_WATCHED = ("gateway", "router", "adapter-openai", "adapter-bedrock")
_BYTES_A_STREAM = 400 * 1024
"""Of all the processes together; a request that is kept for its recovery is part of it."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def routed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder: Path = tmp_path_factory.mktemp("many")
    routes = folder / "routes.toml"
    routes.write_text('[routes.many]\ntargets = ["openai/sandbox-chat", "bedrock/sandbox-chat"]\n')
    async with running_suite(folder / "suite", OMNIX_ROUTES_FILE=str(routes)) as suite:
        await suite.settled()
        yield suite


def question(number: int) -> str:
    return f"[[tokens={_TOKENS}]] [[pace=4/s]] number {number}"


def memory(suite: Suite) -> Mapping[str, int]:
    found = {}
    for service in _WATCHED:
        pid = suite.pid(service)
        assert pid is not None
        found[service] = psutil.Process(pid).memory_info().rss
    return found


async def test_streams_of_a_vendor_that_fails_are_whole_or_say_why_not(routed: Suite) -> None:
    await routed.stream("Hello!", model="many")
    before = memory(routed)
    # Every call is cut: the first ones of all streams, and whatever is tried again at the same vendor.
    await routed.order_fault("cut-after-20", match={"vendor": "openai"})
    limits = httpx.Limits(max_connections=_STREAMS, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        client = Suite(routed.folder, routed.port, http)
        client.key = routed.key

        async def ask(number: int) -> Stream:
            return await client.stream(question(number), model="many")

        asked = [asyncio.create_task(ask(number)) for number in range(_STREAMS)]
        peak = before
        while not all(task.done() for task in asked):
            await asyncio.wait(asked, timeout=1)
            now = memory(routed)
            peak = {service: max(peak[service], now[service]) for service in _WATCHED}
        answers = [task.result() for task in asked]
    ends: Counter[str] = Counter()
    for number, answer in enumerate(answers):
        text = script.answer(script.user(question(number))).text
        assert answer.status == 200
        if answer.errors:
            [error] = answer.errors
            assert (answer.finish_reasons, answer.done) == ([], False)
            assert text.startswith(answer.text)
            ends[error["code"]] += 1
        else:
            assert answer.text == text
            assert (answer.finish_reasons, answer.done) == (["stop"], True)
            ends["whole"] += 1
    assert ends["whole"] > 0
    # On a machine that is busy with other things the recording may lag, which is told and can be resumed.
    assert set(ends) <= {"whole", "provider_cut", "stream_lost"}
    assert ends["stream_lost"] < _STREAMS / 20
    grown = {service: peak[service] - before[service] for service in _WATCHED}
    assert sum(grown.values()) < _STREAMS * _BYTES_A_STREAM, grown
    # The retry budget: a fifth of the completions, what was saved, and what time adds.
    calls = [call for call in routed.record() if call.model == "sandbox-chat"]
    assert len(calls) <= (_STREAMS + 1) * 1.2 + 110 + 30
    await routed.clear_faults()
    healthy = await routed.stream("Hello again!", model="many")
    assert (healthy.errors, healthy.done) == ([], True)
    # Every call is an entry, and no more.
    attempts = {call.request_id for call in calls} | {call.request_id for call in routed.record()}

    async def entered() -> bool:
        return {entry["id"] for entry in await routed.usage()} == attempts

    await eventually(entered, 60)
