"""NATS in: usage events are counted, and who shows figures is told."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby

from omnix_kit import subjects
from omnix_kit.durable.errors import Unreadable
from omnix_kit.durable.handling import Work
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging
from omnix_store import StoreConfigurationError, StoreDamagedError, StoreUnavailableError

from omnix_analytics import metrics
from omnix_analytics.convert import Told, changed_to_wire, told_from_wire
from omnix_analytics.facts import Fact
from omnix_analytics.journal import Journal
from omnix_analytics.keeping import Keeping
from omnix_analytics.spans import time_of

_log = logging.getLogger(__name__)

SERVICE = "analytics"


def counting(journal: Journal, keeping: Keeping, messaging: Messaging, clock: Callable[[], datetime]) -> Work[Told]:
    """Count what the durable brings."""

    async def record(told: Sequence[Told]) -> Sequence[str]:
        now = clock()
        in_time = [event.fact for event in told if not keeping.is_too_late(time_of(event.fact.end_ms), now)]
        if late := len(told) - len(in_time):
            _log.warning("events came too late to be counted; a rebuild counts them", extra={"events": late})
        with metrics.WRITE.time():
            news = await journal.count(in_time)
        await _announce(messaging, [fact for fact, is_new in zip(in_time, news, strict=True) if is_new])
        return [*("counted" if is_new else "duplicate" for is_new in news), *["late"] * late]

    def alone(event: Told, reason: str) -> Unreadable:
        return Unreadable(event.message.SerializeToString(), event.fact.attempt_id, reason)

    return Work(
        service=SERVICE,
        read=told_from_wire,
        record=record,
        alone=alone,
        infrastructure=(StoreUnavailableError, StoreConfigurationError, StoreDamagedError),
        results=metrics.EVENTS,
        put_back=metrics.PUT_BACK,
    )


async def _announce(messaging: Messaging, facts: Iterable[Fact]) -> None:
    """At most once: who shows figures asks from time to time without being told, too."""
    by_tenant = groupby(sorted(facts, key=lambda fact: fact.tenant_id), key=lambda fact: fact.tenant_id)
    try:
        for tenant_id, some in by_tenant:
            await messaging.publish(subjects.figures_changed(tenant_id), changed_to_wire(tenant_id, list(some)))
    except PlatformError as exc:
        _log.debug("changes could not be announced", extra={"error": str(exc)})
