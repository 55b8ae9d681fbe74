"""Which vendor hears of a request that names a model as people do, by the catalogue of the package."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer

from .fakes import FakeAdapter, Router, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRO, FLASH = "gemini-3.1-pro-preview", "gemini-3.8-flash"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter() -> AsyncIterator[FakeAdapter]:
    async with FakeAdapter("openai", "bedrock", "gemini", "huggingface") as standing:
        yield standing


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(
    tmp_path_factory: pytest.TempPathFactory, nats: NatsServer, adapter: FakeAdapter
) -> AsyncIterator[Router]:
    async with running(tmp_path_factory.mktemp("router"), nats, f"all={adapter.address}") as standing:
        yield standing


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("gemini-pro", "gemini", PRO),
        ("gemini-pro-vision", "gemini", PRO),
        ("gemini-pro:think", "gemini", PRO),
        ("gemini/gemini-pro", "gemini", PRO),
        ("gemini-flash", "gemini", FLASH),
        (FLASH, "gemini", FLASH),
        ("claude-opus-5-5", "bedrock", "global.anthropic.claude-opus-5-5"),
        ("gpt-5.6", "openai", "gpt-5.6-sol"),
    ],
)
async def test_short_name_reaches_its_vendor(
    router: Router, adapter: FakeAdapter, name: str, provider: str, model: str
) -> None:
    adapter.forget()
    whole = await router.complete(name)
    started = await router.start(name)

    assert whole.model == started.model == f"{provider}/{model}"
    asked = [(call.attempt.provider, call.attempt.model) for call in adapter.calls]
    assert asked == [(provider, model)] * 2
