"""Dead letters, through a real server."""

from datetime import UTC, datetime, timedelta

from omnix_kit import dead, streams, subjects
from omnix_kit.testing import NatsServer, connected

SUBJECT = subjects.usage_recorded("default")


async def test_dead_letter_keeps_the_original_and_says_what_happened(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        await dead.ensure(messaging)
        for _ in range(2):  # a process that died before it acknowledged buries again
            await dead.bury(
                messaging,
                "usage-metering",
                "not a UsageRecorded:\nfür 3 µ",
                subject=SUBJECT,
                message_id="id-1",
                payload=b"\x00\xff",
                headers={"traceparent": "00-1-2-01", "Nats-Msg-Id": "id-1", "Nats-Expected-Stream": "OMNIX_USAGE"},
            )
        await dead.bury(messaging, "analytics", "other", subject=SUBJECT, message_id="id-1", payload=b"")
        found = [letter async for letter in dead.letters(messaging, "usage-metering")]
        assert [letter.service async for letter in dead.letters(messaging)] == ["usage-metering", "analytics"]
    assert found == [
        dead.DeadLetter(
            sequence=1,
            service="usage-metering",
            reason="not a UsageRecorded: f\\xfcr 3 \\xb5",
            subject=SUBJECT,
            message_id="id-1",
            time=found[0].time,
            headers={"traceparent": "00-1-2-01"},
            payload=b"\x00\xff",
        )
    ]
    assert found[0].time is not None
    assert datetime.now(UTC) - found[0].time < timedelta(minutes=1)


async def test_replay_delivers_the_original_again_and_takes_the_letter_away(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        await dead.ensure(messaging)
        await streams.ensure(messaging.jetstream, streams.USAGE)
        await messaging.publish_durable(SUBJECT, b"event", "id-1")
        await dead.bury(
            messaging,
            "usage-metering",
            "why",
            subject=SUBJECT,
            message_id="id-1",
            payload=b"event",
            headers={"traceparent": "00-1-2-01"},
        )
        letter = await dead.letter(messaging, 1)
        assert letter is not None
        await dead.replay(messaging, letter)
        assert await dead.letter(messaging, 1) is None
        assert [each async for each in dead.letters(messaging)] == []
        await dead.discard(messaging, 1)
        replayed = await messaging.jetstream.get_msg("OMNIX_USAGE", 2)
    assert (replayed.subject, replayed.data) == (SUBJECT, b"event")
    assert (replayed.headers or {})["traceparent"] == "00-1-2-01"
