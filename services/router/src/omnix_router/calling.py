"""One attempt: which adapter makes it, how long it may take, and that it is ended when it is given up."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from omnix_kit import telemetry
from omnix_kit.errors import OmnixError, Reason

from omnix_router import metrics
from omnix_router.adapters import Adapters
from omnix_router.clients import AdapterClient, Asked, AskedEmbeddings, Completed, Embedded, Started, as_plugins_want
from omnix_router.errors import may_run_on, silent, too_late
from omnix_router.health.state import Health
from omnix_router.orders import Order, T
from omnix_router.patience import Patience
from omnix_router.reasoning import Wish
from omnix_router.recovery.delivered import Continuation, Way
from omnix_router.routing import RouteLimits
from omnix_router.tracing import attempt_span

_log = logging.getLogger(__name__)

_SLACK = timedelta(seconds=1)
"""The adapter ends a silent attempt itself; so much later the router no longer waits for it to say so."""
_MAX_ENDINGS = 4096
_LOSES_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """What every attempt of one streamed completion is made of."""

    asked: Asked
    chunk_subject: str
    wish: Wish
    limits: RouteLimits
    traces: dict[int, telemetry.Trace | None] = field(default_factory=dict)
    """Of its attempts, where traces are recorded: those that follow another one, or run beside it, are linked to it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that had its first content."""

    started: Started
    client: AdapterClient
    """Where it runs."""


class Calling:
    """Makes single attempts."""

    def __init__(self, adapters: Adapters, health: Health, patience: Patience, idle_timeout: timedelta) -> None:
        self._adapters = adapters
        self._health = health
        self._patience = patience
        self._idle_timeout = idle_timeout
        self._endings: set[asyncio.Task[None]] = set()

    def idle_timeout(self, limits: RouteLimits) -> timedelta:
        return limits.idle_timeout or self._idle_timeout

    async def complete(self, asked: Asked, order: Order) -> Completed:
        """Have the whole answer made. Cancelling ends the call, which ends the vendor's."""
        if not telemetry.recording():
            return await self._complete(asked, order)
        with attempt_span(asked.completion_id, order):
            return await self._complete(asked, order)

    async def _complete(self, asked: Asked, order: Order) -> Completed:
        try:
            client = self._adapters.pick(order.target.provider)
            return await client.complete(await as_plugins_want(asked, order), order)
        except OmnixError as exc:
            if exc.reason is Reason.DEADLINE_EXCEEDED:
                raise too_late() from exc
            raise

    async def embed(self, asked: AskedEmbeddings, order: Order) -> Embedded:
        """Have the embeddings made. Cancelling ends the call, which ends the vendor's."""
        if not telemetry.recording():
            return await self._embed(asked, order)
        with attempt_span(asked.completion_id, order):
            return await self._embed(asked, order)

    async def _embed(self, asked: AskedEmbeddings, order: Order) -> Embedded:
        try:
            return await self._adapters.pick(order.target.provider).embed(asked, order)
        except OmnixError as exc:
            if exc.reason is Reason.DEADLINE_EXCEEDED:
                raise too_late() from exc
            raise

    def starting(self, streamed: Streamed, router_id: str) -> Callable[[Order], Awaitable[Begun]]:
        """How the first attempts of one streamed completion are made.

        :param router_id: who hears how they end; empty for nobody.
        """

        async def start(order: Order) -> Begun:
            began = time.perf_counter()
            begun = await self.start(streamed, order, router_id)
            seconds = time.perf_counter() - began
            metrics.first_content(order.target.provider).observe(seconds)
            self._health.first_content(order.target, seconds, time.time())
            return begun

        return start

    async def start(
        self, streamed: Streamed, order: Order, router_id: str, continuation: Continuation | None = None
    ) -> Begun:
        """Make one attempt. Once it had its first content it goes on without the call."""
        if not telemetry.recording():
            return await self._start(streamed, order, router_id, continuation)
        with attempt_span(streamed.asked.completion_id, order, streamed.traces, continuation) as span:
            streamed.traces[order.number] = span.trace
            return await self._start(streamed, order, router_id, continuation)

    async def _start(
        self, streamed: Streamed, order: Order, router_id: str, continuation: Continuation | None
    ) -> Begun:
        completion_id, limits, target = streamed.asked.completion_id, streamed.limits, order.target
        patience = self._patience.until_first_content(streamed.wish, target, limits)
        # What the caller has is said again before anything new comes; meanwhile the adapter watches for silence.
        repeats = continuation is not None and continuation.way is Way.RESTART
        # So it does where plugins may hold back what comes.
        hooked = streamed.asked.hooked
        waits = repeats or (hooked is not None and hooked.looks_at_answers)
        timeout = order.remaining if waits else min(patience + _SLACK, order.remaining)
        client = self._adapters.pick(target.provider)
        asked = await as_plugins_want(streamed.asked, order)
        try:
            started = await client.start(
                asked,
                order,
                chunk_subject=streamed.chunk_subject,
                first_content_timeout=patience,
                idle_timeout=self.idle_timeout(limits),
                router_id=router_id,
                continuation=continuation,
                timeout=timeout,
            )
        except asyncio.CancelledError:
            self.end(client, completion_id, order, "caller left")
            raise
        except OmnixError as exc:
            if may_run_on(exc):
                self.end(client, completion_id, order, "attempt given up")
            if exc.reason is Reason.DEADLINE_EXCEEDED:
                hurried = timeout == order.remaining
                raise (too_late() if hurried else silent(target.provider, patience)) from exc
            raise
        return Begun(started, client)

    def end(self, client: AdapterClient, completion_id: str, order: Order, cause: str) -> None:
        """Tell the adapter, without waiting for it: the next attempt must not lose time, and it may be dead."""
        if len(self._endings) >= _MAX_ENDINGS:
            _log.error("too many attempts are being ended at once; one is left alone")
            return
        metrics.ABANDONED.labels(order.target.provider).inc()
        task = asyncio.create_task(self._tell_end(client, completion_id, order.attempt_id, cause))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _tell_end(self, client: AdapterClient, completion_id: str, attempt_id: str, cause: str) -> None:
        try:
            await client.cancel(completion_id, attempt_id, cause)
        except OmnixError as exc:
            _log.warning(
                "an attempt could not be ended",
                extra={"attempt_id": attempt_id, "address": client.address, "error": exc.message},
            )

    def lose(self, completion_id: str, order: Order, task: asyncio.Future[T]) -> None:
        """Another attempt answered first: end this one without waiting for it."""
        if len(self._endings) >= _MAX_ENDINGS:
            task.cancel()
            return
        ending = asyncio.create_task(self._tell_lost(completion_id, order, task))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _tell_lost(self, completion_id: str, order: Order, task: asyncio.Future[T]) -> None:
        """Its usage is recorded as what it was, so its adapter is told before the call is closed."""
        try:
            for client in self._adapters.serving(order.target.provider):
                if await client.cancel(completion_id, order.attempt_id, "another attempt was quicker", hedge=True):
                    await asyncio.wait([task], timeout=_LOSES_WITHIN)
                    break
        except OmnixError as exc:
            _log.warning("an attempt could not be ended", extra={"attempt_id": order.attempt_id, "error": exc.message})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def finishing(self) -> AsyncIterator[None]:
        """Leaving waits until every adapter was told; each of these calls has a short deadline."""
        yield
        await asyncio.gather(*self._endings, return_exceptions=True)
