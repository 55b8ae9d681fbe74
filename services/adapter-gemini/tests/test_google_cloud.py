"""Google Cloud, played by one server: the tokens of a key file, and the calls that they open."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.provider import GeminiProvider, opened
from omnix_adapter_gemini.upstream import Upstream
from omnix_kit.caller import Caller
from omnix_kit.testing import eventually
from omnix_provider.errors import AuthFailed, Unavailable
from omnix_provider.types import Attempt, CompletionRequest, EmbeddingRequest, Message, Purpose, Role, Text, Usage
from omnix_provider.vectors import unpacked

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", "gemini-2.5-flash")
HELLO = CompletionRequest("m", (Message(Role.USER, (Text("Hi"),)),))
HERE = "/v1beta1/projects/p1/locations/global/publishers/google/models/"


@dataclass
class Cloud:
    url: str = ""
    tokens: int = 0
    """How many were asked for."""
    lasting: int = 3600
    status: int = 200
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)
    """Path, authorization, body."""
    answer: Any = None

    async def token(self, request: web.Request) -> web.Response:
        self.tokens += 1
        if self.status != 200:
            return web.json_response(
                {"error": "invalid_grant", "error_description": "No secret here."}, status=self.status
            )
        return web.json_response(
            {"access_token": f"t{self.tokens}", "expires_in": self.lasting, "token_type": "Bearer"}
        )

    async def call(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Authorization"), await request.json()))
        return web.json_response(self.answer)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"publisherModels": [{"name": "publishers/google/models/gemini-2.5-flash"}]})


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    playing = Cloud(answer={"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]})
    app = web.Application()
    app.router.add_post("/token", playing.token)
    app.router.add_get("/v1beta1/publishers/google/models", playing.models)
    app.router.add_post("/{rest:.*}", playing.call)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    playing.url = f"http://{host}:{port}"
    yield playing
    await runner.cleanup()


@pytest.fixture
def key_file(cloud: Cloud, tmp_path: Path) -> Path:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account",
        "project_id": "p1",
        "private_key_id": "1",
        "private_key": private.decode(),
        "client_email": "adapter@p1.iam.gserviceaccount.com",
        "token_uri": f"{cloud.url}/token",
        "quota_project_id": "p2",
    }
    file = tmp_path / "key.json"
    file.write_bytes(msgspec.json.encode(content))
    return file


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("GOOGLE_", "GEMINI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def provider(stack: AsyncExitStack, cloud: Cloud, file: Path) -> GeminiProvider:
    return await stack.enter_async_context(opened(Upstream(Service.CLOUD, project="p1", base_url=cloud.url), file))


async def test_one_token_serves_many_callers_and_is_told_to_nobody_else(
    cloud: Cloud, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, key_file)
        answers = await asyncio.gather(*(gemini.complete(HELLO, ATTEMPT, lambda: None) for _ in range(20)))
        assert {answer.choices[0].message.parts for answer in answers} == {(Text("Hello"),)}
        assert cloud.tokens == 1
        assert {(path, token) for path, token, _ in cloud.asked} == {
            (f"{HERE}gemini-2.5-flash:generateContent", "Bearer t1")
        }
        await eventually(lambda: bool(gemini.list_models()))
        assert [model.model for model in gemini.list_models()] == ["gemini-2.5-flash"]
        assert gemini.problem() is None
    assert "t1" not in caplog.text.split()
    assert "PRIVATE KEY" not in caplog.text


async def test_token_that_ends_soon_is_replaced_before_the_call(cloud: Cloud, key_file: Path) -> None:
    cloud.lasting = 10
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, key_file)
        await eventually(lambda: cloud.tokens == 1)
        cloud.lasting = 3600
        await gemini.complete(HELLO, ATTEMPT, lambda: None)
        await gemini.complete(HELLO, ATTEMPT, lambda: None)
        assert cloud.tokens == 2
        assert {token for _, token, _ in cloud.asked} == {"Bearer t2"}


async def test_credentials_that_are_not_accepted_are_the_operators_problem(cloud: Cloud, key_file: Path) -> None:
    cloud.status = 401
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, key_file)
        with pytest.raises(AuthFailed) as refused:
            await gemini.complete(HELLO, ATTEMPT, lambda: pytest.fail("nothing was handed over"))
        assert not refused.value.reached
        assert gemini.problem() == "Google Cloud gives no token: RefreshError."
        cloud.status = 200
        await eventually(lambda: gemini.problem() is None)


async def test_google_that_cannot_be_asked_for_a_token_is_unavailable(cloud: Cloud, key_file: Path) -> None:
    content = msgspec.json.decode(key_file.read_bytes())
    key_file.write_bytes(msgspec.json.encode({**content, "token_uri": "http://127.0.0.1:9/token"}))
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, key_file)
        with pytest.raises(Unavailable) as failed:
            await gemini.complete(HELLO, ATTEMPT, lambda: pytest.fail("nothing was handed over"))
        assert not failed.value.reached
        assert gemini.problem() is None


async def test_key_file_that_is_none_is_a_problem_and_stops_nothing(cloud: Cloud, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, tmp_path / "absent.json")
        await eventually(lambda: gemini.problem() is not None)
        assert gemini.problem() == "Google Cloud gives no token: DefaultCredentialsError."


TEXTS = EmbeddingRequest("m", ("a", "b"), 2, Purpose.QUERY)
BOTH = {"predictions": [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 3}}}] * 2}


@pytest.mark.parametrize(
    ("model", "request_", "answer", "method", "body", "usage"),
    [
        (
            "text-embedding-005",
            TEXTS,
            BOTH,
            "predict",
            {
                "instances": [
                    {"content": "a", "task_type": "RETRIEVAL_QUERY"},
                    {"content": "b", "task_type": "RETRIEVAL_QUERY"},
                ],
                "parameters": {"outputDimensionality": 2, "autoTruncate": False},
            },
            Usage(input_tokens=6),
        ),
        (
            "gemini-embedding-2",
            EmbeddingRequest("m", ("a",)),
            {"embedding": {"values": [1, 2]}, "usageMetadata": {"promptTokenCount": 4}},
            "embedContent",
            {"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"autoTruncate": False}},
            Usage(input_tokens=4),
        ),
        (
            "gemini-embedding-001",
            TEXTS,
            {"embeddings": [{"values": [1, 2]}] * 2},
            "batchEmbedContents",
            {
                "requests": [
                    {
                        "content": {"parts": [{"text": text}]},
                        "embedContentConfig": {
                            "taskType": "RETRIEVAL_QUERY",
                            "outputDimensionality": 2,
                            "autoTruncate": False,
                        },
                    }
                    for text in ("a", "b")
                ]
            },
            None,
        ),
    ],
)
async def test_embeddings_are_asked_for_as_each_model_wants_it(
    cloud: Cloud,
    key_file: Path,
    model: str,
    request_: EmbeddingRequest,
    answer: Any,
    method: str,
    body: Any,
    usage: Usage | None,
) -> None:
    cloud.answer = answer
    attempt = msgspec.structs.replace(ATTEMPT, model=model)
    async with AsyncExitStack() as stack:
        gemini = await provider(stack, cloud, key_file)
        embeddings = await gemini.embed(request_, attempt, lambda: None)
    assert [unpacked(each) for each in embeddings.vectors] == [(1.0, 2.0)] * len(request_.inputs)
    assert embeddings.usage == usage
    assert [(path, told) for path, _, told in cloud.asked] == [(f"{HERE}{model}:{method}", body)]
