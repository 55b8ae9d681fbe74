"""Through the real process: what changes in the catalogue is visible without a restart."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from omnix_kit.testing import NatsServer, eventually
from omnix_router.catalogue.writing import Importer

from .fakes import FakeAdapter, Router, running
from .price_server import PriceServer, content, price_server, status
from .test_catalogue_importing import entry

POLLS = {"OMNIX_CATALOGUE_POLL": "50ms", "OMNIX_ROUTES_POLL": "50ms"}


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with price_server() as server:
        yield server


@asynccontextmanager
async def serving(folder: Path, nats: NatsServer, **variables: str) -> AsyncIterator[Router]:
    adapter = FakeAdapter("openai")
    async with adapter, running(folder, nats, f"openai={adapter.address}", **POLLS, **variables) as router:
        yield router


async def input_price(router: Router, name: str) -> int | None:
    found = (await router.models()).get(name)
    return None if found is None else found.model.price.input_micros_per_million


def take(folder: Path, raw: object, *, force: bool = False) -> None:
    (folder / "map.json").write_text(json.dumps(raw))
    file = folder / "data" / "imported-catalogue.json"
    Importer(file).run(str(folder / "map.json"), datetime.now(UTC), lambda _, __: None, force=force)


async def test_operators_file_is_read_again_whole_or_not_at_all(tmp_path: Path, nats: NatsServer) -> None:
    file = tmp_path / "mine.toml"

    def write(price: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(
            f'provider = "openai"\n[[models]]\nmodel = "own"\n'
            f"prices = [{{ since = 2025-01-01, input = {price}, output = 9 }}]"
        )
        fresh.replace(file)

    write("1")
    async with serving(tmp_path, nats, OMNIX_CATALOGUE_FILE=str(file)) as router:
        assert await input_price(router, "openai/own") == 1_000_000
        write("2")

        async def changed() -> bool:
            return await input_price(router, "openai/own") == 2_000_000

        await eventually(changed)
        write("-1")

        async def refused() -> bool:
            return await router.metric("omnix_router_catalogue_reload_failed") == 1

        await eventually(refused)
        assert await input_price(router, "openai/own") == 2_000_000
        assert "the catalogue is refused, the older one stays" in router.log()
        assert not await router.lacking()
        write("3")

        async def mended() -> bool:
            return await input_price(router, "openai/own") == 3_000_000

        await eventually(mended)
        assert await router.metric("omnix_router_catalogue_reload_failed") == 0


async def test_import_is_visible_without_a_restart_and_prices_attempts(tmp_path: Path, nats: NatsServer) -> None:
    async with serving(tmp_path, nats) as router:
        assert await input_price(router, "openai/brand-new") is None
        take(tmp_path, {"brand-new": entry(5e-06)})

        async def there() -> bool:
            return await input_price(router, "openai/brand-new") == 5_000_000

        await eventually(there)
        assert (await router.complete("brand-new")).model == "openai/brand-new"


async def test_route_to_a_model_that_only_an_import_brings_becomes_good(tmp_path: Path, nats: NatsServer) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text("")
    async with serving(tmp_path, nats, OMNIX_ROUTES_FILE=str(routes)) as router:
        fresh = tmp_path / "fresh"
        fresh.write_text('[routes.mine]\ntargets = ["openai/brand-new"]')
        fresh.replace(routes)

        async def refused() -> bool:
            return await router.metric("omnix_router_routes_reload_failed") == 1

        await eventually(refused)
        take(tmp_path, {"brand-new": entry()})

        async def good() -> bool:
            return "mine" in await router.models()

        await eventually(good)


async def test_broken_file_of_imports_does_not_keep_the_router_from_starting(tmp_path: Path, nats: NatsServer) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "imported-catalogue.json").write_text("{")
    async with serving(tmp_path, nats) as router:
        assert "openai/gpt-4o" in await router.models()
        assert "what was imported into the catalogue cannot be read" in router.log()
        take(tmp_path, {"brand-new": entry()}, force=True)

        async def there() -> bool:
            return "openai/brand-new" in await router.models()

        await eventually(there)


async def test_address_is_asked_on_a_schedule_and_what_it_said_outlives_it(
    tmp_path: Path, nats: NatsServer, server: PriceServer
) -> None:
    refreshing = {"OMNIX_CATALOGUE_URL": server.address(), "OMNIX_CATALOGUE_REFRESH": "200ms"}
    server.answer = content(json.dumps({"brand-new": entry()}).encode(), etag='"1"')
    async with serving(tmp_path, nats, **refreshing) as router:

        async def there() -> bool:
            return await input_price(router, "openai/brand-new") == 1_000_000

        await eventually(there)

        async def unchanged() -> bool:
            return await router.metric('omnix_router_catalogue_refreshes_total{result="unchanged"}') >= 2

        await eventually(unchanged)
        assert server.asked[-1] == ("/map.json", '"1"')
        server.answer = content(json.dumps({"brand-new": entry(3e-06)}).encode(), etag='"2"')

        async def dearer() -> bool:
            return await input_price(router, "openai/brand-new") == 3_000_000

        await eventually(dearer)
        server.answer = content(json.dumps({"brand-new": entry(0, 0)}).encode(), etag='"3"')

        async def refused() -> bool:
            return await router.metric('omnix_router_catalogue_refreshes_total{result="failed"}') >= 1

        await eventually(refused)
        assert await input_price(router, "openai/brand-new") == 3_000_000
        assert "prices became zero: openai/brand-new" in router.log()
        assert 0 < await router.metric("omnix_router_catalogue_age_seconds") < 60

    server.answer = status(500)
    async with serving(tmp_path, nats, **refreshing) as again:
        assert await input_price(again, "openai/brand-new") == 3_000_000


async def test_router_leaves_in_time_while_an_address_is_silent(
    tmp_path: Path, nats: NatsServer, server: PriceServer
) -> None:
    release, asked = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        asked.set()
        release.wait(30)

    server.answer = hang
    try:
        async with serving(
            tmp_path, nats, OMNIX_CATALOGUE_URL=server.address(), OMNIX_CATALOGUE_REFRESH="100ms"
        ) as router:

            async def waiting() -> bool:
                return asked.is_set()

            await eventually(waiting)
            assert "openai/gpt-4o" in await router.models()
        # Leaving within its time is part of what ``running`` asserts.
    finally:
        release.set()
