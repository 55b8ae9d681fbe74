"""A vendor that is down for a while: others answer meanwhile, one probe at a time asks after it, and it comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_sandbox import script
from support.suite import Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

_COOLDOWN = 2.0
_DOWN = 7.0
_IN_A_ROW = 5


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def routed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder: Path = tmp_path_factory.mktemp("outage")
    routes = folder / "routes.toml"
    routes.write_text('[routes.kept]\ntargets = ["openai/sandbox-chat", "bedrock/sandbox-chat"]\n')
    async with running_suite(
        folder / "suite", OMNIX_ROUTES_FILE=str(routes), OMNIX_CIRCUIT_COOLDOWN=f"{_COOLDOWN:g}s"
    ) as suite:
        await suite.settled()
        yield suite


async def test_primary_that_is_down_is_left_alone_and_comes_back(routed: Suite) -> None:
    await routed.order_fault("503", match={"vendor": "openai"})
    down = time.time()
    answered: list[tuple[float, str]] = []

    async def ask(number: int) -> None:
        question = f"[[tokens=10]] during the outage {number}"
        answer = await routed.stream(question, model="kept")
        assert answer.errors == []
        assert answer.text == script.answer(script.user(question)).text
        answered.append((time.time(), answer.headers["x-omnix-model"]))

    async def ask_until(until: float) -> None:
        number = len(answered)
        while time.time() < until:
            await ask(number)
            number += 1
            await asyncio.sleep(0.05)

    await ask_until(down + _DOWN)
    assert {model for _, model in answered} == {"bedrock/sandbox-chat"}
    health = (await routed.http.get(f"{routed.url}/v1/providers/health", headers=routed.headers)).json()
    [openai] = [provider for provider in health["data"] if provider["provider"] == "openai"]
    assert "sandbox-chat" in str(openai)
    # Until the circuit opened calls failed; from then on only probes did, one at a time.
    calls = sorted(
        call.accepted_time for call in routed.record() if call.vendor == "openai" and call.accepted_time >= down
    )
    opened = calls[_IN_A_ROW - 1]
    probes = [at for at in calls if at > opened + 0.5]
    assert len(calls) <= _IN_A_ROW + 3 + len(probes)
    assert 1 <= len(probes) <= _DOWN / _COOLDOWN + 1
    assert all(later - earlier >= _COOLDOWN * 0.9 for earlier, later in pairwise(probes))

    await routed.clear_faults()
    back = time.time()
    answered.clear()
    await ask_until(back + _COOLDOWN + 3)
    first = next(at for at, model in answered if model == "openai/sandbox-chat")
    assert first - back <= _COOLDOWN + 2
    assert answered[-1][1] == "openai/sandbox-chat"
