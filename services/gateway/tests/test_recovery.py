"""An attempt breaks off in mid-stream: the answer goes on with another one, or ends with a clear error."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_gateway import metrics
from omnix_gateway.streaming import silence
from omnix_kit import streams
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import NatsServer, eventually
from prometheus_client import Counter

from .conftest import Gateway, Start
from .events import Event, error_in, events, joined
from .fakes import Backends
from .publisher import CUT, ROUTER, Publisher
from .streamed import BODY, Steps, answer_of, asked, assert_cut, assert_whole

GIVEN_UP = error_for(Reason.PROVIDER_CUT, "The provider broke off, and no other could go on.", provider="openai")


@pytest.fixture(autouse=True)
def _recoverable(behind: Backends) -> None:
    behind.router.router_id = ROUTER


async def rest_of(stream: AsyncIterator[Event]) -> list[Event]:
    async with asyncio.timeout(15):
        return [event async for event in stream if event.data]


async def goes_on(publisher: Publisher) -> None:
    """``Hello world`` by two attempts, of which the second was under way before the router named it."""
    await publisher.text("Hel", "lo")
    await publisher.break_off()
    second = publisher.successor()
    await second.text(" wor")
    await publisher.name(second)
    await second.text("ld")
    await second.finish()


async def test_an_answer_goes_on_with_another_attempt(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = goes_on
    found = await answer_of(gateway)
    assert_whole(found, "Hello world")
    assert [event.id for event in found] == ["1.0", "1.1", "2.0", "2.1", "2.2", None]
    chunks = [event.json for event in found[:-1]]
    assert [chunk["model"] for chunk in chunks] == ["gpt-4o-2024-08-06"] * 2 + ["claude-x"] * 3
    assert [chunk.get("omnix") for chunk in chunks] == [
        None,
        None,
        {"recovered": {"attempt": 2, "model": "bedrock/claude-x"}},
        None,
        None,
    ]
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks] == ["assistant", None, None, None, None]
    assert {(chunk["id"], chunk["created"]) for chunk in chunks} == {(chunks[0]["id"], 1_700_000_000)}


async def test_usage_and_cost_are_sums(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = goes_on
    found = await answer_of(gateway, stream_options={"include_usage": True})
    usage = found[-2].json["usage"]
    assert found[-2].id == "2.3"
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (14, 5)
    assert (usage["cost_micros"], usage["cost"], usage["estimated"]) == (2468, "0.002468", False)


async def test_openais_sdk_reads_one_answer(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = goes_on
    async with gateway.openai.chat.completions.stream(model="m", messages=BODY["messages"]) as stream:  # type: ignore[arg-type]
        async for _ in stream:
            pass
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "Hello world"
    assert answer.choices[0].finish_reason == "stop"


async def test_a_chain_of_three(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.break_off()
        unnamed = publisher.successor(2)
        await unnamed.text("never named")
        third = publisher.successor(3)
        await third.text("b")
        await publisher.name(third)
        await publisher.name(unnamed)  # the first word counts
        await third.break_off()
        fourth = third.successor(4, model="gemini/g")
        await fourth.text("c")
        await third.name(fourth)
        await fourth.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert_whole(found, "abc")
    assert [event.id for event in found] == ["1.0", "3.0", "4.0", "4.1", None]


async def test_what_comes_late_of_the_attempt_that_broke_off_is_dropped(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        second = publisher.successor()
        await second.text("b")
        await publisher.name(second)
        await publisher.text("zombie")
        await publisher.break_off()
        await second.text("c")
        await publisher.text("zombie")
        await second.finish()

    behind.router.play = play
    assert_whole(await answer_of(gateway), "abc")


async def test_more_given_than_stands_is_told(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a", "b")
        await publisher.break_off()
        second = publisher.successor()
        await second.text("c")
        await publisher.name(second, count=1)
        await second.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert joined(found) == "ab"
    assert_cut(found, "stream_lost")


async def test_an_answer_that_nobody_goes_on_with_ends_with_the_routers_error(
    gateway: Gateway, behind: Backends
) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.chunks(pb.Chunk(finish_reason=pb.FINISH_REASON_STOP))
        await publisher.break_off()
        await publisher.give_up(GIVEN_UP)

    behind.router.play = play
    found = await answer_of(gateway)
    assert joined(found) == "a"
    assert_cut(found, "provider_cut")
    assert (error_in(found)["message"], error_in(found)["resumable"]) == (GIVEN_UP.message, False)


async def test_an_error_that_is_the_last_word_is_told_at_once(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.finish(error_for(Reason.CONTENT_REFUSED, "Refused."))

    behind.router.play = play
    assert_cut(await answer_of(gateway), "content_filter")


async def test_while_it_waits_a_client_gets_comments(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(keep_alive=0.5)
    steps = Steps("a")
    behind.router.play = steps
    waits, recoveries = value(metrics.RECOVERY_WAITS), value(metrics.RECOVERIES)
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        await publisher.break_off()
        assert (await anext(stream)).raw == ": keep-alive"
        second = publisher.successor()
        await publisher.name(second)
        await second.text("b")
        await second.finish()
        assert_whole(await rest_of(stream), "b")
    assert (value(metrics.RECOVERY_WAITS) - waits, value(metrics.RECOVERIES) - recoveries) == (1, 1)


def value(counter: Counter) -> float:
    return next(iter(counter.collect())).samples[0].value


async def test_an_answer_goes_on_when_its_sender_died(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    steps = Steps("a")
    behind.router.play = steps
    waits = value(metrics.RECOVERY_WAITS)
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        behind.heart.cancel()
        await eventually(lambda: value(metrics.RECOVERY_WAITS) == waits + 1, within=8)
        second = publisher.successor()
        second.sender_id = ROUTER  # some process that lives
        await second.text("b")
        await publisher.name(second)
        await second.finish()
        assert_whole(await rest_of(stream), "b")


async def test_a_sender_that_was_only_silent_goes_on_itself(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    steps = Steps("a")
    behind.router.play = steps
    waits = value(metrics.RECOVERY_WAITS)
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        behind.heart.cancel()
        await eventually(lambda: value(metrics.RECOVERY_WAITS) == waits + 1, within=8)
        await publisher.text("b")
        await publisher.finish()
        assert_whole(await rest_of(stream), "b")


@pytest.mark.parametrize("ends", [True, False], ids=["broke off", "fell silent"])
async def test_without_sender_and_router_the_stream_ends(start: Start, behind: Backends, ends: bool) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    steps = Steps("a")
    behind.router.play = steps
    given_up = value(metrics.RECOVERIES_GIVEN_UP)
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        behind.heart.cancel()
        behind.router_heart.cancel()
        if ends:
            await (await steps.publisher).break_off()
        found = await rest_of(stream)
    assert_cut(found, "provider_cut")
    assert error_in(found)["resumable"] is False
    assert (error_in(found)["message"] == CUT.message) is ends
    assert value(metrics.RECOVERIES_GIVEN_UP) == given_up + 1


async def test_a_router_that_says_nothing_is_not_waited_for_without_end(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(idle_margin=0.3)
    behind.router.idle_timeout = 0.7

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.break_off()

    behind.router.play = play
    found = await answer_of(gateway)
    assert_cut(found, "provider_cut")
    assert error_in(found)["message"] == CUT.message


async def test_a_word_that_only_the_recording_has_is_found(
    gateway: Gateway, behind: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "_FIRST_PROBE_AFTER", 0.5)

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.break_off()
        second = publisher.successor()
        await second.text("b")
        await second.finish()
        # Recorded, but on a subject that the gateway does not listen to.
        elsewhere = publisher.subject.split(".")
        elsewhere[-2] = "elsewhere"
        await behind.messaging.jetstream.publish(".".join(elsewhere), publisher.word(2))

    behind.router.play = play
    assert_whole(await answer_of(gateway), "ab")


async def test_a_broker_that_restarts_while_the_answer_changes_hands(
    gateway: Gateway, nats: NatsServer, behind: Backends
) -> None:
    """The adapters publish again what they kept, after their reconnection."""
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        await publisher.break_off()
        second = publisher.successor()
        await second.text("b")
        nats.kill()
        await eventually(lambda: not behind.messaging.client.is_connected)
        lost = second.message(pb.Chunk(text="c"))
        second.published.append(lost)
        nats.start()
        await eventually(lambda: behind.messaging.client.is_connected)
        await streams.ensure(behind.messaging.jetstream, streams.CHUNKS)
        for data in [*second.published, *publisher.published]:
            await behind.messaging.publish(publisher.subject, data)
        await publisher.name(second)
        await second.finish()
        assert_whole(await rest_of(stream), "bc")


async def test_a_broker_that_stays_away_ends_what_waits_resumably(
    start: Start, behind: Backends, nats: NatsServer
) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        await (await steps.publisher).break_off()
        nats.kill()
        found = await rest_of(stream)
    assert_cut(found, "stream_lost")
    assert error_in(found)["resumable"] is True


async def test_tool_calls_keep_the_id_that_began_and_reasoning_is_the_first_ones(
    gateway: Gateway, behind: Backends
) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.chunks(pb.Chunk(reasoning=pb.ReasoningPart(text="Hm")))
        await publisher.chunks(pb.Chunk(tool_calls=[pb.ToolCallDelta(id="c1", name="f", arguments_json='{"a"')]))
        await publisher.break_off()
        second = publisher.successor()
        await second.chunks(pb.Chunk(reasoning=pb.ReasoningPart(text="Well")))
        await publisher.name(second)
        await second.chunks(
            pb.Chunk(
                tool_calls=[
                    pb.ToolCallDelta(id="other", name="f", arguments_json=":1}"),
                    pb.ToolCallDelta(index=1, id="c2", name="g", arguments_json="{}"),
                ]
            )
        )
        await second.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert [event.id for event in found] == ["1.0", "1.1", "2.1", "2.2", None]
    deltas = [event.json["choices"][0]["delta"] for event in found[:-1]]
    assert [delta.get("reasoning_content") for delta in deltas] == ["Hm", None, None, None]
    assert [delta.get("tool_calls") for delta in deltas[1:3]] == [
        [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}],
        [
            {"index": 0, "function": {"arguments": ":1}"}},
            {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    ]
    assert found[2].json["omnix"]["recovered"]["attempt"] == 2
