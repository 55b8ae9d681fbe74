"""Keeps slices filled: one call for all limits in use, about once a second, and sooner where more is needed."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from omnix_kit.errors import OmnixError

from omnix_gateway import metrics
from omnix_gateway.limits.slices import Ask, Grant, Slice

_log = logging.getLogger(__name__)

_TICK: Final = 1.0
_FLOOR: Final = 0.01
"""Seconds between two calls."""
_AT_ONCE: Final = 500
_AWAY_FOR: Final = 3.0
"""Longer than it takes to try again, so that no request waits while usage-metering is away."""


class Lender(Protocol):
    async def lease(self, asks: Sequence[tuple[Slice, Ask]]) -> list[Grant]:
        """:raises OmnixError: when usage-metering is away."""


class Leases:
    """``gone`` is told of slices whose limit changed or is no longer."""

    def __init__(self, lender: Lender, gone: Callable[[Slice], None], ticked: Callable[[], None]) -> None:
        self._lender = lender
        self._gone = gone
        self._ticked = ticked
        self._active: set[Slice] = set()
        self._wake = asyncio.Event()
        self._next: asyncio.Future[None] | None = None
        self._away_until = 0.0
        self.answered_at = 0.0
        """When usage-metering answered last."""

    def use(self, slice: Slice) -> None:
        """Something was taken of it."""
        if slice not in self._active:
            self._active.add(slice)
            if len(self._active) == 1:
                self._wake.set()
        now = time.monotonic()
        if now >= self._away_until and slice.is_low(now):
            self._wake.set()

    @property
    def is_away(self) -> bool:
        """Whether usage-metering did not answer a moment ago."""
        return time.monotonic() < self._away_until

    async def more(self, slice: Slice, amount: int, within: float) -> None:
        """Ask for so much, and wait for the answer; it may be that there is none by then."""
        slice.needs(amount)
        self._active.add(slice)
        self._wake.set()
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._next], timeout=within)

    async def run(self) -> None:
        """Until it is cancelled."""
        due = 0.0
        while True:
            with suppress(TimeoutError):
                if not self._wake.is_set():
                    async with asyncio.timeout(_TICK if self._active else None):
                        await self._wake.wait()
            self._wake.clear()
            try:
                await self._round()
                if time.monotonic() >= due:
                    due = time.monotonic() + _TICK
                    self._ticked()
            except Exception:
                _log.exception("leasing failed by a defect")
                await asyncio.sleep(_TICK)
            await asyncio.sleep(_FLOOR)

    async def _round(self) -> None:
        answered, self._next = self._next, None
        try:
            active = [slice for slice in self._active if not slice.is_idle()]
            self._active.intersection_update(active)
            for first in range(0, len(active), _AT_ONCE):
                await self._ask(active[first : first + _AT_ONCE])
        finally:
            if answered is not None and not answered.done():
                answered.set_result(None)

    async def _ask(self, slices: Sequence[Slice]) -> None:
        asks = [(slice, slice.ask()) for slice in slices]
        began = time.monotonic()
        try:
            grants = await self._lender.lease(asks)
        except OmnixError as exc:
            if not self.is_away:
                _log.warning("limits cannot be leased", extra={"error": exc.message})
            metrics.LEASES.labels("failed").inc()
            self._away_until = time.monotonic() + _AWAY_FOR
            return
        self._away_until = 0.0
        self.answered_at = time.monotonic()
        metrics.LEASES.labels("answered").inc()
        for (slice, ask), grant in zip(asks, grants, strict=True):
            if grant.version == 0:
                self._active.discard(slice)
                self._gone(slice)
                continue
            slice.granted(ask, grant, began)
            if grant.version != slice.limit.version:
                self._gone(slice)
