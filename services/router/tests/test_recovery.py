"""Answers that break off after their first content: a real router between real NATS and adapters that do as told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from omnix.common.v1 import errors_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1.provider_service_pb2 import Continuation
from omnix_kit import subjects
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import NatsServer, eventually

from .fakes import Call, FakeAdapter, Router, fail, running
from .scene import CUT, STALLED, Scene, begun, continuation_of, scene_at, sender_of, stream_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIX, RESTART = Continuation.KIND_PREFIX, Continuation.KIND_RESTART
DEPARTED = fail(Reason.PROVIDER_DEPARTED)
ROUTES = """
[routes.pair]
targets = ["openai/first", "other/second"]
attempts = 4

[routes.taking]
targets = ["openai/able", "other/second"]
attempts = 5

[routes.two]
targets = ["openai/first", "other/second"]
attempts = 2

[routes.three]
targets = ["openai/first", "other/second", "other/third"]
attempts = 5

[routes.back]
targets = ["other/second", "openai/able"]

[routes.hurried]
targets = ["openai/first", "other/second"]
deadline = "1s"
"""
CATALOGUE = """
[[models]]
provider = "openai"
model = "able"
capabilities = ["text", "streaming", "assistant_prefix", "tools"]

[[models]]
provider = "openai"
model = "first"

[[models]]
provider = "other"
model = "second"

[[models]]
provider = "other"
model = "third"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def openai() -> AsyncIterator[FakeAdapter]:
    async with FakeAdapter("openai") as adapter:
        yield adapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other() -> AsyncIterator[FakeAdapter]:
    async with FakeAdapter("other") as adapter:
        yield adapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(
    tmp_path_factory: pytest.TempPathFactory, nats: NatsServer, openai: FakeAdapter, other: FakeAdapter
) -> AsyncIterator[Router]:
    folder = tmp_path_factory.mktemp("recovery")
    async with running(folder, nats, f"openai={openai.address},other={other.address}", **settings(folder)) as router:
        await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
        yield router


def settings(folder: Path) -> dict[str, str]:
    (folder / "routes.toml").write_text(ROUTES)
    (folder / "catalogue.toml").write_text(CATALOGUE)
    return {
        "OMNIX_ROUTES_FILE": str(folder / "routes.toml"),
        "OMNIX_CATALOGUE_FILE": str(folder / "catalogue.toml"),
        "OMNIX_RECOVERY_COMPLETIONS": "100",
        "OMNIX_SENDER_TIMEOUT": "1500ms",
    }


@pytest_asyncio.fixture(loop_scope="module")
async def scene(router: Router, nats: NatsServer, openai: FakeAdapter, other: FakeAdapter) -> AsyncIterator[Scene]:
    # The retry budget fills up.
    await asyncio.gather(*(router.complete("openai/first") for _ in range(25)))
    openai.forget()
    other.forget()
    async with scene_at(nats, openai, other) as scene:
        yield scene
        for completion_id in {call.attempt.completion_id for call in openai.calls + other.calls}:
            await router.cancel(completion_id, "owner")
        await nothing_open(router)


async def test_answer_that_breaks_off_is_begun_anew_and_readers_are_told(
    router: Router, scene: Scene, openai: FakeAdapter
) -> None:
    openai.script = [scene.says("Hel", "lo"), scene.says(" world")]
    completion_id, response = await begun(router, "pair")
    assert response.attempt == 1
    first = openai.calls[0]
    assert not stream_of(first).HasField("continuation")
    await scene.send(first, ", wide", first=2)
    await scene.end(first, 3, CUT)
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.count, word.HasField("error")) == (2, 3, False)
    again = openai.calls[1]
    told = continuation_of(again)
    assert (told.attempt, told.kind, told.text, list(told.tool_calls)) == (1, RESTART, "Hello, wide", [])
    assert (again.attempt.completion_id, again.attempt.number) == (completion_id, 2)
    assert stream_of(again).chunk_subject == subjects.chunks("g", completion_id)
    assert again.request == first.request
    await scene.end(again, 1)
    await nothing_open(router)
    assert await router.metric('omnix_router_broken_attempts_total{provider="openai",reason="PROVIDER_CUT"}') == 1
    assert await router.metric('omnix_router_recoveries_total{kind="restart",outcome="recovered"}') == 1


async def test_able_target_is_given_the_text_that_the_caller_has(
    router: Router, scene: Scene, openai: FakeAdapter
) -> None:
    openai.script = [scene.says("Hello"), scene.says(" world")]
    completion_id, _ = await begun(router, "taking")
    await scene.end(openai.calls[0], 1, CUT)
    assert (await scene.hears(completion_id, 1)).next_attempt == 2
    told = continuation_of(openai.calls[1])
    assert (told.kind, told.text) == (PREFIX, "Hello")
    # A second break: the caller has what both attempts said.
    openai.script = [fail(Reason.PROVIDER_UNAVAILABLE)]
    await scene.end(openai.calls[1], 1, CUT)
    word = await scene.hears(completion_id, 2)
    assert word.count == 1


async def test_prefix_that_is_refused_is_followed_by_a_restart_at_the_same_target(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [scene.says("Hello"), fail(Reason.UNSUPPORTED_PARAMETER, status=400), scene.says("!")]
    completion_id, _ = await begun(router, "taking")
    await scene.end(openai.calls[0], 1, CUT)
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.count) == (3, 1)
    assert [continuation_of(call).kind for call in openai.calls[1:]] == [PREFIX, RESTART]
    assert other.calls == []


async def test_target_that_refuses_a_prefix_is_no_worse_than_one_that_is_given_none(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    """The route's three attempts are used up but for one, and that one is first refused for the prefix."""
    other.script = [scene.says("Hello"), fail(Reason.PROVIDER_CUT)]
    openai.script = [fail(Reason.UNSUPPORTED_PARAMETER, status=400), scene.says("!")]
    completion_id, _ = await begun(router, "back")
    await scene.end(other.calls[0], 1, CUT)
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.count) == (4, 1)
    assert [continuation_of(call).kind for call in openai.calls] == [PREFIX, RESTART]


async def test_tool_calls_are_told_and_never_continued_as_text(
    router: Router, scene: Scene, openai: FakeAdapter
) -> None:
    begins = pb.ToolCallDelta(index=0, id="call-1", name="look", arguments_json='{"a"')
    openai.script = [scene.says("Looking."), scene.says("")]
    completion_id, _ = await begun(router, "taking")
    grows = pb.ToolCallDelta(index=0, arguments_json=": 1")
    await scene.send(openai.calls[0], first=1, tool_calls=[begins, grows])
    await scene.end(openai.calls[0], 3, CUT)
    assert (await scene.hears(completion_id, 1)).count == 3
    told = continuation_of(openai.calls[1])
    assert told.kind == RESTART
    assert list(told.tool_calls) == [pb.ToolCall(id="call-1", name="look", arguments_json='{"a": 1')]


async def test_answer_that_departs_goes_to_the_next_target(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [scene.says("Hello"), DEPARTED]
    other.script = [scene.says(" world")]
    completion_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[0], 1, CUT)
    word = await scene.hears(completion_id, 1)
    assert word.next_attempt == 3
    assert continuation_of(other.calls[0]).text == "Hello"
    assert (len(openai.calls), len(other.calls)) == (2, 1)


async def test_stalled_target_is_not_called_again(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [scene.says("Hello")]
    other.script = [DEPARTED]
    completion_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[0], 1, STALLED)
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.count) == (0, 1)
    assert word.error.reason == errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT
    assert (word.error.provider, "No other attempt could go on" in word.error.message) == ("openai", True)
    assert (len(openai.calls), len(other.calls)) == (1, 1)
    await nothing_open(router)


async def test_answer_of_a_dead_process_goes_on_elsewhere(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [scene.says("Hel"), fail(Reason.UNAVAILABLE)]
    other.script = [scene.says("lo")]
    completion_id, response = await begun(router, "pair")
    assert response.sender_id == sender_of(openai)
    scene.alive.discard(sender_of(openai))
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.count) == (3, 1)
    assert continuation_of(other.calls[0]).text == "Hel"
    # Should it live after all, it is told to stop.
    async with asyncio.timeout(5):
        await openai.calls[0].ended.wait()


async def test_whole_answer_of_a_dead_process_is_left_alone(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")]
    completion_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[0], 1, told=False)
    scene.alive.discard(sender_of(openai))
    await nothing_open(router)
    assert (len(openai.calls), scene.word(completion_id, 1)) == (1, None)


async def test_end_that_asks_for_nothing_is_the_last_word(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")] * 2
    refused = error_for(Reason.CONTENT_REFUSED, "Refused as told.", provider="openai")
    refused_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[0], 1, refused, final=True)
    whole_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[1], 1)
    await nothing_open(router)
    assert (scene.word(refused_id, 1), scene.word(whole_id, 1), len(openai.calls)) == (None, None, 2)


async def test_word_of_the_end_may_overtake_the_answer_to_the_call(
    router: Router, scene: Scene, openai: FakeAdapter
) -> None:
    async def begins_and_breaks_off(call: Call) -> None:
        await scene.send(call, "Hello")
        await scene.end(call, 1, CUT)

    openai.script = [begins_and_breaks_off, scene.says("!")]
    completion_id, response = await begun(router, "pair")
    assert response.attempt == 1
    assert (await scene.hears(completion_id, 1)).next_attempt == 2


async def test_chunks_that_are_nowhere_end_the_answer(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")]
    completion_id, _ = await begun(router, "pair")
    await scene.send(openai.calls[0], "after a gap", first=2)
    await scene.end(openai.calls[0], 3, CUT)
    word = await scene.hears(completion_id, 1, within=15)
    assert (word.next_attempt, word.error.reason) == (0, errors_pb2.ERROR_REASON_STREAM_LOST)
    assert len(openai.calls) == 1


async def test_cancelled_completion_does_not_go_on(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [scene.says("Hello")]
    other.script = [fail(Reason.RATE_LIMITED, retry_after=1, status=429)]
    completion_id, _ = await begun(router, "pair")
    await scene.end(openai.calls[0], 1, STALLED)
    await eventually(lambda: len(other.calls) == 1)
    await router.cancel(completion_id, "owner")
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.error.reason) == (0, errors_pb2.ERROR_REASON_CANCELLED)
    assert (len(openai.calls), len(other.calls)) == (1, 1)


async def test_cancelled_before_it_broke_off_it_is_over(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")]
    completion_id, _ = await begun(router, "pair")
    await router.cancel(completion_id, "owner")
    await nothing_open(router)
    await scene.end(openai.calls[0], 1, CUT)
    await scene.messaging.client.flush()
    assert (len(openai.calls), scene.word(completion_id, 1)) == (1, None)


async def test_completions_that_break_off_together_do_not_mix(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter
) -> None:
    async def by_completion(call: Call) -> None:
        await scene.send(call, f"text of {call.attempt.completion_id}")

    openai.script = [by_completion] * 5
    other.script = [by_completion] * 5
    ids = [completion_id for completion_id, _ in await asyncio.gather(*(begun(router, "pair") for _ in range(5)))]
    await asyncio.gather(*(scene.end(call, 1, STALLED) for call in openai.calls))
    words = await asyncio.gather(*(scene.hears(completion_id, 1) for completion_id in ids))
    assert [(word.next_attempt, word.count) for word in words] == [(2, 1)] * 5
    told = {call.attempt.completion_id: continuation_of(call).text for call in other.calls}
    assert told == {completion_id: f"text of {completion_id}" for completion_id in ids}


@pytest.mark.parametrize(("model", "calls"), [("two", 2), ("hurried", 1)])
async def test_limits_of_the_completion_hold(
    router: Router, scene: Scene, openai: FakeAdapter, other: FakeAdapter, model: str, calls: int
) -> None:
    openai.script = [scene.says("Hello"), fail(Reason.PROVIDER_UNAVAILABLE, status=503)]
    completion_id, _ = await begun(router, model)
    if model == "hurried":
        await asyncio.sleep(1.1)  # until its deadline
    await scene.end(openai.calls[0], 1, CUT)
    word = await scene.hears(completion_id, 1)
    assert (word.next_attempt, word.error.reason) == (0, errors_pb2.ERROR_REASON_PROVIDER_CUT)
    assert len(openai.calls) + len(other.calls) == calls


async def test_several_alternatives_are_not_gone_on_with(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")]
    await begun(router, "pair", pb.CompletionRequest(candidate_count=2))
    assert stream_of(openai.calls[0]).router_id == ""
    assert await router.metric('omnix_router_unrecoverable_answers_total{why="alternatives"}') == 1


async def test_router_tells_that_it_lives(router: Router, scene: Scene, openai: FakeAdapter) -> None:
    openai.script = [scene.says("Hello")]
    await begun(router, "pair")
    await eventually(lambda: stream_of(openai.calls[0]).router_id in scene.beats)
    await scene.end(openai.calls[0], 1)
    await nothing_open(router)


async def nothing_open(router: Router) -> None:
    async def is_closed() -> bool:
        return await router.metric("omnix_router_recoverable_answers") == 0

    await eventually(is_closed)
