from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer, eventually, nats_server

from .fakes import FakeAdapter, Router, running

ROUTES = """
providers = ["other"]

[routes.pair]
targets = ["openai/gpt-4o", "other/model"]

[routes.quick]
targets = ["openai/gpt-4o", "other/model"]
first_content_timeout = "300ms"
idle_timeout = "7s"

[routes.larger]
targets = ["openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4.1"]

[routes."team-a/*"]
targets = ["openai/*"]
"""


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@dataclass(frozen=True)
class Shared:
    """One router for all tests of a module: starting the process takes longer than most tests."""

    router: Router
    openai: FakeAdapter
    other: FakeAdapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer) -> AsyncIterator[Shared]:
    folder = tmp_path_factory.mktemp("router")
    (folder / "routes.toml").write_text(ROUTES)
    openai = FakeAdapter("openai", models=(("openai", "gpt-4o"), ("openai", "whisper-1")))
    other = FakeAdapter("other", sandbox=True, models=(("other", "model"),))
    async with openai, other:
        adapters = f"openai={openai.address},other={other.address}"
        async with running(folder, nats, adapters, OMNIX_ROUTES_FILE=str(folder / "routes.toml")) as router:
            # Ready means that one adapter was heard.
            await eventually(lambda: router.log().count("an adapter serves a provider") == 2)
            yield Shared(router, openai, other)


@pytest.fixture
def router(shared: Shared) -> Router:
    return shared.router


@pytest.fixture
def openai(shared: Shared) -> FakeAdapter:
    shared.openai.forget()
    return shared.openai


@pytest.fixture
def other(shared: Shared) -> FakeAdapter:
    shared.other.forget()
    return shared.other
