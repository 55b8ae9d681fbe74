"""Monthly statements: open ones are added up from the ledger, closed ones stay as they were.

A closed month may change all the same: entries are rated again, come late, or are counted better. What it comes to now
is compared with what statements had of it, and the next statement to be closed has the difference. That needs no word
from whoever changed an entry, so that no change is lost on the way.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from omnix_kit.caller import Caller
from omnix_kit.errors import CallerError, PlatformError, Reason

from omnix_usage_metering.entries import Use
from omnix_usage_metering.errors import invalid, store_errors
from omnix_usage_metering.pricing.credits import Credit
from omnix_usage_metering.repository import Repository as Ledger
from omnix_usage_metering.statements.repository import Repository
from omnix_usage_metering.statements.statement import (
    Adjustment,
    Month,
    Statement,
    adjustments,
    billed,
    month_of,
    statement,
)

LOOKED_BACK: Final = 12
"""Closed months whose changes are found."""

Credits = Callable[[str], Awaitable[Sequence[Credit]]]


class Statements:
    def __init__(self, repository: Repository, ledger: Ledger, credits: Credits, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._ledger = ledger
        self._credits = credits
        self._clock = clock

    async def of(self, tenant_id: str, text: str) -> Statement:
        """The statement of a month: as it was closed, or as it would be now."""
        month = _asked(tenant_id, text)
        with store_errors():
            closed = await self._repository.closed(tenant_id)
            return _of_month(closed, month) or await self._open(tenant_id, month, closed)

    async def close(self, tenant_id: str, text: str, author: Caller) -> Statement:
        """Freeze a month; what was closed before stays as it is."""
        month = _asked(tenant_id, text)
        with store_errors():
            closed = await self._repository.closed(tenant_id)
            if (there := _of_month(closed, month)) is not None:
                return there
            now = self._clock()
            if now < month.following.start:
                raise _conflict(f"{month} has not ended.")
            if closed and (last := month_of(closed[-1].month)).following != month:
                raise _conflict(f"Months are closed in their order: the next one is {last.following}.")
            made = replace(
                await self._open(tenant_id, month, closed),
                close_time=now,
                user_id=author.user_id,
                key_id=author.key_id,
            )
            await self._repository.add(made)
            there = _of_month(await self._repository.closed(tenant_id), month)  # of several, the first one stands
        if there is None:
            raise PlatformError("The statement was not kept.", reason=Reason.INTERNAL)
        return there

    async def _open(self, tenant_id: str, month: Month, closed: Sequence[Statement]) -> Statement:
        uses = await self._uses(tenant_id, month)
        adjusted: list[Adjustment] = []
        if closed and month_of(closed[-1].month).following == month:
            for former in closed[-LOOKED_BACK:]:
                now = billed(await self._uses(tenant_id, month_of(former.month)))
                adjusted += adjustments(former.month, now, closed)
        return statement(tenant_id, month, uses, adjusted, await self._credits(tenant_id), closed)

    async def _uses(self, tenant_id: str, month: Month) -> list[Use]:
        """Day by day, which keeps each question to the store short."""
        uses: list[Use] = []
        day = month.start
        while day < month.following.start:
            uses += await self._ledger.uses(tenant_id, day, day + timedelta(days=1))
            day += timedelta(days=1)
        return uses


def _asked(tenant_id: str, text: str) -> Month:
    if not tenant_id:
        raise invalid("tenant_id", "tenant_id is missing.")
    return month_of(text)


def _of_month(closed: Sequence[Statement], month: Month) -> Statement | None:
    return next((each for each in closed if each.month == str(month)), None)


def _conflict(message: str) -> CallerError:
    return CallerError(message, reason=Reason.CONFLICT, param="month")
