import uuid
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from omnix_sandbox.testing import Sandbox, running_sandbox

from .bedrock_client import make_client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def request_id() -> str:
    """What a test finds its calls by in the shared record."""
    return f"test-{uuid.uuid4().hex}"


@pytest_asyncio.fixture(loop_scope="module")
async def client(sandbox: Sandbox, request_id: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=sandbox.openai_url,
        api_key="sk-sandbox",
        max_retries=0,
        timeout=10,
        default_headers={"X-Client-Request-Id": request_id},
    ) as sdk:
        yield sdk


@pytest.fixture
def bedrock(sandbox: Sandbox, request_id: str) -> Any:
    return make_client(sandbox, request_id)
