"""What becomes of an event that fails, through a real server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from omnix_kit import dead, streams
from omnix_kit.durable.consuming import Consumer, consuming
from omnix_kit.durable.handling import MAX_TRIES, Handler
from omnix_kit.durable.tries import Tries
from omnix_kit.messaging import Messaging
from omnix_kit.testing import NatsServer, connected, eventually
from omnix_store import StoreUnavailableError
from omnix_usage_metering.entries import Entry
from omnix_usage_metering.handlers import bookkeeping
from omnix_usage_metering.ledger import Ledger, Recorded

from .conftest import event, publish  # type: ignore[import-not-found] # mypy names no module with a hyphen

MOMENT = timedelta(milliseconds=10)


class FailingLedger(Ledger):
    """Fails by a defect for one attempt, and for a while because the store is away."""

    def __init__(self, defect: str = "", outages: int = 0) -> None:
        self.defect = defect
        self.outages = outages
        self.tries = 0
        self.written: list[str] = []

    async def record(self, entries: Sequence[Entry]) -> list[Recorded]:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailableError("locked")
        if any(entry.attempt_id == self.defect for entry in entries):
            self.tries += len(entries) == 1
            raise KeyError("kaboom")
        self.written += [entry.attempt_id for entry in entries]
        return [Recorded.WRITTEN] * len(entries)


@asynccontextmanager
async def handling(messaging: Messaging, ledger: Ledger) -> AsyncIterator[None]:
    handler = Handler(bookkeeping(ledger, lambda: datetime.now(UTC)), messaging, delay=MOMENT)
    async with consuming(Consumer(messaging, "OMNIX_USAGE", "usage-metering", handler.handle, pause=MOMENT)):
        yield


async def test_defect_moves_one_event_to_the_dead_after_five_tries(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE)
        await dead.ensure(messaging)
        events = [event() for _ in range(5)]
        bad = events[2].attempt_id
        ledger = FailingLedger(defect=bad)
        await publish(messaging, events)

        async def buried() -> bool:
            return bool([letter async for letter in dead.letters(messaging)])

        async with handling(messaging, ledger):
            await eventually(buried, within=30)
        [letter] = [letter async for letter in dead.letters(messaging)]
    assert ledger.tries == MAX_TRIES
    assert sorted(ledger.written) == sorted(each.attempt_id for each in events if each.attempt_id != bad)
    assert (letter.message_id, letter.reason) == (bad, "failed 5 times: KeyError('kaboom')")
    assert letter.payload == events[2].SerializeToString()


async def test_defect_in_one_event_of_a_message_buries_that_event_alone(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE)
        await dead.ensure(messaging)
        events = [event() for _ in range(5)]
        poison = event(usage={"input_tokens": -1})
        bad = events[2].attempt_id
        ledger = FailingLedger(defect=bad)
        await publish(messaging, [event(more=[poison, *events])])

        async def buried() -> bool:
            return len([letter async for letter in dead.letters(messaging)]) == 2

        async def acknowledged() -> bool:
            info = await messaging.jetstream.consumer_info("OMNIX_USAGE", "usage-metering")
            return (info.num_pending, info.num_ack_pending) == (0, 0)

        async with handling(messaging, ledger):
            await eventually(buried, within=30)
            await eventually(acknowledged)
        letters = {letter.message_id: letter async for letter in dead.letters(messaging)}
    assert ledger.tries == MAX_TRIES
    assert set(ledger.written) >= {each.attempt_id for each in events if each.attempt_id != bad}
    assert letters[bad].payload == events[2].SerializeToString()
    assert letters[bad].reason == "failed 5 times: KeyError('kaboom')"
    assert letters[poison.attempt_id].payload == poison.SerializeToString()


async def test_failures_of_the_store_use_up_no_tries(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE)
        await dead.ensure(messaging)
        events = [event() for _ in range(3)]
        ledger = FailingLedger(outages=MAX_TRIES + 2)
        await publish(messaging, events)
        async with handling(messaging, ledger):
            await eventually(lambda: len(ledger.written) == 3, within=40)
        assert [letter async for letter in dead.letters(messaging)] == []
    assert sorted(ledger.written) == sorted(each.attempt_id for each in events)


def test_tries_are_counted_by_message_and_bounded() -> None:
    tries = Tries(remembered=2)
    assert [tries.failed(1), tries.failed(2), tries.failed(1)] == [1, 1, 2]
    assert tries.failed(3) == 1  # 2 failed longest ago and is forgotten
    assert [tries.failed(2), tries.failed(3)] == [1, 2]
    tries.forget(3)
    assert tries.failed(3) == 1
