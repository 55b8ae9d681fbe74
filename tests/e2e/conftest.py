from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.suite import Suite, running_suite


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    # The tests share their models and fail them as they like; no circuit opens.
    thresholds = {"OMNIX_CIRCUIT_FAILURES": "1000", "OMNIX_CIRCUIT_CALLS": "100000"}
    async with running_suite(tmp_path_factory.mktemp("suite"), **thresholds) as suite:
        yield suite


@pytest_asyncio.fixture(loop_scope="session")
async def suite(running: Suite) -> Suite:
    """The suite of the session, whole and without faults, whatever the test before did to it."""
    await running.settled()
    await running.clear_faults()
    return running
