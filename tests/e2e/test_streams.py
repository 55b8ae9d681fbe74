"""Streams are whole, can be resumed, watched and cancelled, and are the owner's alone."""

import asyncio
import time

import pytest
from omnix_kit.testing import eventually
from omnix_sandbox import script
from support.suite import Stream, Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]


def text_of(question: str) -> str:
    return script.answer(script.user(question)).text


@pytest.mark.parametrize(
    "question",
    [
        "[[tokens=400]] [[burst]] all at once",
        "[[tokens=60]] [[pace=100/s]] one by one",
        "[[tokens=40]] [[fault=drip]] one byte at a time, 東京 é 👩‍👩‍👧‍👦",
        "[[fault=huge-size-300k]] one large piece",
        "[[tokens=30]] [[fault=no-done]] without an end marker",
    ],
)
async def test_text_is_byte_equal(suite: Suite, question: str) -> None:
    stream = await suite.stream(question)
    call = next(call for call in reversed(suite.record()) if call.stream)
    assert stream.errors == []
    assert stream.finish_reasons == ["stop"]
    assert stream.done
    entry = (await suite.usage_of(stream.events[0]["id"]))[0]
    assert entry["output_tokens"] == call.output_tokens
    if "huge" not in question:
        assert stream.text == text_of(question)
    else:
        assert len(stream.text.encode()) >= 300_000


async def test_resume_gives_the_rest_exactly(suite: Suite) -> None:
    question = "[[tokens=80]] [[pace=60/s]] to be resumed"
    async with suite.open_stream(question) as reader:
        stream_id = reader.id
        first = await reader.read(until=lambda seen: len(seen.ids) >= 20)
        rest = await suite.resume(stream_id, first.ids[-1])
    assert first.text + rest.text == text_of(question)
    assert rest.finish_reasons == ["stop"]
    assert rest.done
    again = await suite.resume(stream_id.removeprefix("chatcmpl-"))
    assert again.text == text_of(question)


async def test_two_watch_one_stream(suite: Suite) -> None:
    question = "[[tokens=60]] [[pace=60/s]] to be watched"
    async with suite.open_stream(question) as reader:
        stream_id = reader.id
        own, one, two = await asyncio.gather(reader.read(), suite.resume(stream_id), suite.resume(stream_id))
    assert own.text == one.text == two.text == text_of(question)
    assert own.ids == one.ids == two.ids
    assert len(await suite.usage_of(stream_id)) == 1


async def test_client_that_leaves_closes_the_vendors_connection_and_is_metered_once(suite: Suite) -> None:
    async with suite.open_stream("[[tokens=2000]] [[pace=20/s]] to be left") as reader:
        stream_id = reader.id
        await reader.read(until=lambda seen: len(seen.text) > 20)
    left = time.time()
    [entry] = await suite.usage_of(stream_id)
    await eventually(lambda: any(call.request_id == entry["id"] and call.closed_time for call in suite.record()), 5)
    call = await suite.vendor_call(entry["id"])
    assert call.closed_time is not None
    assert call.closed_time - left < 1
    assert call.outcome == "left"
    assert entry["outcome"] == "cancelled"
    assert entry["estimated"] is True
    assert abs(entry["output_tokens"] - call.produced_tokens) <= 64


async def test_delete_ends_the_stream_for_all_who_read_it(suite: Suite) -> None:
    async with suite.open_stream("[[tokens=2000]] [[pace=20/s]] to be cancelled") as reader:
        stream_id = reader.id
        await reader.read(until=lambda seen: len(seen.text) > 5)
        gone = await suite.http.delete(f"{suite.url}/v1/streams/{stream_id}", headers=suite.headers)
        assert gone.status_code in (200, 202, 204)
        async with asyncio.timeout(10):
            own, late = await asyncio.gather(reader.read(), suite.resume(stream_id))
    assert own.finish_reasons == late.finish_reasons == []
    assert [error["code"] for error in own.errors] == [error["code"] for error in late.errors] == ["cancelled"]
    [entry] = await suite.usage_of(stream_id)
    assert entry["outcome"] == "cancelled"


async def test_stream_of_another_key_is_not_there(suite: Suite) -> None:
    made = await suite.http.post(f"{suite.url}/v1/keys", json={"name": "stranger"}, headers=suite.headers)
    assert made.status_code in (200, 201), made.text
    stranger = made.json()["key"]
    done = await suite.stream("[[tokens=5]] mine")
    stream_id = done.events[0]["id"]
    seen: Stream = await suite.resume(stream_id, key=stranger)
    assert seen.status == 404
    gone = await suite.http.delete(
        f"{suite.url}/v1/streams/{stream_id}", headers={"Authorization": f"Bearer {stranger}"}
    )
    assert gone.status_code == 404
    assert (await suite.resume("0" * 32)).status == 404


async def test_revoked_key_ends_its_streams(suite: Suite) -> None:
    made = (await suite.http.post(f"{suite.url}/v1/keys", json={"name": "short"}, headers=suite.headers)).json()
    async with suite.open_stream("[[tokens=5000]] [[pace=20/s]] x", key=made["key"]) as reader:
        await reader.read(until=lambda seen: len(seen.text) > 5)
        gone = await suite.http.delete(f"{suite.url}/v1/keys/{made['id']}", headers=suite.headers)
        assert gone.status_code in (200, 204)
        async with asyncio.timeout(5):
            seen = await reader.read()
    assert seen.finish_reasons == []
    assert [error["code"] for error in seen.errors] == ["key_revoked"]
    refused = await suite.chat("x", key=made["key"])
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("cut-after-5", "provider_cut"),
        ("cut-after-5-rst", "provider_cut"),
        ("malformed-after-5", "provider_malformed"),
        ("error-after-5", None),
        ("no-finish", "provider_cut"),
    ],
)
async def test_broken_answer_is_never_passed_off_as_whole(suite: Suite, fault: str, code: str | None) -> None:
    question = f"[[tokens=40]] [[fault={fault}]] x"
    stream = await suite.stream(question)
    assert stream.finish_reasons == []
    [error] = stream.errors
    if code is not None:
        assert error["code"] == code
    assert text_of(question).startswith(stream.text)
    stream_id = stream.headers["x-omnix-completion-id"]
    # It was tried once more, and broke off before it said anything new.
    assert {entry["outcome"] for entry in await suite.usage_of(stream_id, 2)} == {"failed"}
