"""Attempt after attempt, until one answers or the policies say to give up.

What an attempt is, the caller of :meth:`Attempts.run` knows; here is only when there is one.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.money import Price

from omnix_router import metrics
from omnix_router.catalogue.models import price_at
from omnix_router.health.admission import Admission, Entry
from omnix_router.policies import Failure, GiveUp, Kind, Limits, RetryBudget, decide, is_slow, kind_of
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
    """Makes the attempts of all completions of the process, and keeps their common retry budget.

    A completion that somebody ended between two attempts gets no further one: :meth:`end` says so.
    """

    def __init__(self, limits: Limits, admission: Admission) -> None:
        self._limits = limits
        self._admission = admission
        self._health = admission.health
        self._budget = RetryBudget()
        self._under_way: set[str] = set()
        self._ended: set[str] = set()
        metrics.BUDGET_LEFT.set_function(lambda: self._budget.left)

    def end(self, completion_id: str) -> None:
        """Make no further attempt for this completion, if it is under way here."""
        if completion_id in self._under_way:
            self._ended.add(completion_id)

    async def run(
        self, completion_id: str, plan: Plan, deadline: timedelta, speeds: Speeds, make: Callable[[Order], Awaitable[T]]
    ) -> Answered[T]:
        """Make attempts until one answers.

        :param deadline: from now; no attempt begins after it, and ``make`` is told what remains.
        :param speeds: learns how long each attempt took; one of those that answer the same kind of request.
        :raises OmnixError: the last attempt's error; that of :meth:`Admission.first` without any attempt.
        """
        self._under_way.add(completion_id)
        try:
            return await self._run(completion_id, plan, time.monotonic() + deadline.total_seconds(), speeds, make)
        finally:
            self._under_way.discard(completion_id)
            self._ended.discard(completion_id)

    async def _run(
        self, completion_id: str, plan: Plan, ends: float, speeds: Speeds, make: Callable[[Order], Awaitable[T]]
    ) -> Answered[T]:
        limits = self._limits_of(plan)
        windows = [target.context_window for target in plan.targets]
        failures: list[Failure] = []
        reports: list[Report] = []
        barred: set[int] = set()
        index, entry = 0, Entry.FREELY
        if self._health.outages:
            index, entry = await self._admission.first(plan.targets)
            if entry is Entry.NOT:
                # None may be called, and the least bad one is, once.
                barred.update(range(len(plan.targets)))
        self._budget.first_call()
        while True:
            target = plan.targets[index]
            order = Order(
                attempt_id=uuid7(),
                number=len(reports) + 1,
                target=target,
                price=None if target.entry is None else price_at(target.entry.prices, datetime.now(UTC)),
                route=target.route,
                remaining=_until(ends),
            )
            began = time.monotonic()
            called = time.time()
            try:
                answer = await make(order)
            except OmnixError as exc:
                failed = exc
                if is_slow(exc.reason):
                    ended = time.monotonic()
                    speeds.failed(target.id, ended - began, ended)
            except asyncio.CancelledError:
                metrics.ATTEMPTS.labels(target.provider, "cancelled", "").inc()
                if entry is Entry.AS_PROBE:
                    self._health.gave_up(target, time.time())
                raise
            else:
                self._health.succeeded(target, called, time.time())
                ended = time.monotonic()
                speeds.succeeded(target.id, ended - began, ended)
                metrics.succeeded(target.provider).inc()
                reports.append(Report(order.number, target.provider, target.model))
                return Answered(order, answer, tuple(reports))
            self._health.failed(target, failed, called, time.time(), probe=entry is Entry.AS_PROBE)
            self._tell(completion_id, order, failed)
            reports.append(Report(order.number, target.provider, target.model, failed.reason.value))
            failures.append(Failure(index, failed.reason, failed.retry_after))
            if target.id in self._health.outages:
                barred.add(index)
            while True:
                self._budget.rest(time.monotonic())
                step = decide(
                    failures,
                    windows,
                    remaining=_until(ends),
                    affordable=self._budget.left > 0,
                    jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
                    limits=limits,
                    barred=barred,
                )
                if isinstance(step, GiveUp):
                    if step.out_of_budget:
                        metrics.BUDGET_REFUSED.inc()
                    raise failed
                following = step.target
                await asyncio.sleep(step.pause.total_seconds())
                if completion_id in self._ended:
                    raise PlatformError("The completion was cancelled.", reason=Reason.CANCELLED) from failed
                entry = await self._admission.enter(plan.targets[following]) if self._health.outages else Entry.FREELY
                if entry is not Entry.NOT:
                    break
                barred.add(following)
            # Others may have spent it during the pause.
            if self._budget.left < 1:
                metrics.BUDGET_REFUSED.inc()
                if entry is Entry.AS_PROBE:
                    self._health.gave_up(plan.targets[following], time.time())
                raise failed
            self._budget.extra_call()
            moved = metrics.RETRIES if following == index else metrics.FAILOVERS
            moved.labels(target.provider, failed.reason.value).inc()
            index = following

    def _limits_of(self, plan: Plan) -> Limits:
        own = plan.limits.attempts
        return self._limits if own is None else Limits(attempts=own)

    def _tell(self, completion_id: str, order: Order, failed: OmnixError) -> None:
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


def _until(ends: float) -> timedelta:
    return timedelta(seconds=max(ends - time.monotonic(), 0))
