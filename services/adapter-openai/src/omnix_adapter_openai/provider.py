"""A server that speaks OpenAI's format, as a provider.

The SDK gives the address, the credentials, the headers and the classes of errors, and lists the models. The two calls
that are made all day long go through aiohttp, because the SDK's request builder and HTTP client cost several times what
everything else in this process costs; the README has the figures.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import httpx2
import msgspec
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.connections import Connections, Response, unreached
from omnix_provider.errors import Cut, Malformed
from omnix_provider.sse import EventStream, EventTooLarge
from omnix_provider.types import Attempt, Batch, Completion, CompletionRequest, HandedOver, ServedModel
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit
from pydantic import SecretStr

from omnix_adapter_openai import translate
from omnix_adapter_openai.dialect import OPENAI, Dialect
from omnix_adapter_openai.errors import error_in_band, error_of_status
from omnix_adapter_openai.models import Models

_log = logging.getLogger(__name__)

KIND = "openai"
_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024
_NO_KEY = "none"


@dataclass(frozen=True)
class Upstream:
    """One server, as the operator configured it."""

    name: str
    base_url: str
    api_key: SecretStr | None
    """None for a server that wants none."""
    dialect: Dialect = OPENAI
    sandbox: bool = False
    problem: str | None = None
    """Why it cannot be called."""
    keep_alive: timedelta = timedelta(seconds=15)
    """How long an idle connection is used again; shorter than the server keeps it, or a call meets a closed one."""
    vendor: bool = False
    """It is OpenAI itself or stands in for it: organisation and project of the environment are its."""


class OpenAIProvider:
    """See ``omnix_provider.types.Provider``; made by ``opened``."""

    def __init__(self, upstream: Upstream, client: AsyncOpenAI, connections: Connections, models: Models) -> None:
        self._upstream = upstream
        self._client = client
        self._connections = connections
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

    def problem(self) -> str | None:
        return self._upstream.problem

    def list_models(self) -> Sequence[ServedModel]:
        return self._models.current

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        body = translate.request_body(request, attempt, self._upstream.dialect, stream=False)
        response = await self._post(body, attempt, handed_over)
        try:
            answer = await response.body(_LARGEST_ANSWER)
        except aiohttp.ClientError as exc:
            raise self._cut() from exc
        finally:
            response.give_back()
        if answer is None:
            raise Malformed("The provider's answer is too large.", provider=self.name)
        try:
            return translate.completion_from_wire(answer)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise Malformed("The provider's answer cannot be understood.", provider=self.name) from exc

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        body = translate.request_body(request, attempt, self._upstream.dialect, stream=True)
        events, reader = EventStream(), translate.EventReader()
        strange: bool | None = None  # what came so far holds no event, as when a proxy answers with a page
        response = await self._post(body, attempt, handed_over)
        try:
            content = response.content
            while True:
                try:
                    received = await content.readany()
                except aiohttp.ClientError as exc:
                    raise self._cut() from exc
                if not received:
                    if strange:
                        raise self._malformed()
                    return
                try:
                    complete = events.feed(received)
                except EventTooLarge as exc:
                    raise self._malformed() from exc
                strange = not complete and strange is not False
                batch, failure = reader.batch(complete)
                yield batch
                if isinstance(failure, translate.InBandError):
                    raise error_in_band(failure.error, self.name) from failure
                if failure is not None:
                    raise self._malformed() from failure
        finally:
            response.give_back()

    async def _post(self, body: bytes, attempt: Attempt, handed_over: HandedOver) -> Response:
        """The answer to a request, once its status is good. Who takes it gives it back."""
        try:
            response = await self._connections.post(body, attempt.attempt_id, handed_over)
        except aiohttp.ClientError as exc:
            raise unreached(exc, self.name) from exc
        if response.status == 200:
            return response
        try:
            raise await self._refusal(response)
        finally:
            response.give_back()

    async def _refusal(self, response: Response) -> OmnixError:
        try:
            body = await response.body(_LARGEST_ERROR) or b""
        except aiohttp.ClientError:
            body = b""  # the status alone tells enough
        told = httpx2.Response(
            response.status,
            headers=[(name, value) for name, value in response.headers.items() if name.lower() in _TOLD],
            content=body,
            request=httpx2.Request("POST", _url(self._client)),
        )
        exc = self._client._make_status_error_from_response(told)
        error = error_of_status(exc, self.name, datetime.now(UTC))
        error.__cause__ = exc
        return error

    def _malformed(self) -> OmnixError:
        return Malformed("An event of the provider cannot be understood.", provider=self.name)

    def _cut(self) -> OmnixError:
        return Cut("The provider broke off in the middle of the answer.", provider=self.name)


_TOLD = frozenset({"retry-after", "retry-after-ms", "x-request-id", "content-type"})


def _url(client: AsyncOpenAI) -> str:
    return f"{str(client.base_url).rstrip('/')}/chat/completions"


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
        connections.opened(_url(client), _headers(client, upstream), upstream.keep_alive) as pool,
        Models.kept(upstream, client) as models,
    ):
        yield OpenAIProvider(upstream, client, pool, models)
