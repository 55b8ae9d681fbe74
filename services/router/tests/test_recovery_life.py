"""Recovery where the router, its bounds or the broker set the limits: each test has a router of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from omnix.common.v1 import errors_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import Reason
from omnix_kit.testing import NatsServer, eventually

from .fakes import Call, FakeAdapter, Router, fail, running
from .scene import CUT, STALLED, Scene, begun, continuation_of, scene_at, stream_of

ROUTES = """
providers = ["other"]

[routes.pair]
targets = ["openai/gpt-4o", "other/model"]
attempts = 5

[routes.shaky]
targets = ["other/breaks-off", "openai/gpt-4o"]
"""


@asynccontextmanager
async def stage(
    folder: Path, nats: NatsServer, openai: FakeAdapter, other: FakeAdapter, **variables: str
) -> AsyncIterator[tuple[Router, Scene]]:
    (folder / "routes.toml").write_text(ROUTES)
    settings = {
        "OMNIX_ROUTES_FILE": str(folder / "routes.toml"),
        "OMNIX_RECOVERY_COMPLETIONS": "100",
        **variables,
    }
    adapters = f"openai={openai.address},other={other.address}"
    async with (
        openai,
        other,
        scene_at(nats, openai, other) as scene,
        running(folder, nats, adapters, **settings) as router,
    ):
        await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
        yield router, scene


async def test_what_does_not_fit_is_told_that_nobody_goes_on_with_it(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    bounds = {"OMNIX_RECOVERY_COMPLETIONS": "2", "OMNIX_RECOVERY_BYTES": "10000"}
    async with stage(tmp_path, nats, openai, other, **bounds) as (router, scene):
        await begun(router, "pair")
        long = pb.Message(role=pb.ROLE_USER, parts=[pb.Part(text="long " * 2500)])
        await begun(router, "pair", pb.CompletionRequest(messages=[long]))
        await begun(router, "pair")
        await begun(router, "pair")
        assert [bool(stream_of(call).router_id) for call in openai.calls] == [True, False, True, False]
        assert await router.metric('omnix_router_unrecoverable_answers_total{why="bytes"}') == 1
        assert await router.metric('omnix_router_unrecoverable_answers_total{why="completions"}') == 1
        # What ended makes room.
        await scene.end(openai.calls[0], 0)

        async def one_is_open() -> bool:
            return await router.metric("omnix_router_recoverable_answers") == 1

        await eventually(one_is_open)
        await begun(router, "pair")
        assert stream_of(openai.calls[-1]).router_id


async def test_extra_calls_of_recoveries_come_out_of_the_budget(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    async with stage(tmp_path, nats, openai, other) as (router, scene):
        openai.script = [scene.says("Hello")] * 20
        other.script = [fail(Reason.PROVIDER_UNAVAILABLE)] * 100
        started = await asyncio.gather(*(begun(router, "pair") for _ in range(20)))
        await asyncio.gather(*(scene.end(call, 1, STALLED) for call in openai.calls))
        words = await asyncio.gather(*(scene.hears(completion_id, 1) for completion_id, _ in started))
        assert {(word.next_attempt, word.error.reason) for word in words} == {
            (0, errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT)
        }
        # 20 completions: as many first calls, a fifth of them extra, and the floor of 10.
        assert 1 <= len(other.calls) <= 4 + 10
        assert await router.metric("omnix_router_retry_budget_refused_total") > 0


async def test_streams_that_break_off_open_the_circuit(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    async with stage(tmp_path, nats, openai, other, OMNIX_CIRCUIT_FAILURES="2") as (router, scene):
        other.script = [scene.says("Hello")] * 2
        one, _ = await begun(router, "shaky")
        two, _ = await begun(router, "shaky")
        for completion_id, call in zip((one, two), list(other.calls), strict=True):
            await scene.end(call, 1, STALLED)
            assert (await scene.hears(completion_id, 1)).next_attempt == 2
        _, response = await begun(router, "shaky")
        assert (response.model, response.attempt) == ("openai/gpt-4o", 1)


async def test_on_sigterm_recoveries_are_finished_and_new_ones_given_up(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    going_on = asyncio.Event()

    async def when_told(call: Call) -> None:
        await going_on.wait()
        await scene.send(call, "world")

    async with stage(tmp_path, nats, openai, other) as (router, scene):
        openai.script = [scene.says("Hello"), scene.says("Hello"), when_told]
        early, _ = await begun(router, "pair")
        late, _ = await begun(router, "pair")
        first, second = openai.calls
        await scene.end(first, 1, CUT)
        await eventually(lambda: len(openai.calls) == 3)
        router.process.terminate()
        await eventually(lambda: '"stopping"' in router.log())
        await scene.end(second, 1, CUT)
        word = await scene.hears(late, 1)
        assert (word.next_attempt, word.error.reason) == (0, errors_pb2.ERROR_REASON_PROVIDER_CUT)
        router_id = stream_of(first).router_id
        scene.beats.clear()
        await eventually(lambda: router_id in scene.beats)  # readers go on waiting
        going_on.set()
        assert (await scene.hears(early, 1)).next_attempt == 2
        assert await asyncio.to_thread(router.process.wait, 10) == 0


async def test_recovery_that_takes_longer_than_the_grace_is_given_up_in_words(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")

    async def hangs(_: Call) -> None:
        await asyncio.sleep(60)

    async with stage(tmp_path, nats, openai, other, OMNIX_GRACE="1s") as (router, scene):
        openai.script = [scene.says("Hello"), hangs]
        completion_id, _ = await begun(router, "pair")
        await scene.end(openai.calls[0], 1, CUT)
        await eventually(lambda: len(openai.calls) == 2)
        router.process.terminate()
        word = await scene.hears(completion_id, 1)
        assert (word.next_attempt, word.error.reason) == (0, errors_pb2.ERROR_REASON_PROVIDER_CUT)
        await asyncio.wait_for(openai.calls[1].ended.wait(), 5)
        assert await asyncio.to_thread(router.process.wait, 10) == 0


async def test_end_that_was_told_while_the_broker_died_is_found_in_the_recording(tmp_path: Path) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    nats = NatsServer(tmp_path / "nats")
    nats.start()
    try:
        async with stage(tmp_path, nats, openai, other) as (router, scene):
            openai.script = [scene.says("Hel"), scene.says("lo")]
            completion_id, _ = await begun(router, "pair")
            nats.kill()
            nats.start()
            async with asyncio.timeout(15):
                await scene.messaging.ready()
            await router.ready()
            # What the broker may have lost is published again, and the word to the router is not.
            await scene.send(openai.calls[0], "Hel")
            await scene.end(openai.calls[0], 1, CUT, told=False)
            assert (await scene.hears(completion_id, 1, within=15)).next_attempt == 2
            assert continuation_of(openai.calls[1]).text == "Hel"
    finally:
        nats.kill()


async def test_router_that_stood_still_takes_nobody_for_dead(tmp_path: Path, nats: NatsServer) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    async with stage(tmp_path, nats, openai, other, OMNIX_SENDER_TIMEOUT="2s") as (router, scene):
        openai.script = [scene.says("Hel")]
        await begun(router, "pair")
        router.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        router.process.send_signal(signal.SIGCONT)
        await looks_at_its_senders(scene, stream_of(openai.calls[0]).router_id)
        assert (await router.metric("omnix_router_recoverable_answers"), len(openai.calls)) == (1, 1)


async def looks_at_its_senders(scene: Scene, router_id: str) -> None:
    for _ in range(3):
        scene.beats.clear()
        await eventually(lambda: router_id in scene.beats)


async def test_outage_of_the_broker_is_no_silence_of_senders(tmp_path: Path) -> None:
    openai, other = FakeAdapter("openai"), FakeAdapter("other")
    nats = NatsServer(tmp_path / "nats")
    nats.start()
    try:
        async with stage(tmp_path, nats, openai, other, OMNIX_SENDER_TIMEOUT="1s") as (router, scene):
            openai.script = [scene.says("Hel")]
            await begun(router, "pair")
            nats.kill()
            await asyncio.sleep(3)
            nats.start()
            await router.ready()
            async with asyncio.timeout(15):
                await scene.messaging.ready()
            await looks_at_its_senders(scene, stream_of(openai.calls[0]).router_id)
            assert (await router.metric("omnix_router_recoverable_answers"), len(openai.calls)) == (1, 1)
    finally:
        nats.kill()
