"""What is set up for tenants: their rules and credits."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from omnix_kit.errors import CallerError, PlatformError, Reason

from omnix_usage_metering.errors import invalid, store_errors
from omnix_usage_metering.pricing import credits, rules
from omnix_usage_metering.pricing.credits import Credit
from omnix_usage_metering.pricing.repository import Repository
from omnix_usage_metering.pricing.rules import MOST_OF_TENANT, Book, Rule

KNOWN_FOR: Final = 5.0
"""Seconds for which a process bills by the rules that it read."""
_REMEMBERED: Final = 10_000
_TRIES: Final = 5


class Pricing:
    def __init__(self, repository: Repository, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._clock = clock
        self._books: OrderedDict[str, tuple[Book, float]] = OrderedDict()

    async def book(self, tenant_id: str) -> Book:
        """The rules of a tenant, as they were a few seconds ago.

        :raises StoreError: when they cannot be read; nothing is billed by rules that are not known.
        """
        known = self._books.get(tenant_id)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        return await self.present_book(tenant_id)

    async def present_book(self, tenant_id: str) -> Book:
        """The rules of a tenant as they are now.

        :raises StoreError: when they cannot be read.
        """
        book = Book(await self._repository.rules(tenant_id))
        self._books[tenant_id] = book, time.monotonic() + KNOWN_FOR
        self._books.move_to_end(tenant_id)
        if len(self._books) > _REMEMBERED:
            self._books.popitem(last=False)
        return book

    async def put_rule(self, wanted: Rule) -> tuple[Rule, bool]:
        """Make the rule, or put it in the place of the one of its id; also tells whether it is new."""
        rules.check(wanted)
        with store_errors():
            for _ in range(_TRIES):
                former = await self._repository.rule(wanted.tenant_id, wanted.rule_id)
                if former is None:
                    if len(await self._repository.rules(wanted.tenant_id)) >= MOST_OF_TENANT:
                        raise invalid("rule.rule_id", f"A tenant has at most {MOST_OF_TENANT} price rules.")
                    rule = replace(wanted, version=1)
                    done = await self._repository.add_rule(rule)
                else:
                    rule = replace(wanted, version=former.version + 1, create_time=former.create_time)
                    done = await self._repository.replace_rule(rule, former.version)
                if done:
                    self._books.pop(wanted.tenant_id, None)
                    return rule, former is None
        raise PlatformError("Too many change this rule at once.", reason=Reason.CONFLICT)

    async def rule(self, tenant_id: str, rule_id: str) -> Rule:
        _tenant(tenant_id)
        with store_errors():
            found = await self._repository.rule(tenant_id, rule_id)
        if found is None:
            raise _no_rule(rule_id)
        return found

    async def rules(self, tenant_id: str) -> list[Rule]:
        _tenant(tenant_id)
        with store_errors():
            return await self._repository.rules(tenant_id)

    async def delete_rule(self, tenant_id: str, rule_id: str) -> None:
        _tenant(tenant_id)
        with store_errors():
            if not await self._repository.delete_rule(tenant_id, rule_id):
                raise _no_rule(rule_id)
        self._books.pop(tenant_id, None)

    async def give(self, wanted: Credit) -> tuple[Credit, bool]:
        """Give a credit; also tells whether it is new. The same one again changes nothing."""
        credits.check(wanted)
        with store_errors():
            if len(await self._repository.credits(wanted.tenant_id)) >= MOST_OF_TENANT:
                raise invalid("credit.credit_id", f"A tenant has at most {MOST_OF_TENANT} credits.")
            if await self._repository.add_credit(wanted):
                return wanted, True
            there = await self._repository.credit(wanted.tenant_id, wanted.credit_id)
        if there is None or replace(there, create_time=wanted.create_time) != wanted:
            raise CallerError(
                f"There is another credit '{wanted.credit_id}'; a credit is not changed, a negative one takes it back.",
                reason=Reason.CONFLICT,
                param="credit.credit_id",
            )
        return there, False

    async def credits(self, tenant_id: str) -> list[Credit]:
        _tenant(tenant_id)
        with store_errors():
            return await self._repository.credits(tenant_id)


def _tenant(tenant_id: str) -> None:
    if not tenant_id:
        raise invalid("tenant_id", "tenant_id is missing.")


def _no_rule(rule_id: str) -> CallerError:
    return CallerError(f"There is no price rule '{rule_id}'.", reason=Reason.NOT_FOUND, param="rule_id")
