"""Shadow copies: a share of a route's requests goes to another target, too, and nobody is shown what it answers.

A copy is one attempt beside those that are made for the answer. It has no part in them: it counts for no report, no
health, no speed and no retry budget, it is made once, and whatever becomes of it the caller never knows.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from omnix_kit.errors import OmnixError, Reason
from omnix_kit.ids import uuid7

from omnix_router import fitting, metrics
from omnix_router.adapters import Adapters
from omnix_router.catalogue.models import price_at
from omnix_router.clients import AdapterClient, Asked, AskedEmbeddings, as_plugins_want
from omnix_router.convert import dimensions_of, needs_of, preferences_from_proto, wish_from_proto
from omnix_router.health.state import Gate, Health
from omnix_router.narrowing import allowed
from omnix_router.orders import Order
from omnix_router.routing import Mirror, Plan, Target

_log = logging.getLogger(__name__)

_HEAD_START = 0.01
"""Seconds that the real attempt is ahead, so that no work for a copy comes before its own."""
_NO_COPY: AbstractContextManager[None] = nullcontext()


class Skipped(StrEnum):
    """Why a copy that chance wanted was not sent."""

    UNFIT = "unfit"
    """Its target cannot do what is asked."""
    CIRCUIT = "circuit"
    """Its target's circuit is not closed; probes are for callers."""
    UNSERVED = "unserved"
    """No adapter that is there serves its target."""
    PREFERENCES = "preferences"
    """The caller wants no such provider to be called."""
    PLUGIN = "plugin"
    """A plugin refused the target, or failed."""
    ROOM = "room"
    """As many copies run as may."""
    OVER = "over"
    """The completion failed or was ended before the copy was sent."""


class _Skip(Exception):
    """This copy is not sent."""

    def __init__(self, cause: Skipped, why: str = "") -> None:
        super().__init__(why)
        self.cause = cause
        self.why = why


@dataclass(eq=False, slots=True)
class _Copy:
    """One that was begun."""

    asked: Asked | AskedEmbeddings
    plan: Plan
    mirror: Mirror
    task: "asyncio.Task[None] | None" = None
    sent: bool = False

    @property
    def told(self) -> dict[str, str]:
        """For the log."""
        return {"completion_id": self.asked.completion_id, "route": self.plan.route, "target": self.mirror.model}

    def end(self) -> None:
        if self.task is not None:
            self.task.cancel()


class Mirroring:
    """Sends the copies of this process, and ends them."""

    def __init__(
        self,
        adapters: Adapters,
        health: Health,
        at_once: int,
        deadline: timedelta,
        *,
        strict_reasoning: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """:param deadline: of one copy, unless its route has a shorter one; what its caller waits says nothing of it.
        :param chance: from 0 to below 1.
        """
        self._adapters = adapters
        self._health = health
        self._at_once = at_once
        self._deadline = deadline
        self._strict_reasoning = strict_reasoning
        self._chance = chance
        self._copies: set[_Copy] = set()
        metrics.COPIES_RUNNING.set_function(lambda: len(self._copies))

    def beside(self, asked: Asked | AskedEmbeddings, plan: Plan) -> AbstractContextManager[None]:
        """While inside, the attempts at the answer are made; if chance wants one, a copy is sent soon after.

        It may go on after the answer. It ends with a caller that leaves, and is not sent once the completion failed.
        """
        mirror = plan.mirror
        if mirror is None or not mirror.wants(self._chance()):
            return _NO_COPY
        return self._beside(_Copy(asked, plan, mirror))

    def end(self, completion_id: str) -> None:
        """Somebody ended the completion."""
        for copy in self._copies:
            if copy.asked.completion_id == completion_id:
                copy.end()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Leaving ends the copies under way: nobody waits for them, and their adapters record what they took."""
        try:
            yield
        finally:
            tasks = [copy.task for copy in self._copies if copy.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def _beside(self, copy: _Copy) -> Iterator[None]:
        if len(self._copies) >= self._at_once:
            _skipped(copy, _Skip(Skipped.ROOM))
            yield
            return
        self._copies.add(copy)
        copy.task = asyncio.create_task(self._make(copy))
        copy.task.add_done_callback(lambda task: self._done(copy, task))
        try:
            yield
        except asyncio.CancelledError:
            copy.end()
            raise
        except Exception:
            if not copy.sent:
                copy.end()
            raise

    async def _make(self, copy: _Copy) -> None:
        try:
            await asyncio.sleep(_HEAD_START)
            order, client = self._ordered(copy)
            asked = await _as_plugins_want(copy.asked, order)
        except _Skip as skip:
            _skipped(copy, skip)
            return
        except Exception:
            _log.exception("a shadow copy failed by a defect", extra=copy.told)
            return
        copy.sent = True
        await self._sent(copy, asked, order, client)

    def _done(self, copy: _Copy, task: "asyncio.Task[None]") -> None:
        self._copies.discard(copy)
        if task.cancelled() and not copy.sent:
            _skipped(copy, _Skip(Skipped.OVER))

    def _ordered(self, copy: _Copy) -> tuple[Order, AdapterClient]:
        """:raises _Skip: when it is not to be sent."""
        target = self._target(copy)
        try:
            client = self._adapters.pick(target.provider)
        except OmnixError as exc:
            raise _Skip(Skipped.UNSERVED, exc.message) from exc
        if (away := client.lacking()) is not None:
            raise _Skip(Skipped.UNSERVED, away)
        own = copy.plan.limits.deadline
        order = Order(
            attempt_id=uuid7(),
            number=1,
            target=target,
            price=None if target.entry is None else price_at(target.entry.prices, datetime.now(UTC)),
            route=target.route,
            remaining=self._deadline if own is None else min(own, self._deadline),
            shadow=True,
        )
        return order, client

    def _target(self, copy: _Copy) -> Target:
        asked, plan = copy.asked, copy.plan
        named = self._adapters.names.find(copy.mirror.model)
        if named is None:
            raise _Skip(Skipped.UNSERVED, "no adapter serves its provider")
        target = Target(named.provider, named.model, named.entry, route=plan.route)
        if not allowed([target], preferences_from_proto(asked.request)):
            raise _Skip(Skipped.PREFERENCES)
        if self._health.gate(target.id, time.time()) is not Gate.OPEN:
            raise _Skip(Skipped.CIRCUIT)
        alone = Plan((target,), plan.route)
        try:
            if isinstance(asked, AskedEmbeddings):
                fitted, _ = fitting.for_embeddings(alone, dimensions_of(asked.request))
            else:
                own = plan.limits.strict_reasoning
                strict = self._strict_reasoning if own is None else own
                # Nobody reads it as it comes, so it is not streamed.
                needs = needs_of(asked.request, streamed=False)
                fitted, _ = fitting.for_chat(alone, needs, wish_from_proto(asked.request), strict=strict)
        except fitting.NoneFits as exc:
            raise _Skip(Skipped.UNFIT, exc.message) from exc
        return fitted.targets[0]

    async def _sent(self, copy: _Copy, asked: Asked | AskedEmbeddings, order: Order, client: AdapterClient) -> None:
        provider = order.target.provider
        told: dict[str, object] = {**copy.told, "attempt_id": order.attempt_id}
        metrics.COPIES_SENT.labels(provider).inc()
        began = time.monotonic()
        try:
            if isinstance(asked, AskedEmbeddings):
                await client.embed(asked, order)
            else:
                await client.complete(asked, order)
        except asyncio.CancelledError:
            metrics.COPIES_FAILED.labels(provider, Reason.CANCELLED.value).inc()
            raise
        except OmnixError as exc:
            metrics.COPIES_FAILED.labels(provider, exc.reason.value).inc()
            told |= {"reason": exc.reason.value, "provider_status": exc.provider_status, "error": exc.message}
            _log.info("a shadow copy failed", extra=told)
        except Exception:
            metrics.COPIES_FAILED.labels(provider, Reason.INTERNAL.value).inc()
            _log.exception("a shadow copy failed by a defect", extra=told)
        else:
            seconds = time.monotonic() - began
            metrics.COPY_SECONDS.labels(provider).observe(seconds)
            _log.debug("a shadow copy was answered", extra={**told, "seconds": round(seconds, 3)})


async def _as_plugins_want(asked: Asked | AskedEmbeddings, order: Order) -> Asked | AskedEmbeddings:
    """:raises _Skip: when it must not go to this target."""
    if isinstance(asked, AskedEmbeddings):
        return asked
    try:
        return await as_plugins_want(asked, order)
    except OmnixError as exc:
        raise _Skip(Skipped.PLUGIN, exc.message) from exc


def _skipped(copy: _Copy, skip: _Skip) -> None:
    metrics.COPIES_SKIPPED.labels(skip.cause.value).inc()
    _log.debug("a shadow copy was not sent", extra={**copy.told, "cause": skip.cause.value, "why": skip.why})
