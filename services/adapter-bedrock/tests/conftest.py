from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer, nats_server
from omnix_provider.testing import Place, scene
from omnix_sandbox.testing import Sandbox, running_sandbox

MODULE = "omnix_adapter_bedrock"


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("sandbox"), fsync=False) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(nats: NatsServer, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    data: Path = tmp_path_factory.mktemp("adapter")
    async with scene(MODULE, nats, data, {"OMNIX_SANDBOX_URL": sandbox.url}) as standing:
        yield standing
