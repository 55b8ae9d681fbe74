"""Hugging Face's router, or one endpoint, as a provider.

The SDK gives the router's address, the classes of errors and the words of its headers. The calls that are made all day
long go through ``omnix_provider.connections``: the SDK's client costs six times as much for each piece of an answer.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.errors import unsupported
from omnix_provider.chatcompletions.server import Server
from omnix_provider.exchange import Exchange
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

from omnix_adapter_huggingface.errors import refusal
from omnix_adapter_huggingface.feature_extraction import embeddings_from_pipeline, pipeline_body, pipeline_path
from omnix_adapter_huggingface.models import models_of
from omnix_adapter_huggingface.places import Place

KIND = "huggingface"


class HuggingFaceProvider:
    """See ``omnix_provider.types.Provider``; made by ``opened``."""

    def __init__(self, place: Place, server: Server, models: Offered) -> None:
        self._place = place
        self._server = server
        self._models = models
        self._root = urlsplit(place.base_url).path.rstrip("/").removesuffix("/v1")

    @property
    def name(self) -> str:
        return self._place.name

    @property
    def kind(self) -> str:
        return KIND

    @property
    def sandbox(self) -> bool:
        return self._place.sandbox

    @property
    def base_url(self) -> str:
        return self._place.base_url

    def problem(self) -> str | None:
        return self._place.problem

    def list_models(self) -> Sequence[ServedModel]:
        return self._models.current

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        return await self._server.complete(request, attempt, self._chat(), handed_over)

    def stream(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> AsyncIterator[Batch]:
        if self._place.abilities.chat is None:
            return self._no_chat()
        return self._server.stream(request, attempt, self._place.abilities.chat, handed_over)

    async def embed(self, request: EmbeddingRequest, attempt: Attempt, handed_over: HandedOver) -> Embeddings:
        match self._place.abilities.embedding:
            case "openai":
                dialect = self._place.abilities.chat or _ANY
                return await self._server.embed(request, attempt, dialect, handed_over)
            case "pipeline":
                path = pipeline_path(self._root, attempt.model)
                return await self._server.asked(
                    pipeline_body(request), attempt, handed_over, embeddings_from_pipeline, _uncounted, path=path
                )
            case None:
                raise unsupported("input")

    def _chat(self) -> Dialect:
        if self._place.abilities.chat is None:
            raise unsupported("messages")
        return self._place.abilities.chat

    async def _no_chat(self) -> AsyncIterator[Batch]:
        self._chat()
        yield Batch()  # never reached: it makes this a generator, whose first step refuses


_ANY = Dialect()


def _uncounted(answer: bytes) -> None:
    """The pipeline does not count."""


@asynccontextmanager
async def opened(places: Sequence[Place]) -> AsyncIterator[list[HuggingFaceProvider]]:
    """The providers of these servers, each with connections of its own."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_opened(place)) for place in places]


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[HuggingFaceProvider]:
    base = place.base_url.rstrip("/")
    chat = f"{base}/chat/completions"
    headers = _headers(place)

    def refused(status: int, told: Mapping[str, str], body: bytes) -> OmnixError:
        return refusal(status, told, body, place.name, chat, datetime.now(UTC))

    async with (
        connections.opened(chat, {"Content-Type": "application/json", **headers}, place.keep_alive) as pool,
        httpx2.AsyncClient(headers=headers, trust_env=False) as client,
        models_of(place, client) as models,
    ):
        server = Server(Exchange(place.name, pool), urlsplit(f"{base}/embeddings").path, refused)
        yield HuggingFaceProvider(place, server, models)


def _headers(place: Place) -> Mapping[str, str]:
    """Without the SDK's reports on this machine."""
    headers = {"Accept": "application/json, text/event-stream", "User-Agent": "omnix"}
    if place.token is not None:
        headers["Authorization"] = f"Bearer {place.token.get_secret_value()}"
    if place.bill_to:
        headers[constants.HUGGINGFACE_HEADER_X_BILL_TO] = place.bill_to
    return headers
