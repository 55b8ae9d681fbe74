"""What the ledger says of a subject's cost in a span of whole days."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from omnix_usage_metering.quotas.limits import Limit, Subject, matches

_CURRENCY: Final = "USD"
_DAY: Final = timedelta(days=1)
_PRESENT_FOR: Final = 1.0
_PAST_FOR: Final = 600.0
"""Seconds. Attempts of former days change seldom: late events, and counts that were estimated before."""
_SHARE: Final = 20
"""Reading takes no more than one part in so many of the time."""
_REMEMBERED: Final = 10_000


class ModelCost(Protocol):
    """The cost of one model in one currency."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def cost_micros(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose attempts, begun from when until before when."""

    tenant_id: str
    subject: Subject
    subject_id: str
    start_time: datetime
    end_time: datetime


Read = Callable[[Scope], Awaitable[Sequence[ModelCost]]]


@dataclass(frozen=True, slots=True)
class _Known:
    costs: Sequence[ModelCost]
    until: float


class Spending:
    """Adds up what is spent, day by day: of a month, only the present day is read often."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: OrderedDict[Scope, _Known] = OrderedDict()
        self._reading: dict[Scope, asyncio.Task[Sequence[ModelCost]]] = {}

    async def cost(self, limit: Limit, subject_id: str, start: datetime, now: datetime) -> int:
        """Millionths of a US dollar since ``start``, a midnight, whatever was spent for: answers, copies, hedges."""
        total = 0
        day = start
        while day <= now:
            scope = Scope(limit.tenant_id, limit.subject, subject_id, day, day + _DAY)
            for each in await self._of(scope, is_past=day + _DAY <= now):
                if each.currency == _CURRENCY and matches(limit.model_pattern, f"{each.provider}/{each.model}"):
                    total += each.cost_micros
            day += _DAY
        return total

    async def _of(self, scope: Scope, *, is_past: bool) -> Sequence[ModelCost]:
        known = self._known.get(scope)
        if known is not None and known.until > time.monotonic():
            return known.costs
        task = self._reading.get(scope)
        if task is None:
            task = asyncio.create_task(self._look(scope, _PAST_FOR if is_past else _PRESENT_FOR))
            self._reading[scope] = task
            task.add_done_callback(lambda _: self._reading.pop(scope, None))
        return await asyncio.shield(task)

    async def _look(self, scope: Scope, lasts: float) -> Sequence[ModelCost]:
        began = time.monotonic()
        costs = await self._read(scope)
        took = time.monotonic() - began
        self._known[scope] = _Known(costs, time.monotonic() + max(lasts, _SHARE * took))
        self._known.move_to_end(scope)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return costs
