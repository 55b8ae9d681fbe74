"""Every attempt is counted once: through crashes between any two writes, and by several processes at once."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from omnix.usage.v1 import usage_pb2
from omnix_analytics.facts import Fact
from omnix_analytics.journal import Journal
from omnix_analytics.repository import Repository
from omnix_analytics.rollups import MOST_CELLS, OTHERS
from omnix_analytics.spans import DAY, HOUR, floor
from omnix_store import Collection, Store, StoreDamagedError, StoreUnavailableError, open_store

from .conftest import KEEPING, NOW, event, fact, rollups_in, rollups_of

MODELS = ("gpt-4o", "gpt-4.1", "o3")


def now() -> datetime:
    return datetime.now(UTC)


def facts(count: int, seed: int = 1) -> list[Fact]:
    """Attempts of some keys, users, teams and models over an hour and a half."""
    seeded = random.Random(seed)
    outcomes = [usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED] * 6 + [
        usage_pb2.ATTEMPT_OUTCOME_FAILED,
        usage_pb2.ATTEMPT_OUTCOME_CANCELLED,
    ]
    return [
        fact(
            event(
                NOW - timedelta(seconds=seeded.randrange(5400)),
                timedelta(milliseconds=seeded.randrange(1, 20_000)),
                model=seeded.choice(MODELS),
                outcome=seeded.choice(outcomes),
                caller={"key_id": f"k{seeded.randrange(4)}", "user_id": f"u{seeded.randrange(3)}"},
            )
        )
        for _ in range(count)
    ]


class Crash(BaseException):
    """The process died."""


class CrashingStore:
    """Dies before or after a write, and then does nothing any more."""

    def __init__(self, store: Store, writes: int, *, after: bool) -> None:
        self._store = store
        self.left = writes
        self._after = after

    def collection(self, name: str, **declared: Any) -> Any:
        return _CrashingCollection(self._store.collection(name, **declared), self)

    async def check(self) -> None:
        await self._store.check()

    async def write(self, write: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self._after):
            raise Crash
        result = await write()
        if self.left == 0:
            raise Crash
        return result


class _CrashingCollection:
    def __init__(self, collection: Collection, store: CrashingStore) -> None:
        self._collection = collection
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)
        if name not in ("insert", "insert_many", "update", "delete", "increment"):
            return method
        return lambda *args, **named: self._store.write(lambda: method(*args, **named))


def journal_on(store: Any) -> Journal:
    return Journal(Repository(store, KEEPING, now))


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_between_any_two_writes_leave_every_attempt_counted_once(tmp_path: Path, seed: int) -> None:
    seeded = random.Random(seed)
    url = f"sqlite://{tmp_path}/a.db"
    told = facts(400, seed)
    left: list[Sequence[Fact]] = [told[first : first + 40] for first in range(0, 400, 40)]
    crashes = 0
    async with open_store(url) as store:
        while left:
            dying = CrashingStore(store, seeded.randrange(1, 150), after=bool(seeded.randrange(2)))
            journal = journal_on(dying)
            try:
                while left:
                    await journal.count(left[0])
                    if seeded.random() < 0.8:  # else it is not acknowledged, and comes again
                        left.pop(0)
            except Crash:
                crashes += 1
                seeded.shuffle(left)
        await journal_on(store).catch_up()
    assert crashes >= 4
    assert await rollups_in(url) == rollups_of(told)


async def test_several_processes_count_every_attempt_once(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/a.db"
    told = facts(300)

    async def process(seed: int) -> int:
        mine = list(told)
        random.Random(seed).shuffle(mine)
        news = 0
        async with open_store(url) as store:
            journal = journal_on(store)
            for first in range(0, len(mine), 30):
                news += sum(await journal.count(mine[first : first + 30]))
        return news

    assert sum(await asyncio.gather(*map(process, range(3)))) == len(told)
    assert await rollups_in(url) == rollups_of(told)


async def test_more_certain_fact_takes_the_place_of_the_other_in_whichever_order(tmp_path: Path) -> None:
    exact = event(NOW, caller={"user_id": "u"})
    orphan = event(
        NOW + 2 * HOUR,
        outcome=usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED,
        usage={"output_tokens": 7, "estimated": True},
        caller={"user_id": "u"},
    )
    cancelled = event(NOW, outcome=usage_pb2.ATTEMPT_OUTCOME_CANCELLED, usage={"estimated": True})
    for other in (orphan, cancelled):
        other.attempt_id = exact.attempt_id
    told = [fact(each) for each in (orphan, cancelled, exact)]
    foreign = fact(event(attempt_id=exact.attempt_id, caller={"tenant_id": "other"}))
    for number, order in enumerate([[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]]):
        url = f"sqlite://{tmp_path}/{number}.db"
        async with open_store(url) as store:
            journal = journal_on(store)
            news = [(await journal.count([told[at]]))[0] for at in order]
            assert await journal.count([foreign, told[2], told[0]]) == [False] * 3
        assert news == [at == max(order[: place + 1]) for place, at in enumerate(order)]
        assert await rollups_in(url) == rollups_of([told[2]])
    url = f"sqlite://{tmp_path}/together.db"
    async with open_store(url) as store:
        assert await journal_on(store).count([told[0], told[2], told[1]]) == [True, True, False]
    assert await rollups_in(url) == rollups_of([told[2]])


async def test_cleared_days_are_counted_anew_and_nothing_else_is(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/a.db"
    today = floor(NOW, DAY)
    yesterday = [fact(event(today - DAY + timedelta(minutes=number))) for number in range(0, 1440, 60)]
    others = [
        fact(event(today - DAY + HOUR, caller={"tenant_id": "other"})),
        fact(event(today)),
        fact(event(NOW - 3 * DAY + HOUR)),
    ]
    async with open_store(url) as store:
        journal = journal_on(store)
        await journal.count([*yesterday, *others])
        await journal.clear("default", today - DAY, today)
        assert await rollups_in(url) == rollups_of(others)
        assert await journal.count([*yesterday[:5], *others]) == [True] * 5 + [False] * 3
    assert await rollups_in(url) == rollups_of([*yesterday[:5], *others])


async def test_defect_in_carrying_out_holds_back_what_follows_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/a.db"
    told = facts(50)

    class Defective(CrashingStore):
        async def write(self, write: Callable[[], Any]) -> Any:
            self.left -= 1
            if 0 <= self.left < 10:
                raise KeyError("kaboom")
            return await write()

    async with open_store(url) as store:
        journal = journal_on(Defective(store, 30, after=False))
        with pytest.raises(StoreDamagedError, match="kaboom"):
            await journal.count(told[:40])
        assert await journal.count(told) == [False] * 40 + [True] * 10
    assert await rollups_in(url) == rollups_of(told)


async def test_rollup_stays_small_whatever_models_are_named(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/a.db"
    told = [fact(event(model=f"{number}-{'m' * 500}")) for number in range(400)]
    async with open_store(url) as store:
        await journal_on(store).count(told)
    for cells in (await rollups_in(url)).values():
        assert len(cells) == MOST_CELLS + 1
        assert cells[OTHERS].attempts == 400 - MOST_CELLS
        assert sum(cell.attempts for cell in cells.values()) == 400


async def test_store_that_fails_for_a_moment_leaves_nothing_half_counted(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/a.db"
    told = facts(50)

    class Failing(CrashingStore):
        async def write(self, write: Callable[[], Any]) -> Any:
            self.left -= 1
            if 0 <= self.left < 10:
                raise StoreUnavailableError("locked")
            return await write()

    async with open_store(url) as store:
        journal = journal_on(Failing(store, 30, after=False))
        with pytest.raises(StoreUnavailableError):
            await journal.count(told)
        assert not any(await journal.count(told))  # it was written down, so it is counted
    assert await rollups_in(url) == rollups_of(told)
