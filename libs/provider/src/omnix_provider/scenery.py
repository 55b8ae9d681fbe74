"""For an adapter's tests: the scene that the conformance suite plays in, as fixtures that `conftest.py` imports.

The adapter's own fixture `profile` says which adapter stands in it.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer, nats_server
from omnix_sandbox.testing import Sandbox, running_sandbox

from omnix_provider.profile import Profile
from omnix_provider.testing import Place, scene


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("sandbox"), fsync=False, keep_requests=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    profile: Profile, nats: NatsServer, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    data = tmp_path_factory.mktemp("adapter")
    async with scene(profile.module, nats, data, {"OMNIX_SANDBOX_URL": sandbox.url}) as standing:
        yield standing
