"""Processes die, stop and come back; callers see one whole answer or one clear error, and the books balance."""

import asyncio
import signal
import time
from typing import Any

import pytest
from omnix_kit.testing import eventually
from omnix_sandbox import script
from support.suite import Stream, Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]


def text_of(question: str) -> str:
    return script.answer(script.user(question)).text


@pytest.mark.parametrize("streamed", [False, True])
async def test_failure_before_the_first_content_is_not_seen(suite: Suite, streamed: bool) -> None:
    await suite.order_fault("500", count=1)
    question = f"after a failure {streamed}"
    if streamed:
        stream = await suite.stream(question)
        text, headers, completion_id = stream.text, stream.headers, stream.events[0]["id"]
    else:
        answer = await suite.chat(question)
        text, headers = answer.json()["choices"][0]["message"]["content"], answer.headers
        completion_id = answer.json()["id"]
    assert text == text_of(question)
    assert headers["x-omnix-attempts"] == "2"
    entries = await suite.usage_of(completion_id, 2)
    assert [(entry["attempt"], entry["outcome"], entry["output_tokens"] > 0) for entry in entries] == [
        (2, "succeeded", True),
        (1, "failed", False),
    ]


async def test_usage_is_neither_lost_nor_doubled_while_metering_is_away(suite: Suite) -> None:
    ids = []
    before = suite.pid("usage-metering")
    async with suite.stopped("usage-metering"):
        for number in range(20):
            answer = await suite.chat(f"while metering is away {number}")
            assert answer.status_code == 200
            ids.append(answer.json()["id"].removeprefix("chatcmpl-"))
        await suite.kill("usage-metering")
    await suite.reborn("usage-metering", before)
    for completion_id in ids:
        await suite.usage_of(completion_id)


async def test_broker_killed_in_mid_stream_leaves_no_silent_gap(suite: Suite) -> None:
    question = "[[tokens=200]] [[pace=50/s]] while the broker dies"
    before = suite.pid("nats")
    async with suite.open_stream(question) as reader:
        stream_id = reader.id
        await reader.read(until=lambda seen: len(seen.ids) > 20)
        await suite.kill("nats")
        async with asyncio.timeout(40):
            seen = await reader.read()
    await suite.reborn("nats", before)
    if seen.errors:
        assert seen.finish_reasons == []
        assert text_of(question).startswith(seen.text)
    else:
        assert seen.text == text_of(question)
        assert seen.finish_reasons == ["stop"]
    await suite.settled()
    await suite.usage_of(stream_id)


async def _read_while_the_adapter_dies(suite: Suite, question: str) -> tuple[str, Stream]:
    before = suite.pid("adapter-openai")
    async with suite.open_stream(question) as reader:
        await reader.read(until=lambda seen: len(seen.ids) > 50)
        await suite.kill("adapter-openai")
        async with asyncio.timeout(30):
            seen = await reader.read()
    await suite.reborn("adapter-openai", before)
    return reader.id, seen


async def _assert_first_attempt_is_estimated(suite: Suite, entries: list[dict[str, Any]]) -> None:
    first = min(entries, key=lambda entry: int(entry["attempt"]))
    assert (first["estimated"], first["outcome"]) == (True, "interrupted")
    call = await suite.vendor_call(first["id"])
    assert abs(first["output_tokens"] - call.produced_tokens) <= 64


async def test_adapter_killed_in_mid_stream_is_made_up_for_by_the_next(suite: Suite) -> None:
    question = "[[tokens=200]] [[pace=50/s]] while the adapter dies"
    stream_id, seen = await _read_while_the_adapter_dies(suite, question)
    assert seen.errors == []
    assert (seen.text, seen.finish_reasons, seen.done) == (text_of(question), ["stop"], True)
    entries = await suite.usage_of(stream_id, 2)
    assert {entry["attempt"]: entry["outcome"] for entry in entries} == {1: "interrupted", 2: "succeeded"}
    await _assert_first_attempt_is_estimated(suite, entries)


async def test_adapter_killed_in_mid_stream_is_told_when_nothing_makes_up_for_it(suite: Suite) -> None:
    question = "[[tokens=200]] [[pace=50/s]] [[depart_later=3]] while the adapter dies"
    stream_id, seen = await _read_while_the_adapter_dies(suite, question)
    assert [error["code"] for error in seen.errors] == ["provider_cut"]
    assert (seen.finish_reasons, seen.done) == ([], False)
    assert text_of(question).startswith(seen.text)
    await _assert_first_attempt_is_estimated(suite, await suite.usage_of(stream_id, 2))


async def test_gateway_killed_in_mid_stream_is_resumed_at_the_next(suite: Suite) -> None:
    question = "[[tokens=200]] [[pace=40/s]] while the gateway dies"
    before = suite.pid("gateway")
    async with suite.open_stream(question) as reader:
        stream_id = reader.id
        first = await reader.read(until=lambda seen: len(seen.ids) > 20)
        await suite.kill("gateway")
    await suite.reborn("gateway", before)
    rest = await suite.resume(stream_id, first.ids[-1])
    assert first.text + rest.text == text_of(question)
    assert rest.finish_reasons == ["stop"]
    [entry] = await suite.usage_of(stream_id)
    assert (entry["estimated"], entry["outcome"]) == (False, "succeeded")


async def test_router_killed_in_mid_stream_is_not_missed(suite: Suite) -> None:
    question = "[[tokens=100]] [[pace=50/s]] while the router dies"
    before = suite.pid("router")
    async with suite.open_stream(question) as reader:
        await reader.read(until=lambda seen: len(seen.ids) > 10)
        await suite.kill("router")
        seen = await reader.read()
    assert seen.text == text_of(question)
    await suite.reborn("router", before)
    assert (await suite.chat("afterwards")).status_code == 200


async def test_restarted_gateway_ends_open_streams_so_that_they_can_be_resumed(suite: Suite) -> None:
    question = "[[tokens=1500]] [[pace=60/s]] through a restart"
    before = suite.pid("gateway")
    async with suite.open_stream(question) as reader:
        stream_id = reader.id
        await reader.read(until=lambda seen: len(seen.ids) > 10)
        suite.signal("gateway", signal.SIGTERM)
        async with asyncio.timeout(30):
            first = await reader.read()
    assert [error["code"] for error in first.errors] == ["shutting_down"]
    await suite.reborn("gateway", before, 40)
    rest = await suite.resume(stream_id, first.ids[-1])
    assert first.text + rest.text == text_of(question)


async def test_silent_vendor_and_stalled_vendor_are_errors(suite: Suite) -> None:
    began = time.monotonic()
    refused = await suite.chat("[[fault=reset]] x")
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "provider_unavailable"
    assert time.monotonic() - began < 10


async def test_services_that_died_are_shown_as_restarted(suite: Suite) -> None:
    before = suite.state().services["accounts"]
    await suite.kill("accounts")
    await suite.reborn("accounts", before.pid)
    assert suite.state().services["accounts"].restarts == before.restarts + 1
    await eventually(lambda: suite.command("status", "--wait", "20").returncode == 0, 30)
