"""Adding rollups up to answers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from omnix_store import Document

from omnix_analytics import metrics
from omnix_analytics.cells import Cell
from omnix_analytics.errors import invalid, store_errors
from omnix_analytics.keeping import Keeping
from omnix_analytics.questions import Answer, Dimension, Filter, Group, Plan, plan
from omnix_analytics.rebuilding import Rebuilds
from omnix_analytics.repository import Repository
from omnix_analytics.rollups import cell_from_text, rows_from_text
from omnix_analytics.spans import DAY, EPOCH, MINUTE, Resolution, Span, coarsest, cover, floor

_MAX_BUCKETS: Final = 5_000
_MAX_ROLLUPS: Final = 200_000
"""Rollups that one answer is added up from."""
_MAX_BUCKET: Final = timedelta(days=366)
_USUAL_TOP: Final = 10
_MAX_SERIES: Final = 100
_MAX_GROUPS: Final = 1000


class Answering:
    def __init__(
        self, repository: Repository, rebuilds: Rebuilds, keeping: Keeping, clock: Callable[[], datetime]
    ) -> None:
        self._repository = repository
        self._rebuilds = rebuilds
        self._keeping = keeping
        self._clock = clock

    async def series(self, wanted: Filter, bucket: timedelta, group_by: Dimension | None, top: int) -> Answer:
        _check(wanted)
        if bucket % MINUTE or not MINUTE <= bucket <= _MAX_BUCKET:
            raise invalid("bucket", "bucket must be whole minutes, from 1 minute to 366 days.")
        span = wanted.span.widened(bucket)
        if (span.end - span.start) // bucket > _MAX_BUCKETS:
            raise invalid("bucket", f"The span has more than {_MAX_BUCKETS} buckets; ask for longer ones.")
        resolution = coarsest(bucket)
        sums = _Sums(plan(wanted, group_by), bucket)
        with metrics.QUERY.labels("series").time(), store_errors():
            await self._add_up(sums, wanted.tenant_id, [(resolution, span)])
            groups = sums.groups(_top(top, _MAX_SERIES))
            return await self._answer(wanted, groups, span, self._keeping.kept(self._clock())[resolution])

    async def totals(self, wanted: Filter, group_by: Dimension | None, top: int) -> Answer:
        """Groups have one point each."""
        _check(wanted)
        kept = self._keeping.kept(self._clock())
        span, parts = cover(wanted.span, kept)
        sums = _Sums(plan(wanted, group_by), None)
        with metrics.QUERY.labels("totals").time(), store_errors():
            await self._add_up(sums, wanted.tenant_id, parts)
            return await self._answer(wanted, sums.groups(_top(top, _MAX_GROUPS)), span, kept[Resolution.DAY])

    async def _add_up(self, sums: "_Sums", tenant_id: str, parts: Sequence[tuple[Resolution, Span]]) -> None:
        read = 0
        for resolution, span in parts:
            async for page in self._repository.rollups(tenant_id, resolution, sums.plan.view, sums.plan.value, span):
                read += len(page)
                if read > _MAX_ROLLUPS:
                    raise invalid("filter", "There is too much to add up; ask for less time or filter.")
                # In a thread, so that other calls are answered meanwhile.
                await asyncio.to_thread(sums.add, page)
        metrics.READ.observe(read)

    async def _answer(self, wanted: Filter, groups: list[Group], span: Span, kept_from: datetime) -> Answer:
        latest = await self._rebuilds.latest(wanted.tenant_id)
        return Answer(
            groups=groups,
            span=span,
            kept_from=kept_from if span.start < kept_from else None,
            rebuilding=latest is not None and latest.concerns(floor(span.start, DAY), span.end),
        )


class _Sums:
    """Cells by group and bucket; without a bucket, all of a group in one."""

    def __init__(self, plan: Plan, bucket: timedelta | None) -> None:
        self.plan = plan
        self._bucket = bucket
        self._cells: dict[str, dict[datetime, Cell]] = {}
        self._attempts: dict[str, int] = {}

    def add(self, page: Iterable[Document]) -> None:
        for rollup in page:
            value: str = rollup["value"]
            at = EPOCH if self._bucket is None else floor(rollup["start"], self._bucket)
            if self.plan.is_whole:
                self._add("" if self.plan.group_by is None else value, at, cell_from_text(rollup["sum"]))
                continue
            for row in rows_from_text(rollup["rows"]):
                if self.plan.takes(value, row):
                    self._add(self.plan.group(value, row), at, row.cell)

    def _add(self, group: str, at: datetime, cell: Cell) -> None:
        if not cell.attempts:
            return
        points = self._cells.setdefault(group, {})
        self._attempts[group] = self._attempts.get(group, 0) + cell.attempts
        if at in points:
            points[at].merge(cell)
        else:
            points[at] = cell

    def groups(self, top: int) -> list[Group]:
        names = sorted(self._cells, key=lambda name: (-self._attempts[name], name))
        groups = [Group(name, False, self._cells[name]) for name in names[:top]]
        if len(names) > top:
            rest: dict[datetime, Cell] = {}
            for name in names[top:]:
                for at, cell in self._cells[name].items():
                    rest.setdefault(at, Cell()).merge(cell)
            groups.append(Group("", True, rest))
        return groups


def _check(wanted: Filter) -> None:
    if not wanted.tenant_id:
        raise invalid("filter.tenant_id", "filter.tenant_id is missing.")
    if wanted.span.end <= wanted.span.start:
        raise invalid("filter.end_time", "filter.end_time must be later than filter.start_time.")


def _top(top: int, most: int) -> int:
    if not 0 <= top <= most:
        raise invalid("top", f"top must be 1 to {most}, or 0 for {_USUAL_TOP}.")
    return top or _USUAL_TOP
