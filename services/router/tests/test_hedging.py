"""A second attempt beside a first one that takes long, where the route says so."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import NatsServer, eventually

from .fakes import Act, Call, FakeAdapter, Router, answer, fail, running, until_ended
from .test_completions import told

pytestmark = pytest.mark.asyncio(loop_scope="module")

streamed_or_not = pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])


async def hedged(router: Router, streamed: bool) -> list[str]:
    return told(await (router.start("hedged") if streamed else router.complete("hedged")))


def once(event: asyncio.Event, act: Act = answer) -> Act:
    async def wait(call: Call) -> None:
        await event.wait()
        await act(call)

    return wait


async def has_failed(router: Router, reason: Reason) -> bool:
    sample = f'omnix_router_attempts_total{{outcome="failed",provider="openai",reason="{reason}"}}'
    return await router.metric(sample) == 1


async def lost(call: Call) -> int | None:
    async with asyncio.timeout(5):
        await call.ended.wait()
    return call.purpose


@pytest_asyncio.fixture(loop_scope="module")
async def budget(router: Router, openai: FakeAdapter) -> None:
    """Room for an extra call."""
    await asyncio.gather(*(router.complete("openai/gpt-4o") for _ in range(15)))
    openai.forget()


@streamed_or_not
async def test_hedge_answers_for_a_slow_first_attempt(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter, streamed: bool
) -> None:
    openai.script = [until_ended]
    assert await hedged(router, streamed) == ["1 openai/gpt-4o CANCELLED", "2 other/model"]
    [slow], [quick] = openai.calls, other.calls
    assert await lost(slow) == usage_pb2.PURPOSE_HEDGE
    assert (quick.attempt.number, quick.attempt.completion_id) == (2, slow.attempt.completion_id)
    assert not quick.ended.is_set()


@streamed_or_not
async def test_first_attempt_may_still_answer_first(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter, streamed: bool
) -> None:
    both_run = asyncio.Event()
    openai.script, other.script = [once(both_run)], [until_ended]
    going = asyncio.create_task(hedged(router, streamed))
    await eventually(lambda: len(other.calls) == 1)
    both_run.set()
    assert await going == ["2 other/model CANCELLED", "1 openai/gpt-4o"]
    assert await lost(other.calls[0]) == usage_pb2.PURPOSE_HEDGE
    assert not openai.calls[0].ended.is_set()


@streamed_or_not
async def test_quick_first_attempt_stays_alone(
    router: Router, openai: FakeAdapter, other: FakeAdapter, streamed: bool
) -> None:
    assert await hedged(router, streamed) == ["1 openai/gpt-4o"]
    openai.script = [fail(Reason.PROVIDER_AUTH_FAILED)]
    assert await hedged(router, streamed) == ["1 openai/gpt-4o PROVIDER_AUTH_FAILED", "2 other/model"]
    assert (len(openai.calls), len(other.calls)) == (2, 1)


async def test_hedge_is_waited_for_when_the_first_attempt_fails(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter
) -> None:
    both_run, first_failed = asyncio.Event(), asyncio.Event()
    openai.script, other.script = [once(both_run, fail(Reason.PROVIDER_UNAVAILABLE))], [once(first_failed)]
    going = asyncio.create_task(hedged(router, True))
    await eventually(lambda: len(other.calls) == 1)
    both_run.set()
    await eventually(lambda: has_failed(router, Reason.PROVIDER_UNAVAILABLE))
    first_failed.set()
    assert await going == ["1 openai/gpt-4o PROVIDER_UNAVAILABLE", "2 other/model"]
    assert len(openai.calls) == 1


async def test_failures_of_both_are_followed_by_what_follows_failures(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter
) -> None:
    both_run, first_failed = asyncio.Event(), asyncio.Event()
    openai.script = [once(both_run, fail(Reason.PROVIDER_TIMEOUT))]
    other.script = [once(first_failed, fail(Reason.RATE_LIMITED, retry_after=0.1))]
    going = asyncio.create_task(hedged(router, False))
    await eventually(lambda: len(other.calls) == 1)
    both_run.set()
    await eventually(lambda: has_failed(router, Reason.PROVIDER_TIMEOUT))
    first_failed.set()
    assert await going == ["1 openai/gpt-4o PROVIDER_TIMEOUT", "2 other/model RATE_LIMITED", "3 other/model"]


async def test_fault_of_the_request_is_told_at_once(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter
) -> None:
    both_run = asyncio.Event()
    openai.script, other.script = [once(both_run, fail(Reason.CONTENT_REFUSED, status=400))], [until_ended]
    going = asyncio.create_task(hedged(router, True))
    await eventually(lambda: len(other.calls) == 1)
    both_run.set()
    with pytest.raises(OmnixError) as caught:
        await going
    assert caught.value.reason is Reason.CONTENT_REFUSED
    assert await lost(other.calls[0]) == usage_pb2.PURPOSE_HEDGE


async def test_caller_that_leaves_ends_both(
    router: Router, budget: None, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script, other.script = [until_ended], [until_ended]
    going = asyncio.create_task(hedged(router, True))
    await eventually(lambda: len(other.calls) == 1)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert [await lost(call) for call in openai.calls + other.calls] == [None, None]


async def test_hedges_come_out_of_the_retry_budget(tmp_path: Path, nats: NatsServer) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text(
        'providers = ["other"]\n[routes.hedged]\ntargets = ["openai/gpt-4o", "other/model"]\nhedge_after = "50ms"'
    )
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    adapters = f"openai={openai.address},other={other.address}"
    async with openai, other, running(tmp_path, nats, adapters, OMNIX_ROUTES_FILE=str(routes)) as router:
        await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
        refused = asyncio.Event()
        openai.script = [once(refused)] * 25
        going = [asyncio.create_task(hedged(router, False)) for _ in range(25)]

        async def all_had_their_turn() -> bool:
            without = await router.metric("omnix_router_retry_budget_refused_total")
            return without + await router.metric('omnix_router_hedges_won_total{provider="openai"}') == 25

        await eventually(all_had_their_turn)
        refused.set()
        found = await asyncio.gather(*going)
        # 25 completions: a fifth of them extra, and the floor of 10.
        assert 1 <= len(other.calls) <= 5 + 10
        assert sum(each[-1] == "2 other/model" for each in found) == len(other.calls)
        assert await router.metric('omnix_router_hedges_total{provider="openai"}') == len(other.calls)
