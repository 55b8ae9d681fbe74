"""The router's process: how it starts, what it waits for, what it reads again, how it leaves."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.testing import NatsServer, eventually, free_port

from .fakes import Call, FakeAdapter, answer, fail, running, spawn


def one_route(target: str) -> str:
    return f'providers = ["other"]\n[routes.mine]\ntargets = ["{target}"]\n'


async def test_readiness_names_what_lacks_and_start_up_order_does_not_matter(tmp_path: Path) -> None:
    adapter = FakeAdapter("openai", "local", models=(("local", "llama3"),))
    late = NatsServer(tmp_path / "nats")
    router = spawn(tmp_path, late.url, f"openai={adapter.address}")
    try:

        async def both_lack() -> bool:
            lacking = await router.lacking()
            return (set(lacking), lacking.get("adapters")) == (
                {"nats", "adapters"},
                f"the adapter openai service at {adapter.address} is away",
            )

        await eventually(both_lack, within=20)
        with pytest.raises(PlatformError) as away:
            await router.complete("gpt-4o")
        assert away.value.reason is Reason.UNAVAILABLE
        with pytest.raises(PlatformError) as early:
            await router.complete("llama3")
        assert (early.value.reason, "not known yet" in early.value.message) == (Reason.UNAVAILABLE, True)

        async with adapter:

            async def only_nats_lacks() -> bool:
                return set(await router.lacking()) == {"nats"}

            await eventually(only_nats_lacks, within=20)
            assert (await router.complete("gpt-4o")).model == "openai/gpt-4o"
            # What it serves beyond its configured name, it said itself.
            assert (await router.complete("llama3")).model == "local/llama3"
            with pytest.raises(PlatformError) as mute:
                await router.cancel("0" * 32, "owner")
            assert mute.value.reason is Reason.UNAVAILABLE
            late.start()
            await router.ready()
    finally:
        router.process.kill()
        router.process.wait(10)
        await router.remote.close()
        late.kill()


async def test_new_router_waits_a_while_for_every_adapter_and_then_for_one(tmp_path: Path, nats: NatsServer) -> None:
    away = f"127.0.0.1:{free_port()}"
    async with FakeAdapter("openai") as adapter:
        router = spawn(tmp_path, nats.url, f"openai={adapter.address},other={away}", OMNIX_ADAPTERS_WITHIN="3s")
        try:

            async def waits_for_the_other() -> bool:
                return await router.lacking() == {"adapters": f"the adapter other service at {away} is away"}

            await eventually(waits_for_the_other, within=20)
            await router.ready()
        finally:
            router.process.kill()
            router.process.wait(10)
            await router.remote.close()


async def test_routes_are_reloaded_whole_or_not_at_all(tmp_path: Path, nats: NatsServer) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(one_route("openai/gpt-4o"))
    settings = {"OMNIX_ROUTES_FILE": str(file), "OMNIX_ROUTES_POLL": "50ms"}
    adapter = FakeAdapter("openai", "other")
    async with adapter, running(tmp_path, nats, f"openai={adapter.address}", **settings) as router:
        assert (await router.complete("mine")).model == "openai/gpt-4o"

        file.write_text(one_route("other/model"))

        async def leads_elsewhere() -> bool:
            return (await router.complete("mine")).model == "other/model"

        await eventually(leads_elsewhere)

        async def refused() -> bool:
            return await router.metric("omnix_router_routes_reload_failed") == 1

        file.write_text(one_route("openai/gpt-4o") + "[routes.bad]\ntargets = []\n")
        await eventually(refused)
        assert (await router.complete("mine")).model == "other/model"
        assert "routes.'bad'.targets: must hold at least one target" in router.log()
        assert await router.lacking() == {}

        file.unlink()
        await eventually(lambda: "cannot be read" in router.log())
        assert (await router.complete("mine")).model == "other/model"

        file.write_text(one_route("openai/gpt-4.1"))

        async def accepted() -> bool:
            return await router.metric("omnix_router_routes_reload_failed") == 0

        await eventually(accepted)
        assert (await router.complete("mine")).model == "openai/gpt-4.1"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"OMNIX_ROUTES_FILE": "routes.toml"},
            "/routes.toml: routes.'mine'.targets[0].model: no provider is called no;",
        ),
        ({"OMNIX_ROUTES_FILE": "absent.toml"}, "/absent.toml: cannot be read: No such file"),
        ({"OMNIX_CATALOGUE_FILE": "routes.toml"}, "/routes.toml: Object contains unknown field `providers`"),
    ],
)
async def test_bad_configuration_ends_with_code_2_and_says_what_is_wrong(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    (tmp_path / "routes.toml").write_text(one_route("no/where"))
    placed = {name: str(tmp_path / file) for name, file in variables.items()}
    router = spawn(tmp_path, "nats://127.0.0.1:9", "openai=127.0.0.1:9", **placed)
    try:
        assert await asyncio.to_thread(router.process.wait, 15) == 2
    finally:
        router.process.kill()
    [line] = router.log().splitlines()
    assert line.startswith(f"omnix-router: configuration: {next(iter(variables))}: ")
    assert told in line


async def test_several_adapters_of_a_provider_take_turns_and_one_may_be_away(tmp_path: Path, nats: NatsServer) -> None:
    one, two = FakeAdapter("openai"), FakeAdapter("openai")
    adapters = f"openai={one.address},openai={two.address},openai=127.0.0.1:{free_port()}"
    async with one, two, running(tmp_path, nats, adapters) as router:
        await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
        await asyncio.gather(*(router.complete("openai/gpt-4o") for _ in range(10)))
        assert (len(one.calls), len(two.calls)) == (5, 5)
        await one.stop()

        async def two_answers() -> bool:
            return not (await router.complete("openai/gpt-4o")).attempts[0].error_reason

        await eventually(two_answers)
        for _ in range(4):
            assert len((await router.complete("openai/gpt-4o")).attempts) == 1


async def test_adapter_that_comes_back_is_called_again(tmp_path: Path, nats: NatsServer) -> None:
    async with FakeAdapter("openai") as adapter, running(tmp_path, nats, f"openai={adapter.address}") as router:
        await router.complete("gpt-4o")
        await adapter.stop()
        with pytest.raises(PlatformError) as away:
            await router.complete("gpt-4o")
        assert away.value.reason is Reason.UNAVAILABLE
        await adapter.start()

        async def answers() -> bool:
            try:
                return (await router.complete("gpt-4o")).model == "openai/gpt-4o"
            except OmnixError:
                return False

        await eventually(answers)


async def test_provider_that_cannot_be_called_is_left_for_the_next(tmp_path: Path, nats: NatsServer) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text('providers = ["other"]\n[routes.pair]\ntargets = ["openai/gpt-4o", "other/model"]')
    broken, other = FakeAdapter("openai"), FakeAdapter("other")
    broken.problem = "OPENAI_API_KEY is not set"
    adapters = f"openai={broken.address},other={other.address}"
    async with broken, other, running(tmp_path, nats, adapters, OMNIX_ROUTES_FILE=str(routes)) as router:
        await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
        response = await router.complete("pair")
        assert [a.error_reason for a in response.attempts] == ["PROVIDER_AUTH_FAILED", ""]
        with pytest.raises(OmnixError) as caught:
            await router.complete("gpt-4o")
        assert "OPENAI_API_KEY is not set" in caught.value.message
        assert broken.calls == []


async def test_extra_calls_end_when_the_budget_is_used_up(tmp_path: Path, nats: NatsServer) -> None:
    async with FakeAdapter("openai") as adapter, running(tmp_path, nats, f"openai={adapter.address}") as router:
        adapter.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=503)] * 200
        for _ in range(4):
            await asyncio.gather(*(router.complete("gpt-4o") for _ in range(10)), return_exceptions=True)
        # 40 completions: as many first calls, a fifth of them extra, and the floor of 10.
        assert 40 + 8 <= len(adapter.calls) <= 40 + 8 + 10
        assert await router.metric("omnix_router_retry_budget_refused_total") > 0


async def test_calls_in_hand_are_finished_on_sigterm(tmp_path: Path, nats: NatsServer) -> None:
    arrived, going_on = asyncio.Event(), asyncio.Event()

    async def when_told(_: Call) -> None:
        arrived.set()
        await going_on.wait()

    async with FakeAdapter("openai") as adapter, running(tmp_path, nats, f"openai={adapter.address}") as router:
        adapter.script = [when_told, answer]
        going = asyncio.create_task(router.complete("gpt-4o"))
        async with asyncio.timeout(10):
            await arrived.wait()
            router.process.terminate()
            await eventually(lambda: '"stopping"' in router.log())
            going_on.set()
            assert (await going).model == "openai/gpt-4o"
        assert await asyncio.to_thread(router.process.wait, 10) == 0
        with pytest.raises(OmnixError):
            await router.complete("gpt-4o", timeout=timedelta(seconds=1))
