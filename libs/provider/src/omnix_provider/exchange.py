"""A request to a vendor and its answer, with what can go wrong between them told as the attempt's error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from aiohttp.streams import StreamReader
from omnix_kit.errors import OmnixError

from omnix_provider.connections import Connections, Response, unreached
from omnix_provider.errors import Cut, Malformed
from omnix_provider.types import Attempt, HandedOver

_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024

Refusal = Callable[[int, Mapping[str, str], bytes], OmnixError]
"""What an answer with another status than 200 means, by its status, its headers and what is known of its body."""


class Answer:
    """An answer whose status is good, to be read inside a ``with``.

    Its end gives the connection back, and there an ``aiohttp.ClientError`` of the body becomes ``Cut``: reading costs
    nothing for each piece.
    """

    __slots__ = ("_provider", "_response")

    def __init__(self, response: Response, provider: str) -> None:
        self._response = response
        self._provider = provider

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in any case."""
        return self._response.headers

    @property
    def content(self) -> StreamReader:
        return self._response.content

    async def whole(self) -> bytes:
        """:raises Malformed: when it is too large."""
        body = await self._response.body(_LARGEST_ANSWER)
        if body is None:
            raise Malformed("The provider's answer is too large.", provider=self._provider)
        return body

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._response.give_back()
        if isinstance(exc, aiohttp.ClientError):
            raise Cut("The provider broke off in the middle of the answer.", provider=self._provider) from exc


@dataclass(frozen=True, slots=True)
class Exchange:
    """With one vendor. It never retries."""

    provider: str
    connections: Connections

    async def post(
        self,
        body: bytes,
        attempt: Attempt,
        handed_over: HandedOver,
        refusal: Refusal,
        *,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to a request, once its status is good. Who takes it enters it at once.

        :param path: as for ``Connections.post``, and so are the headers.
        :raises OmnixError: that of ``refusal``; or ``Unavailable``, when there is no answer.
        """
        try:
            response = await self.connections.post(body, attempt.attempt_id, handed_over, path=path, headers=headers)
        except aiohttp.ClientError as exc:
            raise unreached(exc, self.provider) from exc
        if response.status == 200:
            return Answer(response, self.provider)
        try:
            said = await response.body(_LARGEST_ERROR) or b""
        except aiohttp.ClientError:
            said = b""  # status and headers tell enough
        finally:
            response.give_back()
        raise refusal(response.status, response.headers, said)
