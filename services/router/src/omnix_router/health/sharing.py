"""NATS: what routers tell one another about providers. Without it each router decides alone."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.errors import APIError, NotFoundError
from omnix_kit import streams, subjects
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.messaging import Messaging

from omnix_router import metrics
from omnix_router.health.convert import record_from_bytes, record_to_bytes
from omnix_router.health.fleet import Edit, Record, claimed, swept
from omnix_router.health.state import Health

_log = logging.getLogger(__name__)

_STREAM: Final = "OMNIX_HEALTH"
_CLAIM_WITHIN: Final = 0.5
"""Seconds that a caller's attempt waits for the fleet's word; then it is let through on this router's own."""
_WRITE_WITHIN: Final = 2.0
_TRIES: Final = 8
_WRONG_SEQUENCE: Final = 10071
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_AGAIN_AFTER: Final = 1.0


class Sharing:
    """Keeps the process's :class:`Health` and the fleet's records together."""

    def __init__(self, messaging: Messaging, health: Health) -> None:
        self._messaging = messaging
        self._health = health
        self._subscribed = False
        self._pending = asyncio.Event()
        self._locks: dict[str, asyncio.Lock] = {}
        health.on_pending = self._pending.set

    async def connected(self) -> None:
        """For every connection: hear the last word on each provider, and tell what was not told meanwhile."""
        jetstream = self._messaging.jetstream
        await streams.ensure(jetstream, streams.HEALTH)
        if not self._subscribed:
            await self._messaging.subscribe(subjects.PROVIDER_HEALTH, self._on_changed)
            self._subscribed = True
        state = (await jetstream.stream_info(_STREAM, subjects_filter=">")).state
        for subject in state.subjects or {}:
            if (read := await self._read(subject)) is not None:
                self._health.adopt(read[1], time.time(), anew=True)
        for provider in self._health.known_providers():
            # The server may have come back without its disk.
            if self._health.record_of(provider).revision:
                await self._write(provider, [])
        self._pending.set()

    async def claim(self, target: str) -> bool:
        """Ask for the probe of a target. At most one router has it; while NATS is away each has its own."""
        now = time.time()
        outage = self._health.claim(target, now)
        if self._messaging.lacking() is not None:
            return True
        untold = dict(self._health.pending.get(outage.provider, {}))
        edits = [*untold.values(), claimed(outage, self._health.rules, now)]
        try:
            async with asyncio.timeout(_CLAIM_WITHIN):
                record = await self._write(outage.provider, edits)
        except (TimeoutError, PlatformError, nats.errors.Error, OSError) as exc:
            _log.warning("the fleet cannot be asked for a probe", extra={"target": target, "error": repr(exc)})
            return True
        self._health.told(outage.provider, untold)
        known = record.outages.get(outage.model)
        if known is not None and known.prober == self._health.router and known.until == outage.until:
            return True
        self._health.yield_to(target, known, time.time())
        return False

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Tell the fleet what happens here while inside."""
        task = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell(self) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            if self._messaging.lacking() is not None:
                continue  # the next connection begins it again
            for provider, untold in [(name, dict(edits)) for name, edits in self._health.pending.items()]:
                try:
                    async with asyncio.timeout(_WRITE_WITHIN):
                        await self._write(provider, list(untold.values()))
                except (TimeoutError, PlatformError, nats.errors.Error, OSError) as exc:
                    metrics.HEALTH_SHARED.labels("failed").inc()
                    _log.warning("a provider's health is not shared", extra={"provider": provider, "error": repr(exc)})
                    await asyncio.sleep(_AGAIN_AFTER)
                    self._pending.set()
                except Exception:  # whatever it is, circuits must go on being shared
                    _log.exception("a provider's health is not shared by a defect", extra={"provider": provider})
                    self._health.told(provider, untold)
                else:
                    self._health.told(provider, untold)

    async def _write(self, provider: str, edits: Sequence[Edit]) -> Record:
        """Apply the edits to the fleet's record, on condition that it is the one that was read.

        :raises PlatformError: ``UNAVAILABLE`` when others were faster again and again.
        """
        subject = subjects.provider_health(provider)
        async with self._locks.setdefault(provider, asyncio.Lock()):
            for _ in range(_TRIES):
                sequence, read = await self._read(subject) or (0, self._health.record_of(provider))
                record = read
                for edit in (swept(time.time()), *edits):
                    record = edit(record)
                if record is read and (sequence or not read.revision):
                    self._health.adopt(read, time.time())
                    return read
                record = record.after(max(read.revision, self._health.record_of(provider).revision))
                if await self._replaced(subject, record, sequence):
                    metrics.HEALTH_SHARED.labels("written").inc()
                    self._health.adopt(record, time.time())
                    return record
                await asyncio.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - it spreads load, it guards nothing
        raise PlatformError("Others change the provider's health all the time.", reason=Reason.UNAVAILABLE)

    async def _read(self, subject: str) -> tuple[int, Record] | None:
        try:
            message = await self._messaging.jetstream.get_last_msg(_STREAM, subject)
        except NotFoundError:
            return None
        record = record_from_bytes(message.data or b"")
        return message.seq or 0, record or Record(subjects.provider_of_health(subject))

    async def _replaced(self, subject: str, record: Record, sequence: int) -> bool:
        try:
            await self._messaging.jetstream.publish(
                subject, record_to_bytes(record), timeout=_WRITE_WITHIN, headers={_EXPECTED: str(sequence)}
            )
        except APIError as exc:
            if exc.err_code == _WRONG_SEQUENCE:
                return False
            raise
        return True

    async def _on_changed(self, message: Msg) -> None:
        record = record_from_bytes(message.data)
        if record is None:
            _log.warning("a word on a provider's health cannot be read", extra={"subject": message.subject})
        else:
            self._health.adopt(record, time.time())
