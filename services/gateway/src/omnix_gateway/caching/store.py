"""The cache that all gateways share: the JetStream stream ``OMNIX_CACHE``, the last message of a request's subject.

Whatever is wrong with it is a miss, and never an error of a request.
"""

import asyncio
import logging
import math
import time
from dataclasses import dataclass

import nats.errors
from omnix_kit import streams, subjects
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging
from omnix_kit.timeouts import insisting

from omnix_gateway import metrics
from omnix_gateway.caching.entries import Entry, from_bytes, to_bytes

_log = logging.getLogger(__name__)

_GET = f"$JS.API.DIRECT.GET.{streams.CACHE.name}."
_NOT_FOUND = "404"
_MARGIN = 0.05
_ENSURE_AGAIN_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """``entry`` in bytes, ``wait`` in seconds."""

    entry: int
    wait: float


class Store:
    """Takes answers and gives them back."""

    def __init__(self, messaging: Messaging, bounds: Bounds) -> None:
        self.bounds = bounds
        self._messaging = messaging
        self._ensuring: asyncio.Task[None] | None = None
        self._ensured = False
        self._ensured_at = -math.inf

    async def on_connection(self) -> None:
        """At every NATS connection: the server may have come back without its disk. Nobody waits for it."""
        self._ensured = False
        self._ensure()

    def close(self) -> None:
        if self._ensuring is not None:
            self._ensuring.cancel()

    async def get(self, tenant_id: str, key: bytes, max_age: int | None) -> Entry | None:
        """An answer that is still one; None when there is none, or whether there is cannot be told in time."""
        data, trouble = await self._look_up(subjects.cached(tenant_id, key.hex()))
        entry = None if data is None else from_bytes(key, data)
        if data is not None and entry is None:
            trouble = "garbage"
        if trouble:
            metrics.CACHE_ERRORS.labels(trouble).inc()
        return entry if entry is not None and entry.is_fresh(time.time(), max_age) else None

    async def _look_up(self, subject: str) -> tuple[bytes | None, str]:
        """The last message of the subject, and what was wrong."""
        client, wait = self._messaging.client, self.bounds.wait
        if not client.is_connected:
            return None, "away"
        try:
            # The client gives up by itself; unless the connection breaks at this moment, and then it waits for ever.
            with insisting(wait + _MARGIN):
                message = await client.request(_GET + subject, b"", timeout=wait)
        except TimeoutError:
            return None, "slow"
        except (nats.errors.Error, OSError):
            return None, "away"
        status = (message.headers or {}).get("Status")
        if status is None:
            return message.data, ""
        return None, "" if status == _NOT_FOUND else "away"

    def fits(self, size: int) -> bool:
        """Whether an answer of so many bytes is kept; one that is not is counted."""
        if size > self.bounds.entry:
            metrics.CACHE_STORES.labels("too-large").inc()
        return size <= self.bounds.entry

    async def put(self, tenant_id: str, key: bytes, body: bytes, ttl: int, completion_id: str) -> None:
        """Keep an answer for ``ttl`` seconds in place of the one before."""
        if not self.fits(len(body)):
            return
        if not await self._is_ensured():
            metrics.CACHE_STORES.labels("failed").inc()
            return
        now = time.time()
        data = to_bytes(key, Entry(body, completion_id, now, now + ttl))
        subject = subjects.cached(tenant_id, key.hex())
        try:
            # The server forgets it by itself.
            await self._messaging.publish_durable(subject, data, completion_id, {"Nats-TTL": str(ttl)})
        except PlatformError as exc:
            self._ensured = False
            metrics.CACHE_STORES.labels("failed").inc()
            _log.warning("an answer could not be kept", extra={"error": repr(exc.__cause__ or exc)})
        else:
            metrics.CACHE_STORES.labels("stored").inc()

    async def _is_ensured(self) -> bool:
        if not self._ensured:
            self._ensure()
            if self._ensuring is not None:
                await asyncio.shield(self._ensuring)
        return self._ensured

    def _ensure(self) -> None:
        if self._ensuring is None or (self._ensuring.done() and self._may_ensure()):
            self._ensured_at = time.monotonic()
            self._ensuring = asyncio.create_task(self._make())

    def _may_ensure(self) -> bool:
        return time.monotonic() - self._ensured_at > _ENSURE_AGAIN_AFTER

    async def _make(self) -> None:
        try:
            await streams.ensure(self._messaging.jetstream, streams.CACHE)
        except Exception as exc:  # whatever it is, requests are answered without
            _log.warning("the cache cannot be set up", extra={"error": repr(exc)})
        else:
            self._ensured = True
