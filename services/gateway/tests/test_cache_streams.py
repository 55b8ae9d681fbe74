"""Streams are answered from the cache with the events of a stream, and kept when they ended whole."""

import asyncio
from typing import Any

from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import eventually

from .cached import ON, PATH, Counted, ask, ask_streamed, body, kept, outcome, subjects_kept, text
from .conftest import Gateway, Start
from .events import Event, events, joined
from .fakes import Backends, answer
from .publisher import ROUTER, Publisher
from .streamed import Steps, assert_cut, assert_whole

USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


def calls(behind: Backends) -> int:
    return len(behind.router.asked) + len(behind.router.started)


def message_of(found: list[Event]) -> dict[str, Any]:
    """The deltas, added up as clients do."""
    told: dict[str, Any] = {"tool_calls": []}
    for event in found[:-1]:
        for choice in event.json["choices"]:
            delta = choice["delta"]
            for name in ("content", "refusal", "reasoning_content"):
                if delta.get(name):
                    told[name] = told.get(name, "") + delta[name]
            for call in delta.get("tool_calls", ()):
                told["tool_calls"] += [call] if "id" in call else []
                if "id" not in call:
                    told["tool_calls"][-1]["function"]["arguments"] += call["function"]["arguments"]
    return told


async def test_cut_streams_are_not_kept(gateway: Gateway, behind: Backends) -> None:
    counted = Counted()

    async def cut(publisher: Publisher) -> None:
        await publisher.text("Hel", "lo")
        await publisher.finish(error_for(Reason.PROVIDER_CUT, "Broken off."))

    async def withheld(publisher: Publisher) -> None:
        await publisher.text("Hel")
        last = pb.Chunk(finish_reason=pb.FINISH_REASON_CONTENT_FILTER)
        data = publisher.message(last)
        await publisher.publish(data)
        await publisher.publish(publisher.message(end=publisher.end_of()))

    behind.router.play = cut
    headers, found = await ask_streamed(gateway)
    assert outcome(headers) == "miss"
    assert_cut(found, "provider_cut")
    behind.router.play = withheld
    headers, found = await ask_streamed(gateway)
    assert outcome(headers) == "miss"
    await eventually(lambda: counted.since.get("not-whole") == 1)
    assert outcome((await ask_streamed(gateway))[0]) in ("miss", "joined")
    assert await subjects_kept(behind) == []


async def test_streams_that_are_too_large_are_whole_and_not_kept(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(cache_entry_limit=1024)
    counted = Counted()

    async def long(publisher: Publisher) -> None:
        for _ in range(100):
            await publisher.text("x" * 100)
        await publisher.finish()

    behind.router.play = long
    _, found = await ask_streamed(gateway)
    assert_whole(found, "x" * 10_000)
    await eventually(lambda: counted.since.get("too-large") == 1)
    assert await subjects_kept(behind) == []


async def test_what_was_streamed_answers_streamed_and_unary(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        thought = pb.ReasoningPart(text="Hm", provider="openai")
        await publisher.chunks(pb.Chunk(reasoning=thought), pb.Chunk(reasoning=pb.ReasoningPart(text=", yes.")))
        await publisher.chunks(pb.Chunk(reasoning=pb.ReasoningPart(signature=b"proof")))
        await publisher.text("Hel", "lo", " 🌍")
        for name, arguments in (("f", ('{"a"', ":1}")), ("g", ("{}",))):
            index = 0 if name == "f" else 1
            begin = pb.ToolCallDelta(index=index, id=f"c{index}", name=name, signature=b"s")
            await publisher.chunks(pb.Chunk(tool_calls=[begin]))
            for part in arguments:
                await publisher.chunks(pb.Chunk(tool_calls=[pb.ToolCallDelta(index=index, arguments_json=part)]))
        last = pb.Chunk(finish_reason=pb.FINISH_REASON_TOOL_CALLS)
        await publisher.publish(publisher.message(last))
        await publisher.publish(publisher.message(end=publisher.end_of()))

    behind.router.play = play
    first_headers, first = await ask_streamed(gateway, **USAGE)
    await kept(behind)
    headers, found = await ask_streamed(gateway, **USAGE)
    assert (outcome(first_headers), outcome(headers)) == ("miss", "hit")
    assert headers["content-type"] == first_headers["content-type"]
    assert headers["x-omnix-cache-source"] == first[0].json["id"]
    assert headers["x-omnix-model"] == "openai/gpt-4o"
    assert "age" in headers
    assert message_of(found) == message_of(first)
    assert found[0].json["choices"][0]["delta"]["role"] == "assistant"
    numbers = [(event.id or "").rpartition(".")[2] for event in found[:-1]]
    assert numbers == [str(number) for number in range(len(found) - 1)]
    assert len({event.json["id"] for event in found[:-1]} | {first[0].json["id"]}) == 2
    assert found[-3].json["choices"][0]["finish_reason"] == "tool_calls"
    usage, first_usage = found[-2].json["usage"], first[-2].json["usage"]
    assert (usage.pop("cost_micros"), first_usage.pop("cost_micros")) == (0, 1234)
    assert (usage.pop("cost"), first_usage.pop("cost")) == ("0.000000", "0.001234")
    assert usage == first_usage
    for same in ("created", "model", "system_fingerprint"):
        assert found[0].json[same] == first[0].json[same]
    unary = await ask(gateway)
    assert outcome(unary) == "hit"
    told = unary.json()["choices"][0]
    assert told["finish_reason"] == "tool_calls"
    assert told["message"]["content"] == "Hello 🌍"
    assert told["message"]["reasoning_content"] == "Hm, yes."
    assert told["message"]["reasoning_details"] == [{"text": "Hm, yes.", "signature": "cHJvb2Y=", "provider": "openai"}]
    called = [(call["id"], call["function"], call["signature"]) for call in told["message"]["tool_calls"]]
    assert called == [
        ("c0", {"name": "f", "arguments": '{"a":1}'}, "cw=="),
        ("c1", {"name": "g", "arguments": "{}"}, "cw=="),
    ]
    assert calls(behind) == 1
    # What is given again is no stream that can be resumed.
    assert (await gateway.http.get(f"/v1/streams/{found[0].json['id']}")).status_code == 404


async def test_what_was_answered_whole_is_streamed(gateway: Gateway, behind: Backends) -> None:
    completion = answer("Hello!")
    second = completion.choices.add(index=1, finish_reason=pb.FINISH_REASON_LENGTH)
    second.message.refusal = "No."
    token = completion.choices[0].logprobs.add(token="Hello!", logprob=-0.5)
    token.top.add(token="Hi", logprob=-1)
    behind.router.completion = completion
    await ask(gateway)
    await kept(behind)
    headers, found = await ask_streamed(gateway)
    assert outcome(headers) == "hit"
    assert found[-1].data == "[DONE]"
    told = [event.json["choices"][0] for event in found[:-1]]
    assert [choice["index"] for choice in told] == [0, 0, 1, 1]
    assert told[0]["delta"] == {"role": "assistant", "content": "Hello!"}
    assert told[0]["logprobs"]["content"][0]["top_logprobs"][0]["token"] == "Hi"
    assert told[2]["delta"]["refusal"] == "No."
    assert [choice["finish_reason"] for choice in told] == [None, "stop", None, "length"]
    assert all(event.json.get("usage") is None for event in found[:-1])
    sdk = await gateway.openai.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        extra_headers=ON,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in sdk]
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (9, 12)
    assert calls(behind) == 1


async def test_a_stream_whose_client_leaves_is_cancelled_and_not_kept(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=ON) as response:
        await anext(events(response))
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])
    behind.router.play = Steps("b")
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=ON) as response:
        assert outcome(response.headers) == "miss"


async def test_a_stream_that_shall_go_on_without_its_client_is_kept(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    headers = ON | {"x-omnix-on-disconnect": "continue"}
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=headers) as response:
        await anext(events(response))
    publisher = await steps.publisher
    await publisher.text("lo")
    await publisher.finish()
    await kept(behind)
    assert text(await ask(gateway)) == "Hello"
    assert behind.cancels == []


async def test_an_answer_that_two_attempts_made_is_not_kept(gateway: Gateway, behind: Backends) -> None:
    counted = Counted()

    async def play(publisher: Publisher) -> None:
        publisher.router_id = ROUTER
        await publisher.text("Hel")
        await publisher.break_off()
        successor = publisher.successor()
        await publisher.name(successor)
        await successor.text("lo")
        await successor.finish()

    behind.router.play = play
    headers, found = await ask_streamed(gateway)
    assert outcome(headers) == "miss"
    assert joined(found) == "Hello"
    await eventually(lambda: counted.since.get("not-whole") == 1)
    assert await subjects_kept(behind) == []


async def test_without_the_cache_streams_go_on(gateway: Gateway, behind: Backends) -> None:
    await kept(behind, 0)
    await behind.messaging.jetstream.delete_stream("OMNIX_CACHE")
    for _ in range(2):
        headers, found = await ask_streamed(gateway)
        assert outcome(headers) in ("miss", "joined")
        assert_whole(found, "Hello wörld 🌍.")


async def test_streams_of_those_who_did_not_ask_are_left_alone(gateway: Gateway, behind: Backends) -> None:
    for _ in range(2):
        headers, found = await ask_streamed(gateway, headers={})
        assert "x-omnix-cache" not in headers
        assert joined(found) == "Hello wörld 🌍."
    async with asyncio.timeout(5):
        assert await subjects_kept(behind) == []
    assert calls(behind) == 2
