"""Waiting for the ledger to have what is in the stream."""

import asyncio
import time
from datetime import timedelta
from typing import Final

import nats.errors
from omnix_kit import streams
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.messaging import Messaging

_WITHIN: Final = 60.0
_LOOK_EVERY: Final = 0.2


async def ledger_has_all(messaging: Messaging) -> None:
    """Return when usage-metering has acknowledged every message that is in the stream now.

    :raises PlatformError: ``UNAVAILABLE`` when it does not within a minute.
    """
    stream, durable = streams.USAGE.name or "", streams.USAGE_METERING.durable_name or ""
    deadline = time.monotonic() + _WITHIN
    try:
        last = (await messaging.jetstream.stream_info(stream)).state.last_seq
        while time.monotonic() < deadline:
            info = await messaging.jetstream.consumer_info(stream, durable)
            if not info.num_pending and not info.num_ack_pending:
                return
            if info.ack_floor is not None and info.ack_floor.stream_seq >= last:
                return
            await asyncio.sleep(_LOOK_EVERY)
    except (nats.errors.Error, OSError) as exc:
        raise _unavailable("The stream of usage events is away.") from exc
    raise _unavailable("The ledger is behind its stream.")


def _unavailable(message: str) -> PlatformError:
    return PlatformError(message, reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=2))
