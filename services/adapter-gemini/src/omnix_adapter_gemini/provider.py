"""Gemini as a provider.

The SDK gives the address, the version, the headers and the classes of errors, and lists the models; google-auth gives
the tokens. The calls that are made all day long go through aiohttp, because the SDK's types cost several times what
everything else in this process costs; the README has the figures.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from omnix_kit.errors import OmnixError
from omnix_provider import connections, estimate
from omnix_provider.errors import (
    ContentRefused,
    Failed,
    InvalidRequest,
    Malformed,
    Refused,
    UnsupportedParameter,
)
from omnix_provider.exchange import Answer, Exchange
from omnix_provider.sse import EventStream, EventTooLarge
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

from omnix_adapter_gemini.answers import (
    Blocked,
    EventReader,
    InBandError,
    NoAnswer,
    Unspeakable,
    Unusable,
    completion_from_wire,
)
from omnix_adapter_gemini.credentials import Tokens, found
from omnix_adapter_gemini.embeddings import embedding_body, embeddings_from_wire, method
from omnix_adapter_gemini.errors import Asked, error_in_band, error_of_answer
from omnix_adapter_gemini.models import Models
from omnix_adapter_gemini.translate import request_body
from omnix_adapter_gemini.upstream import NAME, Places, Upstream, sdk_client

KIND = "gemini"
_KEEP_ALIVE = timedelta(seconds=30)
"""Google keeps idle connections for minutes; what stands between may not."""

AnswerT = TypeVar("AnswerT")


class GeminiProvider:
    """See ``omnix_provider.types.Provider``; made by ``opened``."""

    def __init__(
        self, upstream: Upstream, places: Places, exchange: Exchange, models: Models, tokens: Tokens | None
    ) -> None:
        self._upstream = upstream
        self._places = places
        self._exchange = exchange
        self._models = models
        self._tokens = tokens

    @property
    def name(self) -> str:
        return NAME

    @property
    def kind(self) -> str:
        return KIND

    @property
    def sandbox(self) -> bool:
        return self._upstream.sandbox

    @property
    def base_url(self) -> str:
        return self._places.server

    def problem(self) -> str | None:
        return self._upstream.problem or (None if self._tokens is None else self._tokens.problem())

    def list_models(self) -> Sequence[ServedModel]:
        return self._models.current

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        path = self._places.path(attempt.model, "generateContent")
        body = request_body(request, attempt, self._upstream.service)
        refused = partial(self._of_completion, request, attempt)
        understand = partial(completion_from_wire, attempt_id=attempt.attempt_id)
        return await self._answer(path, body, attempt, handed_over, refused, understand)

    async def embed(self, request: EmbeddingRequest, attempt: Attempt, handed_over: HandedOver) -> Embeddings:
        service, model = self._upstream.service, attempt.model
        called = method(request, model, service)
        path = self._places.path(model, called)
        body = embedding_body(request, model, self._places.resource(model), service)

        def asked() -> Asked:
            return Asked(service, estimate.embedding_tokens(request), self._models.input_limit(model))

        understand = partial(embeddings_from_wire, called=called)
        return await self._answer(path, body, attempt, handed_over, asked, understand)

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        path = self._places.path(attempt.model, "streamGenerateContent?alt=sse")
        body = request_body(request, attempt, self._upstream.service)
        refused = partial(self._of_completion, request, attempt)
        events, reader = EventStream(), EventReader(attempt.attempt_id, request.candidate_count or 1)
        strange: bool | None = None  # what came so far holds no event, as when a proxy answers with a page
        with await self._post(path, body, attempt, handed_over, refused) as answer:
            content = answer.content
            while received := await content.readany():
                try:
                    complete = events.feed(received)
                except EventTooLarge as exc:
                    raise self._malformed() from exc
                strange = not complete and strange is not False
                batch, fault = reader.batch(complete)
                yield batch
                if fault is not None:
                    raise self._told(fault, refused) from fault
            if strange:
                raise self._malformed()
            if reader.whole:
                yield Batch(done=True)

    async def _answer(
        self,
        path: str,
        body: bytes,
        attempt: Attempt,
        handed_over: HandedOver,
        refused: Callable[[], Asked],
        understand: Callable[[bytes], AnswerT],
    ) -> AnswerT:
        with await self._post(path, body, attempt, handed_over, refused) as answer:
            told = await answer.whole()
        try:
            return understand(told)
        except (ValueError, RecursionError, NoAnswer) as exc:
            error = self._told(exc, refused)
            if isinstance(exc, NoAnswer) and isinstance(error, Refused | Failed):
                error.usage = exc.usage
            raise error from exc

    async def _post(
        self, path: str, body: bytes, attempt: Attempt, handed_over: HandedOver, refused: Callable[[], Asked]
    ) -> Answer:
        def refusal(status: int, told: Mapping[str, str], said: bytes) -> OmnixError:
            return error_of_answer(status, told, said, NAME, refused(), datetime.now(UTC))

        headers = None if self._tokens is None else await self._tokens.headers()
        return await self._exchange.post(body, attempt, handed_over, refusal, path=path, headers=headers)

    def _of_completion(self, request: CompletionRequest, attempt: Attempt) -> Asked:
        named = next((name for name in _NAMING if name in request.vendor_parameters), None)
        limit = self._models.input_limit(attempt.model)
        return Asked(self._upstream.service, estimate.input_tokens(request), limit, named)

    def _told(self, fault: Exception, refused: Callable[[], Asked]) -> OmnixError:
        """What is wrong with an answer whose status was good."""
        match fault:
            case InBandError():
                return error_in_band(fault.error, NAME, refused())
            case Blocked():
                return ContentRefused(
                    f"The provider blocked this as {fault}.", provider=NAME, provider_status=200, param="messages"
                )
            case Unusable() if str(fault) == "MISSING_THOUGHT_SIGNATURE":
                return InvalidRequest(
                    "A tool call has lost the signature that came with it.",
                    provider=NAME,
                    provider_status=200,
                    param="messages",
                )
            case Unusable():
                return Malformed(f"The model's answer is not one: {fault}.", provider=NAME)
            case Unspeakable():
                return UnsupportedParameter(
                    f"The model answered with {fault}, which is not carried.",
                    provider=NAME,
                    provider_status=200,
                    param="model",
                )
            case msgspec.DecodeError() | RecursionError() | ValueError():
                return self._malformed()
            case _:
                raise fault

    def _malformed(self) -> OmnixError:
        return Malformed("The provider's answer cannot be understood.", provider=NAME)


_NAMING = ("cachedContent", "cached_content")


@asynccontextmanager
async def opened(upstream: Upstream, credentials: Path | None) -> AsyncIterator[GeminiProvider]:
    """The provider of this service, with connections of its own.

    :param credentials: Google Cloud's key file; None leaves them to google-auth.
    """
    async with AsyncExitStack() as stack:
        client = sdk_client(upstream)
        stack.push_async_callback(client.aio.aclose)
        stack.callback(client.close)
        places = Places.of(client, upstream)
        tokens: Tokens | None = None
        if upstream.by_token and upstream.problem is None:
            tokens = await stack.enter_async_context(Tokens.kept(partial(found, credentials), NAME))
        pool = await stack.enter_async_context(connections.opened(places.server, places.headers, _KEEP_ALIVE))
        models = Models()
        if upstream.problem is None:
            held = None if tokens is None else lambda: tokens.credentials
            models = await stack.enter_async_context(Models.kept(client, NAME, held))
        yield GeminiProvider(upstream, places, Exchange(NAME, pool), models, tokens)
