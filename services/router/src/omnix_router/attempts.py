"""Attempt after attempt, until one answers or the policies say to give up.

What an attempt is, the caller of :class:`Series` knows; here is only when there is one.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.money import Price

from omnix_router import metrics
from omnix_router.catalogue.models import price_at
from omnix_router.errors import PrefixRefused
from omnix_router.health.admission import Admission, Entry
from omnix_router.policies import Failure, GiveUp, Kind, Limits, RetryBudget, Try, decide, is_slow, kind_of
from omnix_router.routing import Plan, Target
from omnix_router.speeds import Speeds

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to be made."""

    attempt_id: str
    number: int
    """From 1."""
    target: Target
    price: Price | None
    route: str
    remaining: timedelta
    """Until the caller's deadline."""


@dataclass(frozen=True, slots=True)
class Report:
    """How one attempt went."""

    number: int
    provider: str
    model: str
    error_reason: str = ""


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """The attempt that answered, its answer, and every attempt up to it."""

    order: Order
    answer: T
    reports: tuple[Report, ...]


class Attempts:
    """What the attempts of all completions of the process share: limits, health, and one retry budget.

    A completion that somebody ended between two attempts gets no further one: :meth:`end` says so.
    """

    def __init__(self, limits: Limits, admission: Admission) -> None:
        self.limits = limits
        self.admission = admission
        self.health = admission.health
        self.budget = RetryBudget()
        self.under_way: dict[str, Series] = {}
        """Those that make attempts now, by completion."""
        metrics.BUDGET_LEFT.set_function(lambda: self.budget.left)

    def end(self, completion_id: str) -> None:
        """Make no further attempt for this completion, if it is under way here."""
        if (series := self.under_way.get(completion_id)) is not None:
            series.ended = True

    def begin(self, completion_id: str, plan: Plan, deadline: timedelta, speeds: Speeds) -> "Series":
        """A completion without any attempt so far.

        :param deadline: from now; no attempt begins after it, and each is told what remains.
        :param speeds: learns how long each attempt took; one of those that answer the same kind of request.
        """
        return Series(self, completion_id, plan, time.monotonic() + deadline.total_seconds(), speeds)


class Series:
    """The attempts of one completion: how those went that were made, and which one is next.

    It can be asked for further ones after an attempt answered; what was counted counts on.
    """

    __slots__ = (
        "_attempts",
        "_barred",
        "_called",
        "_deadline",
        "_ends",
        "_entry",
        "_failures",
        "_index",
        "_limits",
        "_reports",
        "_speeds",
        "completion_id",
        "ended",
        "targets",
    )

    def __init__(self, attempts: Attempts, completion_id: str, plan: Plan, ends: float, speeds: Speeds) -> None:
        own = plan.limits.attempts
        self.completion_id = completion_id
        self.targets = plan.targets
        self.ended = False
        """Somebody wants no further attempt."""
        self._attempts = attempts
        self._limits = attempts.limits if own is None else Limits(attempts=own)
        self._deadline = self._ends = ends
        self._speeds: Speeds | None = speeds
        self._called = 0.0
        self._failures: list[Failure] = []
        self._reports: list[Report] = []
        self._barred: set[int] = set()
        self._index = 0
        self._entry = Entry.FREELY

    async def first(self, make: Callable[[Order], Awaitable[T]]) -> Answered[T]:
        """Make attempts until one answers.

        :raises OmnixError: the last attempt's error; that of :meth:`Admission.first` without any attempt.
        """
        under_way = self._attempts.under_way
        under_way[self.completion_id] = self
        try:
            if self._attempts.health.outages:
                self._index, self._entry = await self._attempts.admission.first(self.targets)
                if self._entry is Entry.NOT:
                    # None may be called, and the least bad one is, once.
                    self._barred.update(range(len(self.targets)))
            self._attempts.budget.first_call()
            return await self._until_answered(make)
        finally:
            under_way.pop(self.completion_id, None)

    async def after(self, broken: OmnixError, make: Callable[[Order], Awaitable[T]], until: float) -> Answered[T]:
        """The attempt that answered broke off: make further ones until one answers.

        :param until: on the monotonic clock, when even the deadline is later.
        :raises OmnixError: the last attempt's error; ``broken`` without any further attempt.
        """
        self._ends = min(self._deadline, until)
        self._speeds = None  # how long they take depends on how much was said already
        under_way = self._attempts.under_way
        under_way[self.completion_id] = self
        try:
            self._broke_off(broken)
            await self._move_on(broken)
            return await self._until_answered(make)
        finally:
            under_way.pop(self.completion_id, None)

    async def _until_answered(self, make: Callable[[Order], Awaitable[T]]) -> Answered[T]:
        while True:
            order = self._order()
            began, called = time.monotonic(), time.time()
            try:
                answer = await make(order)
            except OmnixError as exc:
                failed = exc
            except asyncio.CancelledError:
                metrics.ATTEMPTS.labels(order.target.provider, "cancelled", "").inc()
                self._give_back_probe()
                raise
            else:
                self._succeeded(order, began, called)
                return Answered(order, answer, tuple(self._reports))
            self._failed(order, failed, began, called)
            await self._move_on(failed)

    def _order(self) -> Order:
        target = self.targets[self._index]
        return Order(
            attempt_id=uuid7(),
            number=len(self._reports) + 1,
            target=target,
            price=None if target.entry is None else price_at(target.entry.prices, datetime.now(UTC)),
            route=target.route,
            remaining=self._remaining(),
        )

    def _remaining(self) -> timedelta:
        return timedelta(seconds=max(self._ends - time.monotonic(), 0))

    def _succeeded(self, order: Order, began: float, called: float) -> None:
        target = order.target
        self._attempts.health.succeeded(target, called, time.time())
        if self._speeds is not None:
            ended = time.monotonic()
            self._speeds.succeeded(target.id, ended - began, ended)
        self._called = called
        metrics.succeeded(target.provider).inc()
        self._reports.append(Report(order.number, target.provider, target.model))

    def _failed(self, order: Order, failed: OmnixError, began: float, called: float) -> None:
        target, health = order.target, self._attempts.health
        if self._speeds is not None and is_slow(failed.reason):
            ended = time.monotonic()
            self._speeds.failed(target.id, ended - began, ended)
        health.failed(target, failed, called, time.time(), probe=self._entry is Entry.AS_PROBE)
        _tell(self.completion_id, order, failed)
        self._reports.append(Report(order.number, target.provider, target.model, failed.reason.value))
        self._note(failed)

    def _broke_off(self, broken: OmnixError) -> None:
        target = self.targets[self._index]
        self._attempts.health.failed(target, broken, self._called, time.time(), broke_off=True)
        self._reports[-1] = replace(self._reports[-1], error_reason=broken.reason.value)
        self._note(broken)

    def _note(self, failed: OmnixError) -> None:
        refused_prefix = isinstance(failed, PrefixRefused)
        self._failures.append(Failure(self._index, failed.reason, failed.retry_after, refused_prefix))
        if self.targets[self._index].id in self._attempts.health.outages:
            self._barred.add(self._index)

    async def _move_on(self, failed: OmnixError) -> None:
        """Wait until the next attempt may be made, and choose its target.

        :raises OmnixError: ``failed`` when there is none; ``CANCELLED`` when the completion was ended meanwhile.
        """
        attempts = self._attempts
        while True:
            step = self._step()
            if isinstance(step, GiveUp):
                if step.out_of_budget:
                    metrics.BUDGET_REFUSED.inc()
                raise failed
            await asyncio.sleep(step.pause.total_seconds())
            if self.ended:
                raise PlatformError("The completion was cancelled.", reason=Reason.CANCELLED) from failed
            target = self.targets[step.target]
            self._entry = await attempts.admission.enter(target) if attempts.health.outages else Entry.FREELY
            if self._entry is not Entry.NOT:
                break
            self._barred.add(step.target)
        moved = metrics.RETRIES if step.target == self._index else metrics.FAILOVERS
        provider, self._index = self.targets[self._index].provider, step.target
        # Others may have spent it during the pause.
        if attempts.budget.left < 1:
            metrics.BUDGET_REFUSED.inc()
            self._give_back_probe()
            raise failed
        attempts.budget.extra_call()
        moved.labels(provider, failed.reason.value).inc()

    def _step(self) -> Try | GiveUp:
        budget = self._attempts.budget
        budget.rest(time.monotonic())
        return decide(
            self._failures,
            [target.context_window for target in self.targets],
            remaining=self._remaining(),
            affordable=budget.left > 0,
            jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
            limits=self._limits,
            barred=self._barred,
        )

    def _give_back_probe(self) -> None:
        if self._entry is Entry.AS_PROBE:
            self._attempts.health.gave_up(self.targets[self._index], time.time())


def _tell(completion_id: str, order: Order, failed: OmnixError) -> None:
    target, reason = order.target, failed.reason.value
    metrics.ATTEMPTS.labels(target.provider, "failed", reason).inc()
    told = {
        "completion_id": completion_id,
        "attempt_id": order.attempt_id,
        "attempt": order.number,
        "target": target.id,
        "reason": reason,
        "provider_status": failed.provider_status,
    }
    if kind_of(failed.reason) is Kind.CREDENTIAL:
        metrics.CREDENTIALS_FAILED.labels(target.provider, reason).inc()
        _log.error("the provider refuses the operator's credential or account", extra=told)
    else:
        _log.info("attempt failed", extra=told)
