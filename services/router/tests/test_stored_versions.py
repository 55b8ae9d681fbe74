"""What is stored of routes, over a store of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from omnix_kit.caller import Caller
from omnix_kit.ids import uuid7
from omnix_router.catalogue.models import Catalogue, Mode
from omnix_router.routes_file import parse
from omnix_router.routes_table import route_of, table_of
from omnix_router.routes_watch import RoutesInForce
from omnix_router.routing import Route, RouteTarget
from omnix_router.stored.following import StoredRoutes
from omnix_router.stored.repository import KEPT_VERSIONS, Repository
from omnix_router.stored.versions import Action, Change, Version, written
from omnix_store import Change as Edit
from omnix_store import StoreUnavailableError, index, open_store, unique

from .words import CATALOGUE

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
WHOLE = """
[routes.whole]
policy = "cheapest"
sticky = "metadata.thread"
attempts = 2
first_content_timeout = { flash = "250ms", think = "1.5m", default = "2h" }
idle_timeout = "7s"
hedge_after = "800ms"
deadline = "0.4ms"
shadows = true
strict_reasoning = false
mirror = { target = "gpt-4.1", share = 0.05 }
targets = ["gpt-4o-mini", { model = "o3", weight = 3 }, { model = "gpt-4.1", rank = 2 }]

[[routes.whole.rules]]
when = { mode = "ultra-think", modality = ["image", "file"], min_input_tokens = 0, tenant = "acme" }
policy = "ordered"
targets = ["o3", "gpt-4.1"]

[[routes.whole.rules]]
when = { max_input_tokens = 9, metadata = { tier = ["gold", "silver"], "a.b $c" = "d" } }
targets = ["o3"]
"""


def version(number: int, name: str = "r", models: tuple[str, ...] = ("a/b",), route_id: str = "") -> Version:
    route = Route(name, tuple(RouteTarget(model, number) for model in models))
    return Version(
        route_id or uuid7(), name, number, Change(Action.UPDATED, Caller("t"), NOW), written(route) if models else None
    )


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    async with open_store(f"sqlite://{tmp_path}/routes.db") as store:
        yield Repository(store)


def test_route_that_was_written_is_read_as_it_was() -> None:
    route = parse(WHOLE, CATALOGUE, {"openai"}).by_name["whole"]
    assert route.limits.first_content_timeouts[Mode.THINK] == timedelta(seconds=90)
    assert route_of("route", "whole", table_of(route), None) == route


async def test_route_is_stored_with_every_word(repository: Repository) -> None:
    route = parse(WHOLE, CATALOGUE, {"openai"}).by_name["whole"]
    stored = replace(version(1, "whole"), written=written(route))
    assert await repository.add(stored)
    assert await repository.newest("whole") == stored
    [found] = await repository.all()
    assert found.route == route


async def test_state_differs_after_every_change(repository: Repository) -> None:
    states = [await repository.state()]
    first = version(1)
    await repository.add(first)
    states.append(await repository.state())
    second = version(2, route_id=first.route_id)
    await repository.replace(first, second)
    states.append(await repository.state())
    await repository.replace(second, version(3, models=(), route_id=first.route_id))
    states.append(await repository.state())
    await repository.add(version(1, "other"))
    states.append(await repository.state())
    assert len(set(states)) == len(states)


async def test_version_that_was_copied_and_not_replaced_is_told_once(repository: Repository) -> None:
    first = version(1)
    await repository.add(first)
    # As a router that died between the two steps leaves it.
    assert not await repository.replace(replace(first, number=0), version(1, route_id=first.route_id))
    stale = version(2, route_id=first.route_id)
    assert await repository.replace(first, stale)
    assert not await repository.replace(first, version(2, route_id=first.route_id))
    assert [each.number for each in await repository.earlier(stale)] == [1, 0]


async def test_only_the_last_versions_are_kept(repository: Repository) -> None:
    newest = version(1)
    await repository.add(newest)
    for number in range(2, KEPT_VERSIONS + 4):
        following = version(number, route_id=newest.route_id)
        await repository.replace(newest, following)
        newest = following
    kept = [each.number for each in await repository.earlier(newest)]
    assert kept == list(range(KEPT_VERSIONS + 2, 2, -1))
    assert await repository.version(newest, 2) is None
    assert (await repository.version(newest, 3)) is not None


async def test_what_was_deleted_long_ago_is_forgotten_with_its_versions(repository: Repository) -> None:
    first = version(1)
    await repository.add(first)
    gone = version(2, models=(), route_id=first.route_id)
    await repository.replace(first, gone)
    await repository.add(version(1, "there"))
    await repository.forget(NOW)
    assert await repository.newest("r") == gone
    await repository.forget(NOW + timedelta(seconds=1))
    assert await repository.newest("r") is None
    assert await repository.earlier(gone) == []
    assert await repository.newest("there") is not None


async def test_words_that_only_a_later_version_of_omnix_knows_stop_nothing(tmp_path: Path) -> None:
    async with open_store(f"sqlite://{tmp_path}/routes.db") as store:
        repository = Repository(store)
        await repository.add(version(1))
        known = store.collection("routes", indexes=[unique("name"), index("deleted", "time")])
        await known.update({"name": "r"}, Edit(set={"action": "imported", "author": {"key_id": "k", "robot": "yes"}}))
        [found] = await repository.all()
        assert (found.change.action, found.change.author) == (Action.UPDATED, Caller("", key_id="k"))


class Breaking(Repository):
    """A repository whose store can be away."""

    away = False

    async def all(self) -> list[Version]:
        if self.away:
            raise StoreUnavailableError("away")
        return await super().all()


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[tuple[StoredRoutes, RoutesInForce, Breaking]]:
    async with open_store(f"sqlite://{folder}/routes.db") as store:
        repository = Breaking(store)
        routes = RoutesInForce(None, Catalogue({}), set())
        yield StoredRoutes(repository, routes), routes, repository


async def test_routes_stay_in_force_while_the_store_is_away(tmp_path: Path) -> None:
    async with followed(tmp_path) as (stored, routes, repository):
        assert stored.lacking() is not None
        first = version(1)
        await repository.add(first)
        await stored.refresh()
        assert (stored.lacking(), set(routes.current.by_name)) == (None, {"r"})
        repository.away = True
        await repository.replace(first, version(2, models=("c/d",), route_id=first.route_id))
        with pytest.raises(StoreUnavailableError):
            await stored.refresh()
        assert routes.current.by_name["r"].targets[0].model == "a/b"
        repository.away = False
        await stored.refresh()
        assert routes.current.by_name["r"].targets[0].model == "c/d"


async def test_route_of_a_later_version_of_omnix_leaves_the_former_in_force(tmp_path: Path) -> None:
    strange: Mapping[str, Any] = {"targets": ["a/b"], "colour": "blue"}
    async with followed(tmp_path) as (stored, routes, repository):
        first = version(1)
        await repository.add(first)
        await repository.add(replace(version(1, "never"), written=strange))
        await stored.refresh()
        await repository.replace(first, replace(version(2, route_id=first.route_id), written=strange))
        await stored.refresh()
        assert set(routes.current.by_name) == {"r"}
        assert routes.current.by_name["r"].targets[0].weight == 1
