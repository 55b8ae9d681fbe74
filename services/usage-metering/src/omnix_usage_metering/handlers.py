"""NATS in: usage events become entries of the ledger."""

from collections.abc import Callable, Sequence
from datetime import datetime

from omnix_kit.durable.errors import Unreadable
from omnix_kit.durable.handling import Work
from omnix_store import StoreConfigurationError, StoreDamagedError, StoreUnavailableError

from omnix_usage_metering import metrics
from omnix_usage_metering.convert import entries_from_wire
from omnix_usage_metering.entries import Entry
from omnix_usage_metering.ledger import Ledger

SERVICE = "usage-metering"


def bookkeeping(ledger: Ledger, clock: Callable[[], datetime]) -> Work[Entry]:
    """Enter what the durable brings into the ledger."""

    def read(payload: bytes, subject: str) -> Sequence[Entry | Unreadable]:
        return entries_from_wire(payload, subject, clock())

    async def record(entries: Sequence[Entry]) -> Sequence[str]:
        with metrics.WRITE.time():
            return [result.value for result in await ledger.record(entries)]

    def alone(entry: Entry, reason: str) -> Unreadable:
        return Unreadable(entry.event, entry.attempt_id, reason)

    return Work(
        service=SERVICE,
        read=read,
        record=record,
        alone=alone,
        infrastructure=(StoreUnavailableError, StoreConfigurationError, StoreDamagedError),
        results=metrics.EVENTS,
        put_back=metrics.PUT_BACK,
    )
