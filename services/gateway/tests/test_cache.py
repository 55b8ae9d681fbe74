"""Answers are given again to those who ask for it, and to nobody else; whatever is wrong with the cache is a miss."""

import asyncio
from typing import Any

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_gateway.caching.entries import Entry, to_bytes
from omnix_kit.errors import Reason, error_for
from omnix_kit.streams import CACHE
from omnix_kit.testing import NatsServer, eventually

from .cached import ON, Counted, ask, body, kept, outcome, stranger, subjects_kept, text
from .conftest import Gateway, Start
from .fakes import OTHER, Backends, answer

assert CACHE.name is not None
PATH = "/v1/chat/completions"


async def gives(gateway: Gateway, wanted: str) -> bool:
    return outcome(await ask(gateway)) == wanted


async def test_nobody_who_did_not_ask_gets_or_leaves_anything(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    for _ in range(2):
        plain = await ask(gateway, headers={})
        assert "x-omnix-cache" not in plain.headers
    await ask(gateway, "Others", headers={})
    assert len(behind.router.asked) == 4
    assert len(await subjects_kept(behind)) == 1


async def test_tenants_share_nothing_and_keys_of_one_do(gateway: Gateway, behind: Backends) -> None:
    counted = Counted()
    await ask(gateway)
    await kept(behind)
    foreign = await ask(gateway, headers=ON | stranger(behind))
    assert outcome(foreign) == "miss"
    colleague = await ask(gateway, headers=ON | {"authorization": f"Bearer {OTHER}"})
    assert outcome(colleague) == "hit"
    assert len(behind.router.asked) == 2
    await kept(behind, 2)
    refused = await gateway.http.post(PATH, json=body(), headers=ON | {"authorization": "Bearer wrong"})
    assert refused.status_code == 401
    assert counted.since == {"miss": 2, "hit": 1, "stored": 2}


async def test_another_tenants_answer_put_in_ones_place_is_none(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    await ask(gateway, headers=ON | stranger(behind, "a.b"))
    await kept(behind, 2)
    theirs, ours = await subjects_kept(behind)
    assert "a%2Eb" in theirs
    message = await behind.messaging.jetstream.get_last_msg(CACHE.name or "", theirs)
    await behind.messaging.jetstream.publish(ours, message.data or b"")
    assert outcome(await ask(gateway)) == "miss"


async def test_garbage_is_a_miss_and_is_replaced(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    [subject] = await subjects_kept(behind)
    key = bytes.fromhex(subject.rpartition(".")[2])
    counted = Counted()
    message = await behind.messaging.jetstream.get_last_msg(CACHE.name or "", subject)
    good = message.data or b""
    nothing = to_bytes(key, Entry(b"", "0", 0, 1e12))
    no_completion = to_bytes(key, Entry(b"\xff" * 40, "0", 0, 1e12))
    garbage = [b"", b"x", b"\xff" * 300, b"\x91" * 5000, good[:-1], good[:-1] + b"!", nothing, no_completion]
    for bad in garbage:
        await behind.messaging.jetstream.publish(subject, bad)
        assert outcome(await ask(gateway)) == "miss"
        await eventually(lambda: counted.since.get("stored", 0) == counted.since["miss"])
        assert outcome(await ask(gateway)) == "hit"
    assert counted.since["garbage"] == len(garbage)


async def test_what_is_past_its_time_is_no_answer(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    [subject] = await subjects_kept(behind)
    key = bytes.fromhex(subject.rpartition(".")[2])
    message = await behind.messaging.jetstream.get_last_msg(CACHE.name or "", subject)
    # A server that does not know about times to live keeps it.
    await behind.messaging.jetstream.publish(subject, to_bytes(key, Entry(message.data or b"", "0", 0, 1)))
    assert outcome(await ask(gateway)) == "miss"


async def test_the_server_forgets_what_is_past_its_time(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway, headers={"x-omnix-cache": "ttl=1"})
    await kept(behind)
    await kept(behind, 0)
    assert outcome(await ask(gateway)) == "miss"


async def test_whoever_sets_an_age_gets_nothing_older(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    [subject] = await subjects_kept(behind)
    await asyncio.sleep(0)
    older = await ask(gateway, headers={"x-omnix-cache": "max-age=0"})
    assert outcome(older) == "miss"
    await eventually(lambda: len(behind.router.asked) == 2)
    assert outcome(await ask(gateway, headers={"x-omnix-cache": "max-age=600"})) == "hit"
    assert await subjects_kept(behind) == [subject]


async def test_without_the_cache_requests_are_answered(gateway: Gateway, behind: Backends) -> None:
    await kept(behind, 0)
    counted = Counted()
    await behind.messaging.jetstream.delete_stream(CACHE.name or "")
    assert outcome(await ask(gateway)) == "miss"
    await eventually(lambda: counted.since == {"miss": 1, "away": 1, "failed": 1})


async def test_without_the_broker_requests_are_answered(gateway: Gateway, behind: Backends, nats: NatsServer) -> None:
    await ask(gateway)
    await kept(behind)
    nats.kill()
    await eventually(lambda: bool(gateway.process.readiness.lacking()))
    assert outcome(await ask(gateway)) == "miss"
    nats.start()
    await eventually(lambda: not gateway.process.readiness.lacking())
    # What a server that was killed had not written down is kept anew.
    await eventually(lambda: gives(gateway, "hit"))


async def test_a_broker_that_stands_still_is_not_waited_for(start: Start, behind: Backends, nats: NatsServer) -> None:
    gateway: Gateway = await start(cache_wait="50ms")
    await ask(gateway)
    await kept(behind)
    counted = Counted()
    with nats.paused():
        await eventually(lambda: gives(gateway, "miss"))  # it takes its time to stand still
    assert counted.since["slow"] == 1


async def test_errors_are_not_kept(gateway: Gateway, behind: Backends) -> None:
    behind.router.error = error_for(Reason.RATE_LIMITED, "Slow.", provider="openai")
    refused = await gateway.http.post(PATH, json=body(), headers=ON)
    assert refused.status_code == 429
    behind.router.error = None
    assert outcome(await ask(gateway)) == "miss"
    assert text(await ask(gateway)) == "Hello!"


@pytest.mark.parametrize("reason", [pb.FINISH_REASON_CONTENT_FILTER, pb.FINISH_REASON_OTHER])
async def test_answers_that_did_not_end_well_are_not_kept(
    gateway: Gateway, behind: Backends, reason: pb.FinishReason.ValueType
) -> None:
    counted = Counted()
    withheld = answer("a")
    withheld.choices.add(index=1).CopyFrom(withheld.choices[0])
    withheld.choices[1].finish_reason = reason
    behind.router.completion = withheld
    await ask(gateway)
    await eventually(lambda: counted.since.get("not-whole") == 1)
    assert outcome(await ask(gateway)) == "miss"
    assert await subjects_kept(behind) == []


async def test_answers_that_are_too_large_are_not_kept(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(cache_entry_limit=2048)
    counted = Counted()
    behind.router.completion = answer("x" * 3000)
    assert text(await ask(gateway)) == "x" * 3000
    await eventually(lambda: counted.since == {"miss": 1, "too-large": 1})
    assert outcome(await ask(gateway)) == "miss"


async def test_a_hit_is_the_same_answer_and_costs_nothing(gateway: Gateway, behind: Backends) -> None:
    completion = answer("Hello!")
    completion.choices[0].message.reasoning.add(text="Hm.", signature=b"proof", provider="openai")
    completion.choices[0].message.tool_calls.add(id="c1", name="f", arguments_json='{"a":1}', signature=b"s")
    completion.choices[0].finish_reason = pb.FINISH_REASON_TOOL_CALLS
    behind.router.completion = completion
    behind.router.sandbox, behind.router.route, behind.router.policy = True, "fast", "cheapest"
    first = await ask(gateway)
    await kept(behind)
    again = await ask(gateway)
    assert (outcome(first), outcome(again)) == ("miss", "hit")
    assert len(behind.router.asked) == 1
    told, told_again = first.json(), again.json()
    assert told_again["id"] != told["id"]
    assert again.headers["x-omnix-cache-source"] == told["id"]
    assert 0 <= int(again.headers["age"]) < 15
    assert "age" not in first.headers
    for answered in (told, told_again):
        del answered["id"]
    assert (told["usage"].pop("cost"), told["usage"].pop("cost_micros")) == ("0.001234", 1234)
    assert (told_again["usage"].pop("cost"), told_again["usage"].pop("cost_micros")) == ("0.000000", 0)
    assert told_again == told
    assert (again.headers["x-omnix-cost-micros"], again.headers["x-omnix-attempts"]) == ("0", "0")
    for same in ("x-omnix-model", "x-omnix-route", "x-omnix-policy", "x-omnix-sandbox"):
        assert again.headers[same] == first.headers[same]
    assert "x-omnix-attempt-errors" not in again.headers


NOTHING_TO_THE_ANSWER: list[dict[str, Any]] = [
    {"user": "somebody"},
    {"safety_identifier": "somebody"},
    {"user": "a", "safety_identifier": "b"},
    {"timeout": 20},
    {"n": 1},
    {"prompt_cache_key": "k"},
]
SOMETHING: list[dict[str, Any]] = [
    {"model": "gpt-4o-mini"},
    {"models": ["gpt-4o", "fast"]},
    {"provider": {"order": ["openai"]}},
    {"temperature": 0},
    {"temperature": 1},
    {"n": 2},
    {"seed": 1},
    {"mode": "think"},
    {"max_tokens": 5},
    {"metadata": {"tier": "gold"}},
    {"stop": "."},
    {"logit_bias": {"1": 2}},
    {"tools": [{"type": "function", "function": {"name": "f"}}]},
    {"response_format": {"type": "json_object"}},
    {"logprobs": True},
    {"messages": [{"role": "user", "content": "Hello."}]},
    {"messages": [{"role": "system", "content": "Hello"}]},
    {"cache": {"ttl": 300, "namespace": "a"}},
]


async def test_what_can_change_the_answer_is_another_request(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    for more in NOTHING_TO_THE_ANSWER:
        assert outcome(await ask(gateway, **more)) == "hit", more
    for number, more in enumerate(SOMETHING, 2):
        headers = {} if "cache" in more else ON
        answered = await gateway.http.post(PATH, json=body() | more, headers=headers)
        assert outcome(answered) == "miss", more
        await kept(behind, number)
        answered = await gateway.http.post(PATH, json=dict(reversed((body() | more).items())), headers=headers)
        assert outcome(answered) == "hit", more


async def test_gateways_share_what_is_kept(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()
    await ask(gateway)
    await kept(behind)
    assert outcome(await ask(other)) == "hit"
    assert len(behind.router.asked) == 1
