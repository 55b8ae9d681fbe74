"""The calls of one server that speaks the format."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from omnix_kit.errors import OmnixError

from omnix_provider.chatcompletions.answer import completion_from_wire
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.embeddings import embedding_body, embeddings_from_wire
from omnix_provider.chatcompletions.errors import InBandError, error_in_band
from omnix_provider.chatcompletions.events import EventReader
from omnix_provider.chatcompletions.request import request_body
from omnix_provider.chatcompletions.wire import UNREADABLE
from omnix_provider.connections import Connections, Response, unreached
from omnix_provider.errors import Cut, Malformed
from omnix_provider.sse import EventStream, EventTooLarge
from omnix_provider.types import (
    Attempt,
    Batch,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    HandedOver,
)

_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Server:
    """One server. It never retries."""

    provider: str
    connections: Connections
    """Their own path is that of chat."""
    embeddings_path: str
    refusal: Callable[[int, Mapping[str, str], bytes], OmnixError]
    """What an answer with an error status means, by its headers and its body."""

    async def complete(
        self, request: CompletionRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> Completion:
        body = request_body(request, attempt, dialect, stream=False)
        return await self.asked(body, attempt, handed_over, completion_from_wire)

    async def embed(
        self, request: EmbeddingRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> Embeddings:
        body = embedding_body(request, attempt, dialect)
        return await self.asked(body, attempt, handed_over, embeddings_from_wire, path=self.embeddings_path)

    async def asked(
        self,
        body: bytes,
        attempt: Attempt,
        handed_over: HandedOver,
        understand: Callable[[bytes], AnswerT],
        *,
        path: str | None = None,
    ) -> AnswerT:
        """The whole answer to a request.

        :param understand: raises one of ``wire.UNREADABLE`` for what is no answer, and ``InBandError`` for an error.
        """
        response = await self._post(body, attempt, handed_over, path)
        try:
            answer = await response.body(_LARGEST_ANSWER)
        except aiohttp.ClientError as exc:
            raise self._cut() from exc
        finally:
            response.give_back()
        if answer is None:
            raise Malformed("The provider's answer is too large.", provider=self.provider)
        try:
            return understand(answer)
        except InBandError as exc:
            raise error_in_band(exc.error, self.provider) from exc
        except UNREADABLE as exc:
            raise Malformed("The provider's answer cannot be understood.", provider=self.provider) from exc

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        body = request_body(request, attempt, dialect, stream=True)
        events, reader = EventStream(), EventReader()
        strange: bool | None = None  # what came so far holds no event, as when a proxy answers with a page
        response = await self._post(body, attempt, handed_over, None)
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
                if isinstance(failure, InBandError):
                    raise error_in_band(failure.error, self.provider) from failure
                if failure is not None:
                    raise self._malformed() from failure
        finally:
            response.give_back()

    async def _post(self, body: bytes, attempt: Attempt, handed_over: HandedOver, path: str | None) -> Response:
        """The answer to a request, once its status is good. Who takes it gives it back."""
        try:
            response = await self.connections.post(body, attempt.attempt_id, handed_over, path=path)
        except aiohttp.ClientError as exc:
            raise unreached(exc, self.provider) from exc
        if response.status == 200:
            return response
        try:
            raise await self._refused(response)
        finally:
            response.give_back()

    async def _refused(self, response: Response) -> OmnixError:
        try:
            body = await response.body(_LARGEST_ERROR) or b""
        except aiohttp.ClientError:
            body = b""  # the status alone tells enough
        return self.refusal(response.status, response.headers, body)

    def _malformed(self) -> OmnixError:
        return Malformed("An event of the provider cannot be understood.", provider=self.provider)

    def _cut(self) -> OmnixError:
        return Cut("The provider broke off in the middle of the answer.", provider=self.provider)
