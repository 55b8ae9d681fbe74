"""The calls of one server that speaks the format."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from omnix_kit.errors import OmnixError

from omnix_provider.chatcompletions.answer import completion_from_wire, usage_in
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.embeddings import embedding_body, embedding_usage_in, embeddings_from_wire
from omnix_provider.chatcompletions.errors import InBandError, error_in_band
from omnix_provider.chatcompletions.events import EventReader
from omnix_provider.chatcompletions.request import request_body
from omnix_provider.chatcompletions.wire import UNREADABLE
from omnix_provider.errors import Failed, Malformed, Refused
from omnix_provider.exchange import Exchange, Refusal
from omnix_provider.sse import EventStream, EventTooLarge
from omnix_provider.types import (
    Attempt,
    Batch,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    HandedOver,
    Usage,
)

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Server:
    """One server. It never retries."""

    exchange: Exchange
    """The path of its connections is that of chat."""
    embeddings_path: str
    refusal: Refusal

    async def complete(
        self, request: CompletionRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> Completion:
        body = request_body(request, attempt, dialect, stream=False)
        return await self.asked(body, attempt, handed_over, completion_from_wire, usage_in)

    async def embed(
        self, request: EmbeddingRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> Embeddings:
        body = embedding_body(request, attempt, dialect)
        return await self.asked(
            body, attempt, handed_over, embeddings_from_wire, embedding_usage_in, path=self.embeddings_path
        )

    async def asked(
        self,
        body: bytes,
        attempt: Attempt,
        handed_over: HandedOver,
        understand: Callable[[bytes], AnswerT],
        counted: Callable[[bytes], Usage | None],
        *,
        path: str | None = None,
    ) -> AnswerT:
        """The whole answer to a request.

        :param understand: raises one of ``wire.UNREADABLE`` for what is no answer, and ``InBandError`` for an error.
        :param counted: the vendor's count in what is not understood, which may have cost all the same.
        """
        with await self.exchange.post(body, attempt, handed_over, self.refusal, path=path) as answer:
            told = await answer.whole()
        try:
            return understand(told)
        except InBandError as exc:
            error = error_in_band(exc.error, self.exchange.provider)
            if isinstance(error, Refused | Failed):
                error.usage = counted(told)
            raise error from exc
        except UNREADABLE as exc:
            malformed = Malformed("The provider's answer cannot be understood.", provider=self.exchange.provider)
            malformed.usage = counted(told)
            raise malformed from exc

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, dialect: Dialect, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        body = request_body(request, attempt, dialect, stream=True)
        events, reader = EventStream(), EventReader()
        strange: bool | None = None  # what came so far holds no event, as when a proxy answers with a page
        with await self.exchange.post(body, attempt, handed_over, self.refusal) as answer:
            content = answer.content
            while received := await content.readany():
                try:
                    complete = events.feed(received)
                except EventTooLarge as exc:
                    raise self._malformed() from exc
                strange = not complete and strange is not False
                batch, failure = reader.batch(complete)
                yield batch
                if isinstance(failure, InBandError):
                    raise error_in_band(failure.error, self.exchange.provider) from failure
                if failure is not None:
                    raise self._malformed() from failure
            if strange:
                raise self._malformed()

    def _malformed(self) -> OmnixError:
        return Malformed("An event of the provider cannot be understood.", provider=self.exchange.provider)
