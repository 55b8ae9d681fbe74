"""Bodies, bounded while they arrive."""

import asyncio
from dataclasses import dataclass
from typing import Final, Self

from omnix_kit.errors import CallerError, Reason

from omnix_gateway.errors import overloaded
from omnix_gateway.http.exchange import ClientGone, Receive, Scope, header

_INLINE_MEDIA: Final = (b";base64,", b'"input_audio"', b'"file_data"')


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """``json`` bytes, inline media apart; ``media`` bytes altogether; seconds to send them."""

    json: int
    media: int
    in_hand: int
    timeout: float


class SlowBody(Exception):
    """The body did not arrive in time."""


class Bodies:
    """Reads bodies, and holds no more of the large ones at once than it may."""

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self._large = 0

    def in_hand(self) -> "Body":
        return Body(self)

    def take(self, size: int) -> None:
        """:raises PlatformError: ``OVERLOADED`` when that many bytes of large bodies are too many."""
        if self._large + size > self.limits.in_hand:
            raise overloaded()
        self._large += size

    def give_back(self, size: int) -> None:
        self._large -= size


class Body:
    """One body, counted while inside when it is large, and while it arrives."""

    __slots__ = ("_bodies", "_limits", "_taken")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._limits = bodies.limits
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._bodies.give_back(self._taken)

    async def read(self, scope: Scope, receive: Receive, *, media: bool = False, most: int = 0) -> bytearray | bytes:
        """Read a body that may have ``limits.json`` bytes, or ``most``, and more where ``media`` is inline.

        A body is refused as early as possible: by its announced length; and as soon as ``limits.json`` bytes came
        without any media having begun, for what comes before the first media is JSON alone.

        :raises CallerError: ``PAYLOAD_TOO_LARGE``.
        :raises PlatformError: ``OVERLOADED`` when too much of large bodies is in hand.
        """
        limits = self._limits
        most = limits.media if media else max(limits.json, most)
        announced = header(scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > most:
            raise too_large(most)
        try:
            async with asyncio.timeout(limits.timeout):
                data, more = await self._next(receive)
                if more:
                    self._count(len(data))
                    return await self._rest(bytearray(data), receive, most, media)
        except TimeoutError:
            raise SlowBody from None
        if len(data) > most:
            raise too_large(most)
        self._count(len(data))
        return data

    async def _rest(self, body: bytearray, receive: Receive, most: int, media: bool) -> bytearray:
        checked = not media
        more = True
        while more:
            data, more = await self._next(receive)
            body += data
            if len(body) > most:
                raise too_large(most)
            if not checked and len(body) > self._limits.json:
                if not any(body.find(mark, 0, self._limits.json) >= 0 for mark in _INLINE_MEDIA):
                    raise too_large(self._limits.json)
                checked = True
            self._count(len(body))
        return body

    def hold(self, size: int) -> None:
        """Count bytes that come to be held besides the body, until the request is answered.

        :raises PlatformError: ``OVERLOADED`` when they are too many.
        """
        self._bodies.take(size)
        self._taken += size

    def _count(self, size: int) -> None:
        if size > self._limits.json:
            self._bodies.take(size - self._taken)
            self._taken = size

    async def _next(self, receive: Receive) -> tuple[bytes, bool]:
        message = await receive()
        if message["type"] == "http.request":
            return message["body"], message["more_body"]
        raise ClientGone


def too_large(limit: int) -> CallerError:
    return CallerError(
        f"The body is larger than {limit} bytes. Inline media (data URLs, audio, files) have a limit of their own.",
        reason=Reason.PAYLOAD_TOO_LARGE,
    )
