"""Every streamed answer that this router began, and what tells it that one broke off."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from omnix_kit import subjects
from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.messaging import Messaging
from omnix_kit.senders import Senders

from omnix_router import metrics
from omnix_router.attempts import Series
from omnix_router.calling import Begun, Calling, Streamed
from omnix_router.health.state import Health
from omnix_router.orders import Answered, Order
from omnix_router.plugins.failing import is_of_plugin
from omnix_router.policies import Kind, kind_of
from omnix_router.recovery.convert import Ended, heartbeat_to_bytes, published_from_bytes
from omnix_router.recovery.opened import Bounds, OpenAnswers, Opened
from omnix_router.recovery.recovering import Recovering

_log = logging.getLogger(__name__)

_TICK = 1.0
_STALLED = 2.5
"""Seconds between two ticks in which this process itself stood still, and heard nobody."""
_LOOK_AFTER_IDLE = 10.0
"""Seconds beyond the idle limit after which an open answer is looked up: its end may have been told and not heard."""
_LOOK_AT_MOST_EVERY = 60.0
_LOOKS_AFTER_CONNECTION = 4
_LOOK_AGAIN_AFTER = 2.0
"""After a connection: senders publish again what the broker may have lost, and that takes a moment."""
_LOOKS_AT_ONCE = 16
_GIVE_UP_WITHIN = 3.0


class Answers:
    """Starts streamed answers and stays with them until they end, so that another attempt can go on with them."""

    def __init__(
        self,
        messaging: Messaging,
        calling: Calling,
        health: Health,
        recovering: Recovering,
        router_id: str,
        bounds: Bounds,
        sender_timeout: timedelta,
    ) -> None:
        self._messaging = messaging
        self._calling = calling
        self._health = health
        self._recovering = recovering
        self._router_id = router_id
        self._open = OpenAnswers(bounds)
        self._senders = Senders(sender_timeout.total_seconds())
        self._listened_since = 0.0
        """By ``Listening``: from when on nothing was missed."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, series: Series, streamed: Streamed) -> Answered[Begun]:
        """Make attempts until one has its first content."""
        opened = self._open.add(series, streamed)
        if opened is None:
            return await self._first(series, streamed, "")
        try:
            answered = await self._first(series, streamed, self._router_id)
        except BaseException:
            self._open.remove(opened)
            raise
        self._began(opened, answered)
        return answered

    async def _first(self, series: Series, streamed: Streamed, router_id: str) -> Answered[Begun]:
        answered = await series.first(self._calling.starting(streamed, router_id), self._calling.lose)
        if answered.order.beside:
            await self._recovering.name_winner(streamed, answered.order)
        return answered

    def end(self, completion_id: str) -> None:
        """Somebody ended the completion: it does not go on, whatever becomes of its attempt."""
        opened = self._open.get(completion_id)
        if opened is not None:
            opened.series.ended = True
            if opened.answered is not None and not opened.recovering:
                self._leave(opened, _cancelled())

    # What is heard.

    def on_ended(self, ended: Ended) -> None:
        opened = self._open.get(ended.completion_id)
        if opened is None:
            return
        if not opened.is_at(ended.attempt_id):
            opened.remember(ended)
        elif not opened.recovering:
            self._over(opened, ended.error, ended.count)

    def on_heartbeat(self, sender_id: str) -> None:
        self._senders.heard(sender_id, time.monotonic())

    async def connected(self) -> None:
        """For every connection: words may have been lost meanwhile, what is recorded counts."""
        await self._recovering.connected()
        now = time.monotonic()
        self._senders.listening.begin(now)
        self._listened_since = self._senders.listening.at(now)
        for opened in self._open:
            opened.look_at, opened.looks_soon = now, _LOOKS_AFTER_CONNECTION

    # What follows from it.

    def _began(self, opened: Opened, answered: Answered[Begun]) -> None:
        if opened.series.ended:
            self._leave(opened, _cancelled(), answered.order)
            return
        now = time.monotonic()
        opened.answered = answered
        opened.recovering = False
        opened.since = self._senders.listening.at(now)
        opened.look_at = now + self._look_every(opened)
        self._open.follow(opened)
        ended = opened.early.pop(answered.order.attempt_id, None)
        if ended is not None:
            self._over(opened, ended.error, ended.count)

    def _over(self, opened: Opened, error: OmnixError | None, count: int) -> None:
        """The attempt that the answer is at ended."""
        if error is None:
            self._health.ended_whole(opened.at.target)
            self._leave(opened, None)
        elif kind_of(error.reason) is Kind.FINAL or is_of_plugin(error):
            # Readers do not wait for more.
            self._leave(opened, error)
        else:
            self._broke_off(opened, error, count)

    def _broke_off(self, opened: Opened, error: OmnixError | None, count: int) -> None:
        provider = opened.at.target.provider
        metrics.BROKEN.labels(provider, "SILENT" if error is None else error.reason.value).inc()
        opened.recovering = True
        self._open.unfollow(opened)
        task = asyncio.create_task(self._recover(opened, error, count), context=opened.context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recover(self, opened: Opened, error: OmnixError | None, count: int) -> None:
        answered = None
        try:
            answered = await self._recovering.recover(opened, error, count)
        except Exception:
            _log.exception("a recovery failed by a defect", extra={"completion_id": opened.completion_id})
        if answered is None:
            self._leave(opened, error or _silent())
        else:
            self._began(opened, answered)

    def _leave(self, opened: Opened, error: OmnixError | None, order: Order | None = None) -> None:
        """The answer is over, as far as is known here."""
        self._open.remove(opened)
        if (hooked := opened.streamed.asked.hooked) is not None:
            hooked.end(error, order or (opened.at if opened.answered is not None else None))

    # What time demands.

    @asynccontextmanager
    async def kept(self, grace: timedelta) -> AsyncIterator[None]:
        """Tell readers that this router lives, and watch over senders, while inside.

        Leaving waits for recoveries under way, for the grace at most; those that take longer are given up.
        """
        tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._look_around())]
        try:
            yield
        finally:
            await self._finished(grace.total_seconds())
            for task in self._tasks:
                task.cancel()
            await self._finished(_GIVE_UP_WITHIN)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finished(self, within: float) -> None:
        """Wait until no recovery is under way, also none that began meanwhile."""
        ends = time.monotonic() + within
        while self._tasks and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)

    async def _beat(self) -> None:
        subject = subjects.sender_heartbeat(self._router_id)
        last = time.monotonic()
        while True:
            try:
                now = time.monotonic()
                if now - last > _STALLED:
                    # What others said meanwhile waits to be read.
                    self._listened_since = self._senders.listening.at(now)
                last = now
                if self._messaging.client.is_connected:
                    self._find_silent(now)
                    await self._messaging.publish(subject, heartbeat_to_bytes(self._router_id, len(self._open)))
                else:
                    self._senders.listening.end(now)
                self._senders.forget(now)
            except PlatformError as exc:
                _log.debug("no heartbeat", extra={"error": exc.message})
            except Exception:
                _log.exception("watching over answers failed")
            await asyncio.sleep(_TICK)

    def _find_silent(self, now: float) -> None:
        if not self._senders.listening.connected:
            return
        for sender_id in list(self._open.senders):
            if not self._senders.is_silent(sender_id, self._listened_since, now):
                continue
            for opened in self._open.of(sender_id):
                if self._senders.is_silent(sender_id, max(opened.since, self._listened_since), now):
                    self._broke_off(opened, None, 0)

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            if not self._messaging.client.is_connected:
                continue
            now = time.monotonic()
            due = [each for each in self._open if each.look_at <= now and _waits(each)]
            try:
                for at in range(0, len(due), _LOOKS_AT_ONCE):
                    await asyncio.gather(*map(self._look, due[at : at + _LOOKS_AT_ONCE]))
            except Exception:
                _log.exception("looking for the ends of answers failed")

    async def _look(self, opened: Opened) -> None:
        """Whether the recording knows of an end that was not heard of."""
        now, at = time.monotonic(), opened.at
        soon = opened.looks_soon > 0
        opened.looks_soon -= soon
        opened.look_at = now + (_LOOK_AGAIN_AFTER if soon else self._look_every(opened))
        try:
            recorded = await self._recovering.recording.last(opened.streamed.chunk_subject)
        except PlatformError:
            return
        if not _waits(opened) or opened.at is not at:
            return
        published = None if recorded is None else published_from_bytes(recorded.data)
        if published is not None and published.end is not None and published.attempt == at.number:
            end = published.end
            if end.error is not None and not end.may_go_on:
                self._leave(opened, end.error)
            else:
                self._over(opened, end.error, end.count)
        elif recorded is None and not soon:
            # What is not even recorded any more is long over.
            opened.unrecorded += 1
            if opened.unrecorded > 1:
                self._leave(opened, _silent())

    def _look_every(self, opened: Opened) -> float:
        idle = self._calling.idle_timeout(opened.streamed.limits).total_seconds()
        return max(idle + _LOOK_AFTER_IDLE, _LOOK_AT_MOST_EVERY)


def _waits(opened: Opened) -> bool:
    """Whether it is at an attempt that goes on, as far as is known."""
    return opened.answered is not None and not opened.recovering


def _cancelled() -> PlatformError:
    return PlatformError("The completion was cancelled.", reason=Reason.CANCELLED)


def _silent() -> PlatformError:
    return PlatformError("Nothing is known of how the answer ended.", reason=Reason.STREAM_LOST)
