"""Bodies, bounded while they arrive."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

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

    async def read(self, scope: Scope, receive: Receive, *, media: bool = False) -> bytearray | bytes:
        """Read a body that may have ``limits.json`` bytes, and more where ``media`` is inline.

        A body is refused as early as possible: by its announced length; and as soon as ``limits.json`` bytes came
        without any media having begun, for what comes before the first media is JSON alone.

        :raises CallerError: ``PAYLOAD_TOO_LARGE``.
        """
        most = self.limits.media if media else self.limits.json
        announced = header(scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > most:
            raise too_large(most)
        try:
            async with asyncio.timeout(self.limits.timeout):
                data, more = await self._next(receive)
                if more:
                    return await self._rest(bytearray(data), receive, most)
        except TimeoutError:
            raise SlowBody from None
        if len(data) > most:
            raise too_large(most)
        return data

    async def _rest(self, body: bytearray, receive: Receive, most: int) -> bytearray:
        checked = False
        more = True
        while more:
            data, more = await self._next(receive)
            body += data
            if len(body) > most:
                raise too_large(most)
            if not checked and len(body) > self.limits.json:
                if not any(body.find(mark, 0, self.limits.json) >= 0 for mark in _INLINE_MEDIA):
                    raise too_large(self.limits.json)
                checked = True
        return body

    async def _next(self, receive: Receive) -> tuple[bytes, bool]:
        message = await receive()
        if message["type"] == "http.request":
            return message["body"], message["more_body"]
        raise ClientGone

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count a large body while it is in hand.

        :raises PlatformError: ``OVERLOADED`` when too many are.
        """
        if size <= self.limits.json:
            yield
            return
        if self._large + size > self.limits.in_hand:
            raise overloaded()
        self._large += size
        try:
            yield
        finally:
            self._large -= size


def too_large(limit: int) -> CallerError:
    return CallerError(
        f"The body is larger than {limit} bytes. Inline media (data URLs, audio, files) have a limit of their own.",
        reason=Reason.PAYLOAD_TOO_LARGE,
    )
