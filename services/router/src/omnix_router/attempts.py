"""Attempt after attempt, until one answers or the policies say to give up.

What an attempt is, the caller of :class:`Series` knows; here is only when there is one.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.ids import uuid7

from omnix_router import metrics
from omnix_router.catalogue.models import price_at
from omnix_router.errors import PrefixRefused, too_late
from omnix_router.health.admission import Admission, Entry
from omnix_router.orders import Answered, Lose, Make, Making, Order, Report, T
from omnix_router.plugins.failing import TargetRefused, is_of_plugin, spares_target
from omnix_router.policies import Failure, GiveUp, Kind, Limits, RetryBudget, Try, decide, is_slow, kind_of
from omnix_router.routing import Plan
from omnix_router.speeds import Speeds

_log = logging.getLogger(__name__)


class Attempts:
    """What the attempts of all completions of the process share: limits, health, and one retry budget.

    A completion that somebody ended between two attempts gets no further one: :meth:`end` says so.
    """

    def __init__(self, limits: Limits, admission: Admission, is_reachable: Callable[[str], bool]) -> None:
        """:param is_reachable: whether an attempt at this provider could be sent at once."""
        self.limits = limits
        self.admission = admission
        self.is_reachable = is_reachable
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
        "_hedge_after",
        "_index",
        "_limits",
        "_lost",
        "_made",
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
        self._hedge_after = plan.limits.hedge_after
        self._made = 0
        self._lost = 0
        """Attempts that neither answered nor failed, because another one was quicker."""
        self._index = 0
        self._entry = Entry.FREELY

    async def first(self, make: Make[T], lose: Lose[T] | None = None) -> Answered[T]:
        """Make attempts until one answers.

        :param lose: with it a second attempt may be made beside the first, where the route says so.
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
            if self._hedge_after is not None and lose is not None and len(self.targets) > 1:
                return await self._hedged(make, lose, self._hedge_after)
            return await self._until_answered(make)
        finally:
            under_way.pop(self.completion_id, None)

    async def after(self, broken: OmnixError, make: Make[T], until: float) -> Answered[T]:
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

    async def _until_answered(self, make: Make[T]) -> Answered[T]:
        while True:
            making = self._begin(self._index, self._entry)
            try:
                answer = await make(making.order)
            except OmnixError as exc:
                failed = exc
            except asyncio.CancelledError:
                self._given_up(making)
                raise
            else:
                return self._answered(making, answer)
            self._failed(making, failed)
            await self._move_on(failed)

    async def _hedged(self, make: Make[T], lose: Lose[T], after: timedelta) -> Answered[T]:
        """The first attempt; when it takes longer than ``after``, a second one beside it; then on as usual."""
        making = self._begin(self._index, self._entry, hedged=True)
        first = asyncio.ensure_future(make(making.order))
        racing = {first: making}
        failed: OmnixError = too_late()
        try:
            await asyncio.wait(racing, timeout=after.total_seconds())
            if not first.done() and (beside := await self._beside()) is not None:
                racing[asyncio.ensure_future(make(beside.order))] = beside
            while racing:
                done, _ = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
                task = next(each for each in racing if each in done)
                making = racing.pop(task)
                error = task.exception()
                if isinstance(error, OmnixError):
                    failed = error
                    self._failed(making, failed)
                    if racing and (spares_target(failed) or kind_of(failed.reason) is not Kind.FINAL):
                        continue
                for loser, other in list(racing.items()):
                    del racing[loser]
                    self._outrun(other)
                    lose(self.completion_id, other.order, loser)
                if not isinstance(error, OmnixError):
                    if task is not first:
                        metrics.HEDGES_WON.labels(self.targets[self._index].provider).inc()
                    return self._answered(making, task.result())
        finally:
            for task, making in racing.items():
                task.cancel()
                self._given_up(making)
            if racing:
                await asyncio.gather(*racing, return_exceptions=True)
        await self._move_on(failed)
        return await self._until_answered(make)

    async def _beside(self) -> Making | None:
        """An attempt at the next target, if there is one and the process may make it."""
        attempts = self._attempts
        attempts.budget.rest(time.monotonic())
        if self._limits.attempts < 2 or self._remaining() <= timedelta(0):
            return None
        for index in range(len(self.targets)):
            if index == self._index or index in self._barred:
                continue
            if attempts.budget.left < 1:
                metrics.BUDGET_REFUSED.inc()
                return None
            target = self.targets[index]
            entry = await attempts.admission.enter(target) if attempts.health.outages else Entry.FREELY
            if entry is not Entry.NOT:
                attempts.budget.extra_call()
                metrics.HEDGES.labels(self.targets[self._index].provider).inc()
                return self._begin(index, entry, hedged=True, beside=self._made)
            self._barred.add(index)
        return None

    def _begin(self, index: int, entry: Entry, *, hedged: bool = False, beside: int = 0) -> Making:
        target = self.targets[index]
        self._made += 1
        order = Order(
            attempt_id=uuid7(),
            number=self._made,
            target=target,
            price=None if target.entry is None else price_at(target.entry.prices, datetime.now(UTC)),
            route=target.route,
            remaining=self._remaining(),
            hedged=hedged,
            beside=beside,
        )
        return Making(order, index, entry, time.monotonic(), time.time())

    def _remaining(self) -> timedelta:
        return timedelta(seconds=max(self._ends - time.monotonic(), 0))

    def _answered(self, making: Making, answer: T) -> Answered[T]:
        order = making.order
        target = order.target
        self._attempts.health.succeeded(target, making.called, time.time())
        if self._speeds is not None:
            ended = time.monotonic()
            self._speeds.succeeded(target.id, ended - making.began, ended)
        self._index, self._called = making.index, making.called
        metrics.succeeded(target.provider).inc()
        self._reports.append(Report(order.number, target.provider, target.model))
        return Answered(order, answer, tuple(self._reports))

    def _failed(self, making: Making, failed: OmnixError) -> None:
        order = making.order
        target = order.target
        probe, spared = making.entry is Entry.AS_PROBE, spares_target(failed)
        if self._speeds is not None and is_slow(failed.reason) and not spared:
            ended = time.monotonic()
            self._speeds.failed(target.id, ended - making.began, ended)
        if not spared:
            self._attempts.health.failed(target, failed, making.called, time.time(), probe=probe)
        elif probe:
            self._attempts.health.gave_up(target, time.time())
        _tell(self.completion_id, order, failed)
        self._reports.append(Report(order.number, target.provider, target.model, failed.reason.value))
        self._index = making.index
        self._note(failed)

    def _given_up(self, making: Making) -> None:
        """Nobody waits for it any longer."""
        target = making.order.target
        metrics.ATTEMPTS.labels(target.provider, "cancelled", "").inc()
        if making.entry is Entry.AS_PROBE:
            self._attempts.health.gave_up(target, time.time())

    def _outrun(self, making: Making) -> None:
        """Another attempt answered first."""
        order = making.order
        target = order.target
        self._given_up(making)
        self._lost += 1
        if self._speeds is not None:
            now = time.monotonic()
            # It would have taken longer.
            self._speeds.succeeded(target.id, now - making.began, now)
        self._reports.append(Report(order.number, target.provider, target.model, Reason.CANCELLED.value))

    def _broke_off(self, broken: OmnixError) -> None:
        target = self.targets[self._index]
        self._attempts.health.failed(target, broken, self._called, time.time(), broke_off=True)
        self._reports[-1] = replace(self._reports[-1], error_reason=broken.reason.value)
        self._note(broken)

    def _note(self, failed: OmnixError) -> None:
        refused_prefix = isinstance(failed, PrefixRefused)
        by_plugin = Kind.FINAL if is_of_plugin(failed) else None
        if isinstance(failed, TargetRefused):
            by_plugin = Kind.ELSEWHERE
        self._failures.append(Failure(self._index, failed.reason, failed.retry_after, refused_prefix, by_plugin))
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
        step = self._decided(self._barred)
        if isinstance(step, GiveUp) or self._attempts.is_reachable(self.targets[step.target].provider):
            return step
        # Its adapter is away, and will hardly be back by then.
        elsewhere = self._decided(self._barred | {step.target})
        return step if isinstance(elsewhere, GiveUp) else elsewhere

    def _decided(self, barred: Set[int]) -> Try | GiveUp:
        budget = self._attempts.budget
        budget.rest(time.monotonic())
        return decide(
            self._failures,
            [target.context_window for target in self.targets],
            remaining=self._remaining(),
            affordable=budget.left > 0,
            jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
            limits=self._limits.less(self._lost),
            barred=barred,
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
