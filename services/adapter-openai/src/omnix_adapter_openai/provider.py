"""A server that speaks OpenAI's format, as a provider.

The SDK gives the address, the credentials, the headers and the classes of errors, and lists the models. The calls that
are made all day long go through aiohttp, because the SDK's request builder and HTTP client cost several times what
everything else in this process costs; the README has the figures.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.server import Server
from omnix_provider.exchange import Exchange, Refusal
from omnix_provider.offered import Offered
from omnix_provider.types import (
    Attempt,
    Batch,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    HandedOver,
    ServedModel,
)
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit
from pydantic import SecretStr

from omnix_adapter_openai.dialect import openai_dialect
from omnix_adapter_openai.errors import error_of_status
from omnix_adapter_openai.models import models_of

KIND = "openai"
_NO_KEY = "none"


@dataclass(frozen=True)
class Upstream:
    """One server, as the operator configured it."""

    name: str
    base_url: str
    api_key: SecretStr | None
    """None for a server that wants none."""
    dialect: Callable[[str], Dialect] = openai_dialect
    """Of a model."""
    sandbox: bool = False
    problem: str | None = None
    """Why it cannot be called."""
    keep_alive: timedelta = timedelta(seconds=15)
    """How long an idle connection is used again; shorter than the server keeps it, or a call meets a closed one."""
    vendor: bool = False
    """It is OpenAI itself or stands in for it: organisation and project of the environment are its."""


class OpenAIProvider:
    """See ``omnix_provider.types.Provider``; made by ``opened``."""

    def __init__(self, upstream: Upstream, server: Server, models: Offered) -> None:
        self._upstream = upstream
        self._server = server
        self._models = models

    @property
    def name(self) -> str:
        return self._upstream.name

    @property
    def kind(self) -> str:
        return KIND

    @property
    def sandbox(self) -> bool:
        return self._upstream.sandbox

    @property
    def base_url(self) -> str:
        return self._upstream.base_url

    def problem(self) -> str | None:
        return self._upstream.problem

    def list_models(self) -> Sequence[ServedModel]:
        return self._models.current

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        return await self._server.complete(request, attempt, self._upstream.dialect(attempt.model), handed_over)

    def stream(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> AsyncIterator[Batch]:
        return self._server.stream(request, attempt, self._upstream.dialect(attempt.model), handed_over)

    async def embed(self, request: EmbeddingRequest, attempt: Attempt, handed_over: HandedOver) -> Embeddings:
        return await self._server.embed(request, attempt, self._upstream.dialect(attempt.model), handed_over)


def _url(client: AsyncOpenAI, path: str) -> str:
    return f"{str(client.base_url).rstrip('/')}/{path}"


def _refusal(client: AsyncOpenAI, provider: str) -> Refusal:
    request = httpx2.Request("POST", _url(client, "chat/completions"))

    def refusal(status: int, headers: Mapping[str, str], body: bytes) -> OmnixError:
        told = httpx2.Response(
            status,
            headers=[(name, value) for name, value in headers.items() if name.lower() in _TOLD],
            content=body,
            request=request,
        )
        exc = client._make_status_error_from_response(told)
        error = error_of_status(exc, provider, datetime.now(UTC))
        error.__cause__ = exc
        return error

    return refusal


_TOLD = frozenset({"retry-after", "retry-after-ms", "x-request-id", "content-type"})


def _headers(client: AsyncOpenAI, upstream: Upstream) -> Mapping[str, str]:
    """The SDK's, without its reports on this machine; the credential only where there is one."""
    headers = {}
    for name, value in {**client.default_headers, **client.auth_headers}.items():
        lower = name.lower()
        if isinstance(value, Omit) or lower.startswith("x-stainless"):
            continue
        if lower == "authorization" and upstream.api_key is None:
            continue
        if lower.startswith("openai-") and not upstream.vendor:
            continue
        headers[name] = value
    return headers


@asynccontextmanager
async def opened(upstreams: Sequence[Upstream]) -> AsyncIterator[list[OpenAIProvider]]:
    """The providers of these servers, each with connections of its own."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_opened(upstream)) for upstream in upstreams]


@asynccontextmanager
async def _opened(upstream: Upstream) -> AsyncIterator[OpenAIProvider]:
    key = _NO_KEY if upstream.api_key is None else upstream.api_key.get_secret_value()
    async with (
        AsyncOpenAI(
            api_key=key,
            base_url=upstream.base_url,
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(trust_env=False),
        ) as client,
        connections.opened(_url(client, "chat/completions"), _headers(client, upstream), upstream.keep_alive) as pool,
        models_of(upstream.name, client, callable_=upstream.problem is None) as models,
    ):
        embeddings_path = urlsplit(_url(client, "embeddings")).path
        server = Server(Exchange(upstream.name, pool), embeddings_path, _refusal(client, upstream.name))
        yield OpenAIProvider(upstream, server, models)
