"""A stream can be joined and resumed, at any gateway, by those who may."""

import asyncio

from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .events import events
from .fakes import ADMIN, OTHER, Backends
from .publisher import Publisher
from .streamed import Steps, answer_of, asked, assert_cut, assert_whole, watched


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
            headers = {"last-event-id": "1.0"} if position else {}
            async with at.http.stream("GET", url, headers=headers) as watching:
                assert watching.headers["x-omnix-completion-id"] == stream_id
                rest = events(watching)
                seen = [await anext(rest) for _ in range(3 - position)]
                assert [event.id for event in seen] == [f"1.{number}" for number in range(position, 3)]
        watching_tasks = [
            asyncio.create_task(watched(at, stream_id, last))
            for at, last in ((gateway, ""), (other, ""), (other, "1.1"))
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
    assert [event.raw for event in await watched(other, stream_id, "2")] == [event.raw for event in original[3:]]


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
        again = await watched(other, stream_id, last)
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
    for bad in ("x", "²", "-1", "1" * 13, ".", "1.", ".1", "1.1.1", "1.-1", "0.1", "1111111.1", "1." + "1" * 13):
        sent = {"last-event-id": bad.encode("latin-1")}
        told = await gateway.http.get(f"/v1/streams/{found[0].json['id']}", headers=sent)  # type: ignore[arg-type]
        assert (told.status_code, told.json()["error"]["param"]) == (400, "last_event_id")
