"""Bedrock as a provider.

The SDK gives the address, the credentials, the signature and the list of models. The calls go through aiohttp's
connections and a decoder of our own, because the SDK blocks, and its parser costs several times what all else costs.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import msgspec
from botocore.credentials import ReadOnlyCredentials
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.errors import AuthFailed, ContentRefused, Malformed, ModelNotFound
from omnix_provider.exchange import Answer, Exchange
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

from omnix_adapter_bedrock import models, translate
from omnix_adapter_bedrock.credentials import Credentials, Found, Keys
from omnix_adapter_bedrock.errors import error_in_band, error_of_answer, error_type, tells_of_stale_credentials
from omnix_adapter_bedrock.eventstream import EventStream
from omnix_adapter_bedrock.processes import sdk_session
from omnix_adapter_bedrock.signing import Authorization, Bearer, Signature
from omnix_adapter_bedrock.upstream import NAME, Upstream

KIND = "bedrock"
_KEEP_ALIVE = timedelta(seconds=15)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,2047}")
_INPUT_TOKENS = "x-amzn-bedrock-input-token-count"


class BedrockProvider:
    """See ``omnix_provider.types.Provider``; made by ``opened``."""

    def __init__(self, upstream: Upstream, exchange: Exchange, authorization: Authorization, offered: Offered) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._authorization = authorization
        self._offered = offered
        self._prefix = urlsplit(upstream.url).path

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
        return self._upstream.url

    def problem(self) -> str | None:
        return self._upstream.problem or self._authorization.problem

    def list_models(self) -> Sequence[ServedModel]:
        return self._offered.current

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        body = translate.converse_body(request, attempt)
        with await self._post(body, attempt, "converse", handed_over) as answer:
            told = await answer.whole()
        try:
            return translate.completion_from_wire(told, self.name, answer.headers.get("x-amzn-requestid", ""))
        except (translate.Unusable, translate.Blocked) as exc:
            error = self._blocked(str(exc)) if isinstance(exc, translate.Blocked) else self._unusable(str(exc))
            error.usage = exc.usage
            raise error from exc
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            raise Malformed("The provider's answer cannot be understood.", provider=self.name) from exc

    async def embed(self, request: EmbeddingRequest, attempt: Attempt, handed_over: HandedOver) -> Embeddings:
        body = translate.embedding_body(request, attempt)
        with await self._post(body, attempt, "invoke", handed_over) as answer:
            told = await answer.whole()
        counted = answer.headers.get(_INPUT_TOKENS, "")
        try:
            return translate.embeddings_from_wire(told, attempt.model, int(counted) if counted.isdigit() else None)
        except (msgspec.DecodeError, RecursionError, ValueError) as exc:
            raise Malformed("The provider's answer cannot be understood.", provider=self.name) from exc

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        """It ends with the body and not with the last event, so that the connection can be used again."""
        body = translate.converse_body(request, attempt)
        events, reader = EventStream(), translate.EventReader(self.name)
        with await self._post(body, attempt, "converse-stream", handed_over) as answer:
            content = answer.content
            while received := await content.readany():
                batch, failure = reader.batch(events.feed(received))
                yield batch
                if isinstance(failure, translate.InBandError):
                    raise error_in_band(failure, self.name) from failure
                if failure is not None or events.broken:
                    raise Malformed("An event of the provider cannot be understood.", provider=self.name) from failure
        if reader.unusable is not None:
            raise self._unusable(reader.unusable)
        if reader.blocked is not None:
            raise self._blocked(reader.blocked)

    async def _post(self, body: bytes, attempt: Attempt, operation: str, handed_over: HandedOver) -> Answer:
        if not _MODEL.fullmatch(attempt.model):
            raise ModelNotFound("This is no id of a model at Bedrock.", provider=self.name, param="model")
        path = f"{self._prefix}/model/{quote(attempt.model, safe='')}/{operation}"
        headers = await self._authorization.headers(path, body)
        return await self._exchange.post(body, attempt, handed_over, self._refusal, path=path, headers=headers)

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> OmnixError:
        error = error_of_answer(status, headers, body, self.name, datetime.now(UTC))
        if isinstance(error, AuthFailed) and tells_of_stale_credentials(error_type(headers, body)):
            self._authorization.look_again()
        return error

    def _unusable(self, reason: str) -> Malformed:
        return Malformed(f"The model's answer is not one: {reason}.", provider=self.name)

    def _blocked(self, reason: str) -> ContentRefused:
        return ContentRefused(
            f"The provider blocked this as {reason}.", provider=self.name, provider_status=200, param="messages"
        )


@asynccontextmanager
async def opened(upstream: Upstream) -> AsyncIterator[BedrockProvider]:
    authorization = _authorization(upstream)
    if upstream.problem is None:
        authorization.look_again()
    async with (
        connections.opened(upstream.url or "http://unset.invalid", {}, _KEEP_ALIVE) as pool,
        models.kept(upstream) as offered,
    ):
        yield BedrockProvider(upstream, Exchange(NAME, pool), authorization, offered)


def _authorization(upstream: Upstream) -> Authorization:
    if upstream.token is not None:
        return Bearer(upstream.token.get_secret_value())
    parts = urlsplit(upstream.url)
    credentials = Credentials(_sandbox if upstream.sandbox else _chain, NAME)
    return Signature(credentials, f"{parts.scheme}://{parts.netloc}", upstream.region)


def _chain() -> Found | None:
    found: Found | None = sdk_session().get_credentials()
    return found


class _Sandbox:
    def get_frozen_credentials(self) -> Keys:
        keys: Keys = ReadOnlyCredentials("sandbox", "sandbox", None)
        return keys


def _sandbox() -> Found:
    return _Sandbox()
