"""Two routers on one NATS server, and what they know of a target together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from omnix.common.v1 import errors_pb2
from omnix.provider.v1 import health_pb2
from omnix.router.v1 import health_pb2 as report_pb2
from omnix.router.v1 import router_service_pb2
from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.testing import NatsServer, eventually, nats_server

from .fakes import LONG, Call, FakeAdapter, Router, answer, fail, hang, running

DOWN = fail(Reason.PROVIDER_UNAVAILABLE, status=503)
ROUTES = 'providers = ["other"]\n[routes.pair]\ntargets = ["openai/gpt-4o", "other/model"]\n'
QUICK = {"OMNIX_CIRCUIT_FAILURES": "3", "OMNIX_CIRCUIT_COOLDOWN": "1s", "OMNIX_ATTEMPTS": "1"}


@dataclass(frozen=True)
class Fleet:
    one: Router
    two: Router
    openai: FakeAdapter
    other: FakeAdapter


@asynccontextmanager
async def fleet(folder: Path, nats: NatsServer, **variables: str) -> AsyncIterator[Fleet]:
    """Two routers that share what they know, with nothing known yet."""
    (folder / "routes.toml").write_text(ROUTES)
    variables = {"OMNIX_ROUTES_FILE": str(folder / "routes.toml"), **QUICK, **variables}
    async with FakeAdapter("openai") as openai, FakeAdapter("other") as other:
        adapters = f"openai={openai.address},other={other.address}"
        async with (
            running(folder, nats, adapters, **variables) as one,
            running(folder, nats, adapters, **variables) as two,
        ):
            yield Fleet(one, two, openai, other)


@pytest.fixture
def broker(tmp_path: Path) -> "NatsServer":
    """One for each test: what is known outlives routers."""
    return NatsServer(tmp_path / "nats")


async def health(router: Router, *, history: bool = False) -> dict[str, report_pb2.ProviderHealth]:
    asked = router_service_pb2.ListProviderHealthRequest(include_history=history)
    told = await router.remote.call(router.stub.ListProviderHealth, asked, timeout=LONG)
    return {provider.provider: provider for provider in told.providers}


async def circuit(router: Router, model: str = "gpt-4o") -> "health_pb2.CircuitState.ValueType":
    targets = (await health(router))["openai"].targets
    return next((target.circuit for target in targets if target.model == model), health_pb2.CIRCUIT_STATE_UNSPECIFIED)


async def trip(router: Router, adapter: FakeAdapter, times: int = 3) -> None:
    adapter.script = [DOWN] * times
    for _ in range(times):
        with pytest.raises(OmnixError):
            await router.complete("openai/gpt-4o")


async def opened(router: Router) -> None:
    async def is_open() -> bool:
        return await circuit(router) == health_pb2.CIRCUIT_STATE_OPEN

    await eventually(is_open)


async def refused(router: Router, model: str = "openai/gpt-4o") -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await router.complete(model)
    assert caught.value.reason is Reason.UNAVAILABLE
    return caught.value


async def test_circuit_that_one_opens_bars_both_and_one_probe_closes_it_for_both(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats) as routers:
            one, two, openai = routers.one, routers.two, routers.openai
            await trip(one, openai)
            await opened(two)
            for router in (one, two):
                error = await refused(router)
                assert "3 failures in a row, the last PROVIDER_UNAVAILABLE with status 503" in error.message
                assert error.provider == "openai"
                assert error.retry_after is not None
                assert error.retry_after >= timedelta(seconds=1)
            assert len(openai.calls) == 3

            release = asyncio.Event()

            async def held(_: Call) -> None:
                await release.wait()

            openai.script = [held]
            probe: asyncio.Task[object] | None = None

            async def probing() -> bool:
                nonlocal probe
                probe = asyncio.create_task(two.complete("openai/gpt-4o"))
                done, _ = await asyncio.wait([probe], timeout=0.2)
                return not done or probe.exception() is None

            await eventually(probing)
            assert len(openai.calls) == 4

            async def both_know() -> bool:
                return [await circuit(each) for each in (one, two)] == [health_pb2.CIRCUIT_STATE_HALF_OPEN] * 2

            await eventually(both_know)
            for router in (one, two):
                assert "being tried now" in (await refused(router)).message
            assert len(openai.calls) == 4
            release.set()
            assert probe is not None
            await probe

            async def closed() -> bool:
                return await circuit(one) != health_pb2.CIRCUIT_STATE_HALF_OPEN

            await eventually(closed)
            for router in (one, two):
                await router.complete("openai/gpt-4o")
            told = (await health(one, history=True))["openai"]
            assert told.state == report_pb2.ProviderHealth.STATE_HEALTHY
            assert [(change.model, change.state) for change in told.history] == [
                ("gpt-4o", health_pb2.CIRCUIT_STATE_OPEN),
                ("gpt-4o", health_pb2.CIRCUIT_STATE_CLOSED),
            ]
            assert told.since_time == told.history[1].change_time


async def test_many_callers_at_both_make_one_probe(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats, OMNIX_CIRCUIT_COOLDOWN="3s") as routers:
            await trip(routers.one, routers.openai)
            await opened(routers.two)
            [target] = (await health(routers.two))["openai"].targets
            due = target.until_time.ToDatetime(UTC)
            before = len(routers.openai.calls)
            routers.openai.script = [hang]
            await eventually(lambda: datetime.now(UTC) > due)
            asked = [asyncio.create_task(router.complete("pair")) for router in (routers.one, routers.two) * 20]
            # One of the forty hangs at the probe; the others go to the next target at once.
            await eventually(lambda: sum(task.done() for task in asked) == 39, 2.5)
            assert len(routers.openai.calls) - before == 1
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)


async def test_route_skips_the_open_target_and_returns_to_it(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats) as routers:
            await trip(routers.one, routers.openai)
            await opened(routers.two)
            answered = await routers.two.complete("pair")
            assert (answered.model, len(answered.attempts)) == ("other/model", 1)

            async def returned() -> bool:
                return (await routers.two.complete("pair")).model == "openai/gpt-4o"

            await eventually(returned)
            assert await circuit(routers.two) == health_pb2.CIRCUIT_STATE_CLOSED


async def test_of_targets_that_all_fail_the_least_bad_is_called_once(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats, OMNIX_CIRCUIT_COOLDOWN="20s", OMNIX_ATTEMPTS="3") as routers:
            one, openai, other = routers.one, routers.openai, routers.other
            openai.script, other.script = [DOWN] * 3, [DOWN] * 3
            for _ in range(3):
                with pytest.raises(OmnixError):
                    await one.complete("openai/gpt-4o")
                with pytest.raises(OmnixError):
                    await one.complete("other/model")
            before = len(openai.calls), len(other.calls)
            openai.script = [DOWN]
            with pytest.raises(OmnixError) as last:
                await one.complete("pair")
            assert last.value.reason is Reason.PROVIDER_UNAVAILABLE
            assert (len(openai.calls), len(other.calls)) == (before[0] + 1, before[1])
            assert (await one.complete("pair")).model == "openai/gpt-4o"
            assert await circuit(one) == health_pb2.CIRCUIT_STATE_CLOSED


async def test_router_that_starts_knows_what_is_open(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats, OMNIX_CIRCUIT_COOLDOWN="60s") as routers:
            await trip(routers.one, routers.openai)
            await opened(routers.two)
            third = f"openai={routers.openai.address}"
            (tmp_path / "third").mkdir()
            async with running(tmp_path / "third", nats, third, **QUICK) as young:
                told = (await health(young))["openai"]
                assert told.state == report_pb2.ProviderHealth.STATE_DOWN
                [target] = told.targets
                assert target.error_reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
                assert (target.calls, target.failures) == (0, 0)
                assert target.since_time.ToDatetime(UTC) <= datetime.now(UTC) < target.until_time.ToDatetime(UTC)
                await refused(young)


async def test_without_nats_each_router_decides_alone_and_tells_the_others_later(
    tmp_path: Path, broker: NatsServer
) -> None:
    broker.start()
    try:
        async with fleet(tmp_path, broker, OMNIX_CIRCUIT_COOLDOWN="3s") as routers:
            broker.kill()

            async def away() -> bool:
                return "nats" in await routers.one.lacking() and "nats" in await routers.two.lacking()

            await eventually(away, 20)
            await trip(routers.one, routers.openai)
            await refused(routers.one)
            assert (await routers.two.complete("openai/gpt-4o")).model == "openai/gpt-4o"
            broker.start()
            await opened(routers.two)
            await refused(routers.two)
    finally:
        broker.kill()


async def test_caller_of_a_target_that_asked_to_be_left_alone_is_told_so(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats) as routers:
            routers.openai.script = [fail(Reason.RATE_LIMITED, retry_after=20, status=429)] * 3
            for _ in range(4):
                with pytest.raises(OmnixError) as caught:
                    await routers.one.complete("openai/gpt-4o")
            assert len(routers.openai.calls) == 3
            error = caught.value
            assert (error.reason, error.provider_status) == (Reason.RATE_LIMITED, 429)
            assert error.retry_after is not None
            assert timedelta(seconds=15) < error.retry_after <= timedelta(seconds=20)


async def test_failures_of_callers_and_of_adapters_open_nothing(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats) as routers:
            for reason in (Reason.INVALID_REQUEST, Reason.CONTENT_REFUSED, Reason.OVERLOADED, Reason.RATE_LIMITED):
                routers.openai.script = [fail(reason)] * 4
                for _ in range(4):
                    with pytest.raises(OmnixError) as caught:
                        await routers.one.complete("openai/gpt-4o")
                    assert caught.value.reason is reason
            await routers.one.complete("openai/gpt-4o")
            told = (await health(routers.one))["openai"]
            assert told.state == report_pb2.ProviderHealth.STATE_HEALTHY
            [target] = told.targets
            assert (target.calls, target.failures) == (1, 0)


async def test_figures_tell_failures_and_times_to_first_content(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with fleet(tmp_path, nats, OMNIX_CIRCUIT_FAILURES="9") as routers:
            one, openai = routers.one, routers.openai
            assert (await health(one))["openai"].state == report_pb2.ProviderHealth.STATE_UNKNOWN

            async def slowly(_: Call) -> None:
                await asyncio.sleep(0.2)

            openai.script = [*[answer] * 9, slowly, fail(Reason.PROVIDER_AUTH_FAILED, status=401)]
            for _ in range(10):
                await one.start("openai/gpt-4o")
            with pytest.raises(OmnixError):
                await one.start("openai/gpt-4o")
            told = (await health(one))["openai"]
            assert (told.state, told.why) == (
                report_pb2.ProviderHealth.STATE_DEGRADED,
                "gpt-4o: PROVIDER_AUTH_FAILED",
            )
            [target] = told.targets
            assert (target.calls, target.failures) == (11, 1)
            assert target.first_content_p50.ToTimedelta() < timedelta(seconds=0.2)
            assert target.first_content_p95.ToTimedelta() >= timedelta(seconds=0.2)
            await one.start("openai/gpt-4o")
            assert (await health(one))["openai"].state == report_pb2.ProviderHealth.STATE_HEALTHY
            await openai.stop()

            async def told_down() -> bool:
                return (await health(one))["openai"].state == report_pb2.ProviderHealth.STATE_DOWN

            await eventually(told_down, 20)
