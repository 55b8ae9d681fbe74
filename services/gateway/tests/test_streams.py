"""A stream is whole and in order, or ends with an error; and it can be joined and left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import openai
import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_gateway.chat.sse import Encoder
from omnix_gateway.metrics import OPEN_STREAMS
from omnix_kit import streams
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import NatsServer, eventually

from .conftest import Gateway, Start
from .events import Event, all_events, error_in, events, joined
from .fakes import ADMIN, OTHER, Backends, Publisher

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


@asynccontextmanager
async def asked(gateway: Gateway, headers: dict[str, str] | None = None) -> AsyncIterator[httpx.Response]:
    async with gateway.http.stream("POST", "/v1/chat/completions", json=BODY, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield response


async def answer_of(gateway: Gateway) -> list[Event]:
    async with asyncio.timeout(15):
        async with asked(gateway) as response:
            return await all_events(response)


def assert_whole(found: list[Event], text: str) -> None:
    assert joined(found) == text
    assert found[-1].data == "[DONE]"
    assert [event.json["choices"][0]["finish_reason"] for event in found[:-1]][-1] == "stop"


def assert_cut(found: list[Event], code: str) -> None:
    assert error_in(found)["code"] == code
    finishes = [event.json["choices"][0]["finish_reason"] for event in found[:-1] if event.id]
    assert set(finishes) <= {None}
    assert all(event.data != "[DONE]" for event in found)


class Steps:
    """A play that a test takes step by step."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.go = asyncio.Event()
        self.publisher: asyncio.Future[Publisher] = asyncio.get_running_loop().create_future()

    async def __call__(self, publisher: Publisher) -> None:
        await publisher.text(*self._texts)
        self.publisher.set_result(publisher)
        await self.go.wait()


async def test_ids_are_chunk_numbers_and_tool_calls_keep_their_form(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        call = pb.ToolCallDelta(index=0, id="call_1", name="f")
        await publisher.chunks(pb.Chunk(tool_calls=[call]))
        await publisher.chunks(pb.Chunk(tool_calls=[pb.ToolCallDelta(index=0, arguments_json='{"a"')]))
        last = [pb.Chunk(tool_calls=[pb.ToolCallDelta(arguments_json=":1}")])]
        last.append(pb.Chunk(finish_reason=pb.FINISH_REASON_TOOL_CALLS))
        message = pb.CompletionChunks.FromString(publisher.message(*last))
        message.end.CopyFrom(publisher.end_of())
        await publisher.publish(message.SerializeToString())

    behind.router.play = play
    found = await answer_of(gateway)
    assert [event.id for event in found] == ["0", "1", "2", "3", None]
    deltas = [event.json["choices"][0]["delta"] for event in found[:-1]]
    assert deltas == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]
    assert found[3].json["choices"][0]["finish_reason"] == "tool_calls"


async def test_chunks_before_the_commit_are_kept_and_other_attempts_dropped(gateway: Gateway, behind: Backends) -> None:
    async def before(publisher: Publisher) -> None:
        lost = Publisher(behind.messaging, publisher.request)
        await lost.text("of a dead attempt")
        publisher.attempt = 2
        await publisher.text("Right")

    async def play(publisher: Publisher) -> None:
        await publisher.text(" answer")
        await publisher.finish()

    behind.router.before, behind.router.play = before, play
    assert_whole(await answer_of(gateway), "Right answer")


async def test_duplicates_and_disorder_do_not_show(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        messages = [publisher.message(pb.Chunk(text=text)) for text in "abcd"]
        for position in (0, 0, 2, 3, 2, 1, 1, 0):
            await publisher.publish(messages[position])
        await publisher.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert_whole(found, "abcd")
    assert [event.id for event in found[:-1]] == ["0", "1", "2", "3", "4"]


async def test_a_gap_is_filled_from_the_recording(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        missed = publisher.message(pb.Chunk(text="b"))
        # Recorded, but on a subject that the gateway does not listen to.
        elsewhere = publisher.subject.split(".")
        elsewhere[-2] = "elsewhere"
        await behind.messaging.jetstream.publish(".".join(elsewhere), missed)
        await publisher.text("c")
        await publisher.finish()

    behind.router.play = play
    assert_whole(await answer_of(gateway), "abc")


async def test_a_gap_that_nobody_fills_ends_with_an_error(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(gap_timeout=0.5)

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        publisher.message(pb.Chunk(text="lost"))
        await publisher.text("c")
        await publisher.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert joined(found) == "a"
    assert_cut(found, "stream_lost")
    assert error_in(found)["resumable"] is True


async def test_a_wrong_digest_ends_with_an_error_and_without_a_finish_reason(
    gateway: Gateway, behind: Backends
) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.chunks(pb.Chunk(finish_reason=pb.FINISH_REASON_STOP))
        await publisher.publish(publisher.message(end=publisher.end_of(wrong=1)))

    behind.router.play = play
    assert_cut(await answer_of(gateway), "stream_lost")


async def test_a_cut_answer_raises_api_error_in_the_sdk(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("half an ans")
        await publisher.finish(error_for(Reason.PROVIDER_CUT, "The provider broke off.", provider="openai"))

    behind.router.play = play
    stream = await gateway.openai.chat.completions.create(**BODY)  # type: ignore[call-overload]
    with pytest.raises(openai.APIError) as told:
        async for _ in stream:
            pass
    assert (told.value.code, told.value.message) == ("provider_cut", "The provider broke off.")


async def test_an_answer_that_has_ended_is_never_called_resumable(gateway: Gateway, behind: Backends) -> None:
    """Resuming would give the same end, again and again."""

    async def play(publisher: Publisher) -> None:
        await publisher.text("half an ans")
        await publisher.finish(error_for(Reason.SHUTTING_DOWN, "The adapter is being stopped."))

    async def other_play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.publish(publisher.message(end=publisher.end_of(wrong=1)))

    for how, code in ((play, "shutting_down"), (other_play, "stream_lost")):
        behind.router.play = how
        found = await answer_of(gateway)
        assert_cut(found, code)
        assert error_in(found)["resumable"] is False


async def test_an_error_before_the_first_content_is_an_http_error(gateway: Gateway, behind: Backends) -> None:
    behind.router.error = error_for(Reason.PROVIDER_OVERLOADED, "Too busy.", provider="openai")
    with pytest.raises(openai.InternalServerError) as told:
        await gateway.openai.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert told.value.status_code == 503
    assert told.value.response.headers["retry-after"] == "1"


async def test_silence_is_filled_with_comments(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(keep_alive=0.5)
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        assert (await anext(stream)).raw == ": keep-alive"
        steps.go.set()
        await (await steps.publisher).finish()
        assert [event.data async for event in stream if event.data][-1] == "[DONE]"


async def test_a_sender_that_falls_silent_ends_its_streams(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        behind.heart.cancel()
        async with asyncio.timeout(8):
            found = [event async for event in stream]
    assert_cut(found, "provider_cut")


async def test_a_silent_stream_ends_at_last(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(idle_margin=0.3)
    behind.router.idle_timeout = 0.7
    behind.router.play = Steps("a")
    found = await answer_of(gateway)
    assert_cut(found, "stream_lost")


async def test_a_client_that_leaves_cancels(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        await anext(events(response))
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id], within=1)


async def test_what_others_watch_is_cancelled_when_the_last_of_them_leaves(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with AsyncExitStack() as first, AsyncExitStack() as last:
        read: list[AsyncIterator[Event]] = []  # whoever drops one closes its connection

        async def watch(until: AsyncExitStack) -> None:
            response = await until.enter_async_context(gateway.http.stream("GET", f"/v1/streams/{stream_id}"))
            read.append(events(response))
            assert (await anext(read[-1])).text == "a"

        async with asked(gateway) as response:
            stream_id = (await anext(events(response))).json["id"]
            await watch(first)
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        await watch(last)
        assert OPEN_STREAMS._value.get() == 2
        await first.aclose()
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_a_client_may_wish_that_the_answer_goes_on(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("a", "b")
    behind.router.play = steps
    async with asked(gateway, {"x-omnix-on-disconnect": "continue"}) as response:
        first = await anext(events(response))
        stream_id = first.json["id"]
    publisher = await steps.publisher
    await publisher.text("c")
    await publisher.finish()
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}", headers={"last-event-id": "0"}) as response:
        assert_whole(await all_events(response), "bc")
    assert behind.cancels == []


async def test_a_client_that_leaves_before_the_first_content_cancels(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await gateway.http.post("/v1/chat/completions", json=BODY, timeout=0.5)
    completion_id = behind.router.started[0].completion_id
    await eventually(lambda: behind.router.cancelled == [completion_id] and behind.cancels == [completion_id])


async def test_an_answer_that_the_router_began_and_could_not_tell_of_is_cancelled(
    gateway: Gateway, behind: Backends
) -> None:
    async def before(publisher: Publisher) -> None:
        await publisher.text("a")
        raise error_for(Reason.UNAVAILABLE, "The router is being stopped.")

    behind.router.before = before
    refused = await gateway.http.post("/v1/chat/completions", json=BODY)
    assert refused.status_code == 503
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_an_answer_that_the_gateway_fails_to_send_is_cancelled(
    gateway: Gateway, behind: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(Encoder, "write", broken)
    behind.router.play = Steps("a")
    assert_cut(await answer_of(gateway), "internal")
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_a_resumed_stream_is_equal_byte_for_byte_at_any_gateway(
    gateway: Gateway, start: Start, behind: Backends
) -> None:
    other: Gateway = await start()
    steps = Steps("Grü", "ße", " 🌍")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        first = await anext(stream)
        stream_id = first.json["id"]
        for position, at in enumerate((gateway, other)):
            url = f"/v1/streams/{stream_id}"
            headers = {"last-event-id": "0"} if position else {}
            async with at.http.stream("GET", url, headers=headers) as watching:
                assert watching.headers["x-omnix-completion-id"] == stream_id
                rest = events(watching)
                seen = [await anext(rest) for _ in range(3 - position)]
                assert [event.id for event in seen] == [str(number) for number in range(position, 3)]
        watching_tasks = [
            asyncio.create_task(_watch(at, stream_id, last)) for at, last in ((gateway, ""), (other, ""), (other, "1"))
        ]
        publisher = await steps.publisher
        await publisher.text("!")
        await publisher.finish()
        original = [first, *[event async for event in stream]]
    assert_whole(original, "Grüße 🌍!")
    async with asyncio.timeout(10):
        whole, elsewhere, rest_of = await asyncio.gather(*watching_tasks)
    assert [event.raw for event in whole] == [event.raw for event in elsewhere] == [event.raw for event in original]
    assert [event.raw for event in rest_of] == [event.raw for event in original[2:]]
    # Ended streams can be read again too.
    assert [event.raw for event in await _watch(other, stream_id, "2")] == [event.raw for event in original[3:]]


async def test_late_readers_follow_the_attempt_that_answers(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()
    given_up: list[Publisher] = []

    async def before(publisher: Publisher) -> None:
        lost = Publisher(behind.messaging, publisher.request)
        await lost.text("of", " a", " dead", " attempt")
        given_up.append(lost)
        publisher.attempt = 2

    async def play(publisher: Publisher) -> None:
        await publisher.text("Right")
        await given_up[0].finish(error_for(Reason.CANCELLED, "Cancelled."))
        await publisher.text(" answer")
        await publisher.finish()

    behind.router.before, behind.router.play = before, play
    original = await answer_of(gateway)
    assert_whole(original, "Right answer")
    stream_id = original[0].json["id"]
    for last in ("", "0"):
        again = await _watch(other, stream_id, last)
        assert [event.raw for event in again] == [event.raw for event in original[1 if last else 0 :]]


async def test_a_watcher_of_an_attempt_that_is_given_up_is_told(
    gateway: Gateway, start: Start, behind: Backends
) -> None:
    other: Gateway = await start()
    begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    go = asyncio.Event()

    async def before(publisher: Publisher) -> None:
        await Publisher(behind.messaging, publisher.request).text("of a dead attempt")
        publisher.attempt = 2
        begun.set_result(publisher.completion_id)
        await go.wait()

    behind.router.before = before
    asking = asyncio.create_task(answer_of(gateway))
    async with asyncio.timeout(10):
        async with other.http.stream("GET", f"/v1/streams/{await begun}") as response:
            stream = events(response)
            assert (await anext(stream)).text == "of a dead attempt"
            go.set()
            assert_cut([event async for event in stream], "stream_lost")
        assert_whole(await asking, "Hello wörld 🌍.")


async def _watch(gateway: Gateway, stream_id: str, last: str) -> list[Event]:
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}", params={"last_event_id": last}) as response:
        assert response.status_code == 200, await response.aread()
        return await all_events(response)


async def test_an_id_is_no_right(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        stream_id = (await anext(stream)).json["id"]
        for key, status in ((OTHER, 404), ("wrong", 401)):
            headers = {"authorization": f"Bearer {key}"}
            for method in ("GET", "DELETE"):
                told = await gateway.http.request(method, f"/v1/streams/{stream_id}", headers=headers)
                assert told.status_code == status
        unknown = await gateway.http.get(f"/v1/streams/{'0' * 32}")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
        assert (await gateway.http.get("/v1/streams/nonsense")).status_code == 404
        assert behind.cancels == []
        headers = {"authorization": f"Bearer {ADMIN}"}
        told = await gateway.http.delete(f"/v1/streams/{stream_id}", headers=headers)
        assert told.json() == {"id": stream_id, "object": "stream.cancelled", "cancelled": True}
        await eventually(lambda: behind.cancels == [stream_id.removeprefix("chatcmpl-")])


async def test_the_owner_check_holds_at_other_gateways(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()
    found = await answer_of(gateway)
    stream_id = found[0].json["id"]
    headers = {"authorization": f"Bearer {OTHER}"}
    assert (await other.http.get(f"/v1/streams/{stream_id}", headers=headers)).status_code == 404
    ended = await other.http.delete(f"/v1/streams/{stream_id}")
    assert ended.json()["cancelled"] is False
    assert behind.cancels == []


async def test_a_bad_last_event_id_is_refused(gateway: Gateway) -> None:
    found = await answer_of(gateway)
    for bad in ("x", "²", "-1", "1" * 13):
        sent = {"last-event-id": bad.encode("latin-1")}
        told = await gateway.http.get(f"/v1/streams/{found[0].json['id']}", headers=sent)  # type: ignore[arg-type]
        assert (told.status_code, told.json()["error"]["param"]) == (400, "last_event_id")


async def test_streams_of_a_revoked_key_end(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        await anext(stream)
        await behind.account_changed("member")
        async with asyncio.timeout(5):
            found = [event async for event in stream]
    assert_cut(found, "key_revoked")
    await eventually(lambda: len(behind.cancels) == 1)


FLOOD = "x" * 50_000


async def flood(publisher: Publisher) -> None:
    for _ in range(200):
        await publisher.text(FLOOD)
    await publisher.finish()


async def stalled_client(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream and read nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1024)
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-omnix-member\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    return reader, writer


async def test_a_slow_reader_is_cut_off_and_does_not_slow_others(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(stream_messages=32)
    behind.router.play = flood
    reader, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    slow_id = behind.router.started[0].completion_id
    await asyncio.gather(*behind.router.playing)
    whole = await _watch_fast(gateway, slow_id)
    assert_whole(whole, FLOOD * 200)
    # The client reads again in time, and is told why it gets no more. The answer itself is not cancelled.
    received = b""
    async with asyncio.timeout(10):
        while not received.endswith(b"0\r\n\r\n"):
            received += await reader.read(65536)
    assert b'"code":"stream_too_slow"' in received
    assert len(received) < 200 * 50_000
    assert behind.cancels == []
    writer.close()


async def test_a_client_that_reads_no_more_is_given_up(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(stream_messages=4, stalled_client_timeout=0.2)
    behind.router.play = flood
    reader, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    await asyncio.gather(*behind.router.playing)
    await eventually(lambda: OPEN_STREAMS._value.get() == 0)
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while await reader.read(1024 * 1024):
                pass
    writer.close()


async def test_a_client_that_does_not_take_the_rest_of_an_ended_answer_is_given_up(
    start: Start, behind: Backends
) -> None:
    gateway: Gateway = await start(stream_bytes=64 * 1024 * 1024, stalled_client_timeout=0.2)
    behind.router.play = flood
    _, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    await asyncio.gather(*behind.router.playing)
    await eventually(lambda: OPEN_STREAMS._value.get() == 0)
    writer.close()


async def _watch_fast(gateway: Gateway, completion_id: str) -> list[Event]:
    async with asyncio.timeout(15):
        return await _watch(gateway, completion_id, "")


async def test_nats_killed_in_mid_stream(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    """The adapter publishes again what it kept, after its reconnection: the stream completes."""
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        nats.kill()
        await eventually(lambda: not behind.messaging.client.is_connected)
        lost = publisher.message(pb.Chunk(text="b"))
        publisher.published.append(lost)
        nats.start()
        await eventually(lambda: behind.messaging.client.is_connected)
        await streams.ensure(behind.messaging.jetstream, streams.CHUNKS)
        for data in list(publisher.published):
            await behind.messaging.publish(publisher.subject, data)
        await publisher.text("c")
        await publisher.finish()
        async with asyncio.timeout(12):
            found = [event async for event in stream]
    assert_whole(found, "bc")


async def test_a_key_revoked_while_nats_was_away(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        await anext(stream)
        nats.kill()
        for key in behind.accounts.keys.values():
            if key.key_id == "member":
                key.revoke_time.seconds = 1
        nats.start()
        async with asyncio.timeout(10):
            found = [event async for event in stream]
    assert_cut(found, "key_revoked")


async def test_no_stream_begins_while_nats_is_away(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    nats.kill()
    await eventually(lambda: bool(gateway.process.readiness.lacking()))
    refused = await gateway.http.post("/v1/chat/completions", json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert behind.router.started == []
    nats.start()


async def test_a_burst_in_one_read_is_no_slow_client(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        for _ in range(1500):
            await behind.messaging.publish(publisher.subject, publisher.message(pb.Chunk(text="a")))
        await publisher.finish()

    behind.router.play = play
    assert_whole(await answer_of(gateway), "a" * 1500)


async def test_alternatives_end_each_by_itself(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        stop = pb.FINISH_REASON_STOP
        await publisher.chunks(pb.Chunk(text="a"), pb.Chunk(finish_reason=stop), pb.Chunk(choice_index=1, text="b"))
        last = publisher.message(pb.Chunk(choice_index=1, text="c", finish_reason=stop))
        await publisher.publish(last)
        await publisher.publish(publisher.message(end=publisher.end_of()))

    behind.router.play = play
    found = await answer_of(gateway)
    choices = [event.json["choices"][0] for event in found[:-1]]
    assert [(choice["index"], choice["delta"], choice["finish_reason"]) for choice in choices] == [
        (0, {"role": "assistant", "content": "a"}, None),
        (0, {}, "stop"),
        (1, {"role": "assistant", "content": "b"}, None),
        (1, {"content": "c"}, "stop"),
    ]
