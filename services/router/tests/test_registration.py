"""Adapters that nobody configured: they come by their heartbeats, serve, and leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from omnix.provider.v1 import heartbeat_pb2
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.router.v1 import router_service_pb2
from omnix_kit import subjects
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.messaging import Messaging
from omnix_kit.testing import NatsServer, connected, eventually, free_port

from .fakes import LONG, FakeAdapter, Router, running

LOOPBACK = {"OMNIX_ADAPTERS_FROM": "127.0.0.0/8"}
HASTY = {**LOOPBACK, "OMNIX_REGISTRATION_TIMEOUT": "1s"}
ROUTES = """
providers = ["acme"]
[routes.pair]
targets = ["acme/one", "openai/gpt-4o"]
"""


class Heart:
    """Beats for an adapter, much faster than a real one does."""

    def __init__(self, messaging: Messaging, sender_id: str, address: str) -> None:
        self._messaging = messaging
        self.sender_id = sender_id
        self.address = address

    async def beat(self) -> None:
        said = heartbeat_pb2.SenderHeartbeat(sender_id=self.sender_id, address=self.address)
        await self._messaging.publish(subjects.sender_heartbeat(self.sender_id), said.SerializeToString())

    async def _beats(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator["Heart"]:
        task = asyncio.create_task(self._beats())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def answers(router: Router, model: str) -> bool:
    try:
        return (await router.complete(model)).model == model
    except OmnixError:
        return False


async def health(router: Router) -> dict[str, str]:
    request = router_service_pb2.ListProviderHealthRequest()
    response = await router.remote.call(router.stub.ListProviderHealth, request, timeout=LONG)
    return {provider.provider: provider.why for provider in response.providers}


async def why_not(router: Router, model: str) -> tuple[Reason, str]:
    with pytest.raises(OmnixError) as caught:
        await router.complete(model)
    return caught.value.reason, caught.value.message


async def test_adapter_that_nobody_configured_serves_and_is_listed(tmp_path: Path, nats: NatsServer) -> None:
    adapter = FakeAdapter("acme", models=(("acme", "one"), ("openai", "hijacked")))
    async with (
        FakeAdapter("openai") as openai,
        adapter,
        running(tmp_path, nats, f"openai={openai.address}", **LOOPBACK) as router,
        connected(nats) as messaging,
    ):
        assert await why_not(router, "acme/one") == (Reason.MODEL_NOT_FOUND, "The model 'acme/one' does not exist.")
        async with Heart(messaging, "a1", adapter.address).beating():
            await eventually(lambda: answers(router, "acme/one"))
            assert (await router.start("acme/one")).sender_id == f"sender-{adapter.port}"
            listed = await router.models()
            assert ("acme/one" in listed, "openai/hijacked" in listed) == (True, False)
            assert (await health(router))["acme"] == ""
            assert await router.metric("omnix_router_adapters_registered") == 1
            heard = f'omnix_router_adapter_heard{{adapter="registered",address="{adapter.address}"}}'
            assert await router.metric(heard) == 1
        assert openai.calls == []


async def test_nobody_registers_unless_the_operator_says_who_may(tmp_path: Path, nats: NatsServer) -> None:
    stranger, friend = FakeAdapter("stranger"), FakeAdapter("friend")
    async with FakeAdapter("openai") as openai, stranger, friend, connected(nats) as messaging:
        elsewhere = stranger.address.replace("127.0.0.1", "localhost")
        own = f"openai={openai.address}"
        async with (
            Heart(messaging, "s", elsewhere).beating(),
            Heart(messaging, "x", "unix:/tmp/adapter").beating(),
            Heart(messaging, "f", friend.address).beating(),
            Heart(messaging, "o", openai.address).beating(),
            running(tmp_path, nats, own) as closed,
            running(tmp_path, nats, own, **LOOPBACK) as router,
        ):
            await eventually(lambda: answers(router, "friend/model"))
            await eventually(lambda: router.log().count("an adapter may not register itself") == 2)
            assert (await why_not(router, "stranger/model"))[0] is Reason.MODEL_NOT_FOUND
            assert (await why_not(closed, "friend/model"))[0] is Reason.MODEL_NOT_FOUND
            assert await router.metric('omnix_router_registrations_refused_total{why="address"}') == 2
            # What is configured needs no registering, and is not counted among those who did.
            assert await router.metric("omnix_router_adapters_registered") == 1
    assert stranger.asked == 0
    assert elsewhere in router.log()


async def test_configured_provider_cannot_be_taken_over(tmp_path: Path, nats: NatsServer) -> None:
    rival = FakeAdapter("openai", "broken", "acme", models=(("acme", "one"),))
    broken = FakeAdapter("broken")
    broken.problem = "BROKEN_KEY is not set"
    async with FakeAdapter("openai") as openai, broken, rival, connected(nats) as messaging:
        configured = f"openai={openai.address},broken={broken.address},absent=127.0.0.1:{free_port()}"
        async with running(tmp_path, nats, configured, **LOOPBACK, OMNIX_ADAPTERS_WITHIN="100ms") as router:
            await eventually(lambda: router.log().count('"an adapter serves a provider"') == 2)
            async with Heart(messaging, "r", rival.address).beating():
                await eventually(lambda: answers(router, "acme/one"))
                rival.forget()
                for _ in range(6):
                    assert (await router.complete("openai/gpt-4o")).model == "openai/gpt-4o"
                assert (await why_not(router, "broken/model"))[0] is Reason.PROVIDER_AUTH_FAILED
                assert (await why_not(router, "absent/model"))[0] is Reason.UNAVAILABLE
                assert rival.calls == []
                assert await router.metric('omnix_router_registrations_refused_total{why="configured"}') == 2
                assert router.log().count("is not called for a provider that it announces") == 2


async def test_short_names_keep_their_meaning(tmp_path: Path, nats: NatsServer) -> None:
    own = FakeAdapter("local", models=(("local", "llama3"),))
    acme = FakeAdapter("acme", models=(("acme", "llama3"), ("acme", "auto"), ("acme", "gpt-4o:think"), ("acme", "new")))
    async with (
        own,
        acme,
        FakeAdapter("openai") as openai,
        connected(nats) as messaging,
        running(tmp_path, nats, f"local={own.address},openai={openai.address}", **LOOPBACK) as router,
        Heart(messaging, "a", acme.address).beating(),
    ):
        await eventually(lambda: answers(router, "acme/llama3"))
        acme.forget()
        assert (await router.complete("llama3")).model == "local/llama3"
        assert (await router.complete("auto")).model.startswith("openai/")
        assert (await router.complete("gpt-4o:think")).model == "openai/gpt-4o"
        assert (await why_not(router, "new"))[0] is Reason.MODEL_NOT_FOUND
        assert acme.calls == []
        assert (await router.complete("acme/auto")).model == "acme/auto"


async def test_adapter_that_falls_silent_is_left_for_the_next_and_may_come_back(
    tmp_path: Path, nats: NatsServer
) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES)
    adapter = FakeAdapter("acme", models=(("acme", "one"),))
    async with FakeAdapter("openai") as openai, adapter, connected(nats) as messaging:
        configured, more = f"openai={openai.address}", {**HASTY, "OMNIX_ROUTES_FILE": str(routes)}
        async with running(tmp_path, nats, configured, **more) as router:
            async with Heart(messaging, "a1", adapter.address).beating():
                await eventually(lambda: answers(router, "acme/one"))
                assert (await router.complete("pair")).model == "acme/one"
            # It still answers, but nothing is heard of it.
            await eventually(lambda: "an adapter that registered itself left" in router.log())
            adapter.forget()
            left = f"the adapter at {adapter.address} left"
            assert await why_not(router, "acme/one") == (
                Reason.UNAVAILABLE,
                f"The provider acme cannot be called: {left}.",
            )
            response = await router.complete("pair")
            assert (response.model, response.attempts[0].error_reason) == ("openai/gpt-4o", "UNAVAILABLE")
            assert (await health(router))["acme"] == left
            assert "acme/one" in await router.models()
            assert adapter.calls == []
            assert await router.metric("omnix_router_adapters_registered") == 0

            async with Heart(messaging, "a2", adapter.address).beating():
                await eventually(lambda: answers(router, "acme/one"))
                assert (await health(router))["acme"] == ""


async def test_adapter_that_stops_is_not_called_from_its_last_word_on(tmp_path: Path, nats: NatsServer) -> None:
    one, two = (FakeAdapter("acme", models=(("acme", "one"),)) for _ in range(2))
    async with (
        FakeAdapter("openai") as openai,
        one,
        two,
        connected(nats) as messaging,
        running(tmp_path, nats, f"openai={openai.address}", **LOOPBACK) as router,
        Heart(messaging, "a2", two.address).beating(),
    ):
        heart = Heart(messaging, "a1", one.address)
        async with heart.beating():
            await eventually(lambda: router.log().count('"an adapter serves a provider"') == 3)
            await asyncio.gather(*(router.complete("acme/one") for _ in range(10)))
            assert (len(one.calls), len(two.calls)) == (5, 5)
        # Another process's word takes nothing away.
        await Heart(messaging, "nobody", "").beat()
        heart.address = ""
        await heart.beat()
        await eventually(lambda: '"it stops"' in router.log())
        one.forget()
        for _ in range(4):
            assert len((await router.complete("acme/one")).attempts) == 1
        assert one.calls == []
        assert router.log().count("an adapter that registered itself left") == 1


async def test_registered_adapter_that_dies_is_away(tmp_path: Path, nats: NatsServer) -> None:
    adapter = FakeAdapter("acme", models=(("acme", "one"),))
    async with (
        FakeAdapter("openai") as openai,
        adapter,
        connected(nats) as messaging,
        running(tmp_path, nats, f"openai={openai.address}", **LOOPBACK) as router,
    ):
        async with Heart(messaging, "a1", adapter.address).beating():
            await eventually(lambda: answers(router, "acme/one"))
        await adapter.stop()
        assert await why_not(router, "acme/one") == (Reason.UNAVAILABLE, "The adapter service is away.")
        assert (await health(router))["acme"] == f"the adapter service at {adapter.address} is away"


class Guarded(FakeAdapter):
    """Takes nobody without the token."""

    async def ListModels(
        self, request: wire.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListModelsResponse:
        if ("authorization", "Bearer shared") not in [tuple(pair) for pair in context.invocation_metadata()]:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
        return await super().ListModels(request, context)


async def test_registered_adapter_is_shown_the_token_of_the_services(tmp_path: Path, nats: NatsServer) -> None:
    async with FakeAdapter("openai") as openai, Guarded("acme") as adapter, connected(nats) as messaging:
        secured = {**LOOPBACK, "OMNIX_GRPC_TOKEN": "shared"}
        async with (
            Heart(messaging, "a1", adapter.address).beating(),
            running(tmp_path, nats, f"openai={openai.address}", **secured) as router,
        ):
            await eventually(lambda: '"provider": "acme"' in router.log() or '"provider":"acme"' in router.log())


async def test_words_that_are_none_change_nothing(tmp_path: Path, nats: NatsServer) -> None:
    adapter = FakeAdapter("acme", models=(("acme", "one"),))
    async with (
        FakeAdapter("openai") as openai,
        adapter,
        connected(nats) as messaging,
        running(tmp_path, nats, f"openai={openai.address}", **LOOPBACK) as router,
    ):
        await messaging.publish(subjects.sender_heartbeat("a"), b"\xff\xff")
        lie = heartbeat_pb2.SenderHeartbeat(sender_id="other", address=adapter.address)
        await messaging.publish(subjects.sender_heartbeat("a"), lie.SerializeToString())
        await eventually(lambda: router.log().count("a heartbeat cannot be read") == 2)
        assert await router.metric("omnix_router_adapters_registered") == 0
        assert (await why_not(router, "acme/one"))[0] is Reason.MODEL_NOT_FOUND
