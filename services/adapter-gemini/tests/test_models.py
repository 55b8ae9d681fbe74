"""The list of models, asked of a server that answers what the test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from omnix_adapter_gemini import models as module
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.models import Models
from omnix_adapter_gemini.upstream import Upstream, sdk_client
from omnix_kit.testing import eventually
from omnix_provider import offered
from omnix_provider.types import ServedModel
from pydantic import SecretStr

LISTED = {
    "models": [
        {"name": "models/gemini-2.5-flash", "inputTokenLimit": 9, "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/veo", "supportedGenerationMethods": ["predictLongRunning"]},
        {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]},
    ]
}
FLASH, EMBEDDING = ServedModel("gemini-2.5-flash", "google"), ServedModel("embedding", "google")


@asynccontextmanager
async def client_of(*answers: Any) -> AsyncIterator[Any]:
    """Google's, which answers each question with the next, and goes on with the last one."""
    left = list(answers)

    async def serve(request: web.Request) -> web.Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="application/json")
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        client = sdk_client(Upstream(Service.DEVELOPER, SecretStr("k"), base_url=url))
        try:
            yield client
        finally:
            await client.aio.aclose()
            client.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offered, "_SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.01)


async def test_models_that_can_be_asked_are_known_with_their_limits() -> None:
    async with client_of(LISTED) as client, Models.kept(client, "gemini", None) as models:
        await eventually(lambda: bool(models.current))
        assert models.current == [FLASH, EMBEDDING]
        assert [models.input_limit(name) for name in ("models/gemini-2.5-flash", "embedding", "other")] == [
            9,
            None,
            None,
        ]


@pytest.mark.parametrize(
    "strange", ["[" * 100_000, "<html>", '{"models":5}', '{"models":[5]}', {"models": [{"inputTokenLimit": "many"}]}]
)
async def test_strange_list_is_asked_for_again(strange: Any) -> None:
    async with client_of(strange, LISTED) as client, Models.kept(client, "gemini", None) as models:
        await eventually(lambda: FLASH in models.current)


async def test_nobody_is_asked_before_there_are_credentials() -> None:
    looked = 0

    def none_yet() -> None:
        nonlocal looked
        looked += 1

    async with client_of(LISTED) as client, Models.kept(client, "gemini", none_yet) as models:
        await eventually(lambda: looked > 3)
        assert models.current == ()
