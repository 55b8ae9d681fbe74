"""Several replicas over one store, and what time does to what they share out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from omnix_kit.caller import Caller
from omnix_store import Store, open_store
from omnix_usage_metering.quotas.leasing import Ask
from omnix_usage_metering.quotas.limits import Enforcement, Kind, Limit, Subject
from omnix_usage_metering.quotas.quotas import Lease, Place, Quotas, Reached, Words
from omnix_usage_metering.quotas.repository import Repository
from omnix_usage_metering.quotas.spending import ModelCost, Scope, Spending

NOW = datetime(2026, 11, 30, 23, 59, 10, tzinfo=UTC)
PLACE = Place("default", "l", "")


@dataclass(frozen=True)
class Cost:
    provider: str
    model: str
    currency: str
    cost_micros: int


@dataclass
class World:
    store: Store
    now: datetime = NOW
    reached: list[Reached] = field(default_factory=list)
    costs: list[ModelCost] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)

    def replica(self) -> Quotas:
        async def changed(tenant_id: str, limit_id: str) -> None: ...

        async def reached(what: Reached) -> None:
            self.reached.append(what)

        async def read(scope: Scope) -> Sequence[ModelCost]:
            self.scopes.append(scope)
            return self.costs if scope.start_time <= self.now < scope.end_time else []

        words = Words(changed, reached)
        return Quotas(Repository(self.store), Spending(read), words, lambda: self.now, timedelta(seconds=15))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_store(f"sqlite://{tmp_path}/quotas.db") as store:
        yield World(store)


def limit(kind: Kind, amount: int, enforcement: Enforcement = Enforcement.HARD) -> Limit:
    return Limit("l", "default", Subject.TENANT, "", "", kind, amount, enforcement, 0, NOW, NOW)


async def leased(replica: Quotas, gateway: str, ask: Ask) -> Lease:
    [lease] = await replica.lease(gateway, [(PLACE, ask)])
    assert lease is not None
    return lease


async def test_replicas_grant_all_of_a_limit_and_no_more(world: World) -> None:
    replicas = [world.replica() for _ in range(3)]
    await replicas[0].put(limit(Kind.REQUESTS_PER_MINUTE, 100))

    async def gateway(number: int) -> int:
        spent = window = 0
        while True:
            ask = Ask(window, spent, 0, 1, 30)
            lease = await leased(replicas[(number + spent) % 3], str(number), ask)
            if not lease.grant.granted:
                return spent
            window, spent = lease.window, spent + lease.grant.granted

    assert sum(await asyncio.gather(*(gateway(number) for number in range(8)))) == 100
    assert len(world.reached) == 1


async def test_minutes_begin_anew_and_leases_end_with_them(world: World) -> None:
    replica = world.replica()
    await replica.put(limit(Kind.REQUESTS_PER_MINUTE, 10))
    first = await leased(replica, "a", Ask(0, 0, 0, 10, 10))
    assert (first.grant.granted, first.lifetime, first.reset) == (10, timedelta(seconds=15), timedelta(seconds=50))
    world.now += timedelta(seconds=45)
    second = await leased(replica, "a", Ask(first.window, 10, 0, 1, 1))
    assert (second.grant.granted, second.grant.exhausted, second.lifetime) == (0, True, timedelta(seconds=5))
    world.now += timedelta(seconds=5)
    third = await leased(replica, "a", Ask(first.window, 10, 0, 10, 10))
    assert (third.grant.granted, third.window) == (10, first.window + 1)
    assert [each.used for each in world.reached] == [10]


async def test_budget_of_a_month_adds_its_days_up_and_ends_with_it(world: World) -> None:
    replica = world.replica()
    await replica.put(limit(Kind.COST_PER_MONTH, 1000))
    world.costs = [Cost("openai", "gpt-4o", "USD", 600), Cost("openai", "gpt-4o", "EUR", 900)]
    lease = await leased(replica, "a", Ask(0, 0, 0, 500, 500))
    assert (lease.grant.granted, lease.reset) == (0, timedelta(seconds=50))
    assert [scope.start_time.day for scope in world.scopes] == list(range(1, 31))
    [use] = await replica.usage_of(Caller("default", key_id="k"))
    assert (use.used, use.reset_time) == (600, datetime(2026, 12, 1, tzinfo=UTC))
    world.now += timedelta(minutes=1)
    world.costs = []
    assert (await leased(replica, "a", Ask(lease.window, 0, 0, 500, 500))).grant.granted == 500


async def test_soft_limit_is_told_once_in_each_window(world: World) -> None:
    replica, other = world.replica(), world.replica()
    await replica.put(limit(Kind.CONCURRENT_REQUESTS, 3, Enforcement.SOFT))
    for each in (replica, other, replica):
        lease = await leased(each, "a", Ask(1, 0, 5, 1, 1))
        assert lease.grant.granted == 1
    world.now += timedelta(minutes=1)
    await leased(other, "a", Ask(1, 0, 4, 0, 0))
    assert [(each.subject_id, each.used) for each in world.reached] == [("", 5), ("", 4)]
    assert len({each.event_id for each in world.reached}) == 2
