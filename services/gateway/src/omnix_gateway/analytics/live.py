"""Live figures: whoever watches is told within two seconds of an event, and each time everything of the window."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
from nats.aio.msg import Msg
from omnix_kit import subjects
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason
from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging

from omnix_gateway.analytics.clients import Analytics
from omnix_gateway.analytics.convert import live_from_proto, live_to_proto
from omnix_gateway.analytics.schema import LiveQuery
from omnix_gateway.authentication import Authenticator
from omnix_gateway.chat.sse import KEEP_ALIVE
from omnix_gateway.errors import ErrorAnswer, error_body, overloaded
from omnix_gateway.identity import Identity
from omnix_gateway.streaming.streams import SHUTTING_DOWN

_log = logging.getLogger(__name__)

_MOST_VIEWERS: Final = 200
_PAUSE: Final = 0.5
"""Seconds between two events of one viewer, however many changes there are."""
_TICK: Final = 1.0
_ASK_EVERY: Final = 5.0
"""Seconds after which figures are asked for unannounced: announcements may be lost, and minutes pass."""
_CHECK_KEY_EVERY: Final = 30.0
_KEEP_ALIVE_EVERY: Final = 15.0
_FRESH: Final = 0.3
"""Seconds for which viewers who ask for the same share an answer."""

_REVOKED: Final = CallerError("The API key was revoked.", reason=Reason.KEY_REVOKED)


class Live:
    """The viewers of this process."""

    def __init__(
        self, analytics: Analytics, messaging: Messaging, authenticator: Authenticator, readiness: Readiness
    ) -> None:
        self._analytics = analytics
        self._messaging = messaging
        self._authenticator = authenticator
        self._readiness = readiness
        self._viewers = 0
        self._asked: dict[bytes, tuple[float, asyncio.Task[bytes]]] = {}

    @asynccontextmanager
    async def view(self, query: LiveQuery, identity: Identity) -> AsyncIterator[AsyncIterator[bytes]]:
        """Watch while inside: the events, as they are sent. What cannot be answered is refused on entering.

        :raises OmnixError: what analytics says, or ``OVERLOADED`` when too many watch already.
        """
        if self._viewers >= _MOST_VIEWERS:
            raise overloaded("Too many watch live figures at this gateway; come again in a moment.")
        self._viewers += 1
        try:
            first = await self._figures(query, identity)
            changed = asyncio.Event()

            async def on_change(_: Msg) -> None:
                changed.set()

            subscription = await self._messaging.subscribe(subjects.figures_changed(identity.tenant_id), on_change)
            try:
                changed.set()  # something may have come between the two
                yield self._events(query, identity, first, changed)
            finally:
                await self._messaging.unsubscribe(subscription)
        finally:
            self._viewers -= 1

    async def _events(
        self, query: LiveQuery, identity: Identity, last: bytes, changed: asyncio.Event
    ) -> AsyncIterator[bytes]:
        yield _event(b"figures", last)
        asked = sent = checked = time.monotonic()
        while True:
            await asyncio.sleep(_PAUSE)
            await _set_within(changed, _TICK)
            now = time.monotonic()
            error = self._over(identity)
            if error is None and now - checked >= _CHECK_KEY_EVERY:
                checked = now
                error = _REVOKED if await self._refused(identity) else None
            if error is not None:
                yield _event(b"error", msgspec.json.encode(ErrorAnswer(error_body(error))))
                return
            if changed.is_set() or now - asked >= _ASK_EVERY:
                changed.clear()
                asked = now
                try:
                    told = await self._figures(query, identity)
                except OmnixError as exc:
                    _log.warning("live figures wait", extra={"error": exc.message})
                    continue
                if told != last:
                    last, sent = told, now
                    yield _event(b"figures", told)
            if now - sent >= _KEEP_ALIVE_EVERY:
                sent = now
                yield KEEP_ALIVE

    async def _figures(self, query: LiveQuery, identity: Identity) -> bytes:
        series, totals = live_to_proto(query, identity, datetime.now(UTC))
        key = series.SerializeToString(deterministic=True) + totals.SerializeToString(deterministic=True)
        now = time.monotonic()
        self._asked = {asked: known for asked, known in self._asked.items() if now - known[0] < _FRESH}
        if key not in self._asked:

            async def ask() -> bytes:
                points, sums = await asyncio.gather(self._analytics.series(series), self._analytics.totals(totals))
                return msgspec.json.encode(live_from_proto(points, sums, query.group_by))

            task = asyncio.create_task(ask())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may have left
            self._asked[key] = (now, task)
        return await asyncio.shield(self._asked[key][1])

    def _over(self, identity: Identity) -> OmnixError | None:
        """Why a viewer may watch no longer."""
        if self._readiness.stopping:
            return PlatformError(SHUTTING_DOWN, reason=Reason.SHUTTING_DOWN)
        expired = identity.expire_time is not None and identity.expire_time <= datetime.now(UTC)
        if expired or self._authenticator.is_revoked(identity):
            return _REVOKED
        return None

    async def _refused(self, identity: Identity) -> bool:
        """Ask whether the key still holds; its revocation may have been told while nobody could hear it."""
        try:
            await self._authenticator.ask(identity.key_sha256)
        except CallerError:
            return True
        except OmnixError as exc:
            _log.warning("could not check a key", extra={"key_id": identity.key_id, "error": exc.message})
        return False


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: " + name + b"\ndata: " + data + b"\n\n"
