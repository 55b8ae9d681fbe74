"""What all gateways remember together of calls with a key: the JetStream stream ``OMNIX_IDEMPOTENCY``.

The last message of a key's subject, replaced by whoever read it. Without the stream no call with a key is made.
"""

import logging
import math
import time
from datetime import timedelta
from typing import Final

import nats.errors
from nats.js.errors import APIError, NoStreamResponseError
from omnix_kit import streams, subjects
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.messaging import Messaging
from omnix_kit.timeouts import insisting

from omnix_gateway.idempotency.records import Record, from_bytes, to_bytes

_log = logging.getLogger(__name__)

_GET: Final = f"$JS.API.DIRECT.GET.{streams.IDEMPOTENCY.name}."
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_TTL: Final = "Nats-TTL"
_NOT_FOUND: Final = "404"
_WRONG_SEQUENCE: Final = 10071
_NO_ROOM: Final = 10077
_WITHIN: Final = 2.0
_ENSURE_AGAIN_AFTER: Final = 5.0
_MARGIN: Final = 0.05
_OF_THE_ENVELOPE: Final = 4096
_WHEN_FULL: Final = timedelta(seconds=60)


class Full(Exception):
    """The stream takes nothing more."""


class Uncertain(Exception):
    """Whether the record was written is not known."""


class Store:
    """Reads and replaces records; a record is named by its tenant and its place there."""

    def __init__(self, messaging: Messaging, most_bytes: int) -> None:
        self._messaging = messaging
        self._most = most_bytes
        self._ensured = False
        self._ensured_at = -math.inf

    async def on_connection(self) -> None:
        """At every NATS connection: the server may have come back without its disk.

        One that has no room for the stream keeps nobody from being answered who gives no key.
        """
        await self._ensure()

    async def _ensure(self) -> None:
        self._ensured_at = time.monotonic()
        try:
            await streams.ensure(self._messaging.jetstream, streams.IDEMPOTENCY)
        except Exception as exc:  # whatever it is, calls with a key are refused and all others are made
            self._ensured = False
            _log.error("calls with a key cannot be remembered", extra={"error": repr(exc)})
        else:
            self._ensured = True

    @property
    def most_bytes(self) -> int:
        """How large an answer may be that is kept."""
        return min(self._most, self._messaging.client.max_payload - _OF_THE_ENVELOPE)

    async def read(self, tenant_id: str, place: str) -> tuple[int, Record] | None:
        """The record and its number.

        :raises PlatformError: ``UNAVAILABLE`` when it cannot be read.
        """
        client = self._messaging.client
        if not client.is_connected:
            raise away()
        subject = subjects.call_claimed(tenant_id, place)
        try:
            # The client gives up by itself; unless the connection breaks at this moment, and then it waits for ever.
            with insisting(_WITHIN + _MARGIN):
                message = await client.request(_GET + subject, b"", timeout=_WITHIN)
        except (TimeoutError, nats.errors.Error, OSError) as exc:
            raise away() from exc
        headers = message.headers or {}
        status = headers.get("Status")
        if status is not None:
            if status == _NOT_FOUND:
                return None
            raise away()
        record = from_bytes(message.data)
        if record is None:
            _log.error("what is remembered of a call cannot be read", extra={"subject": subject})
            raise error_for(Reason.INTERNAL, "What is remembered of the first call with this key cannot be read.")
        return int(headers["Nats-Sequence"]), record

    async def write(self, tenant_id: str, place: str, record: Record, expected: int) -> int | None:
        """Put the record in place of the one that has this number, 0 for none; answers its number.

        None when another one stands there.

        :raises PlatformError: ``UNAVAILABLE``; it was not written.
        :raises Full: neither was it.
        :raises Uncertain: nobody knows.
        """
        if not self._messaging.client.is_connected:
            raise away()
        if not self._ensured and time.monotonic() - self._ensured_at > _ENSURE_AGAIN_AFTER:
            try:
                with insisting(_WITHIN):
                    await self._ensure()
            except TimeoutError as exc:
                raise away() from exc
        if not self._ensured:
            raise away()
        left = max(1, math.ceil(record.until - time.time()))
        headers = {_EXPECTED: str(expected), _TTL: str(left)}
        subject = subjects.call_claimed(tenant_id, place)
        try:
            with insisting(_WITHIN + _MARGIN):
                told = await self._messaging.jetstream.publish(
                    subject, to_bytes(record), timeout=_WITHIN, headers=headers
                )
        except APIError as exc:
            if exc.err_code == _WRONG_SEQUENCE:
                return None
            if exc.err_code == _NO_ROOM:
                raise Full from exc
            raise away() from exc
        except NoStreamResponseError as exc:
            self._ensured, self._ensured_at = False, -math.inf
            raise away() from exc
        except (TimeoutError, nats.errors.Error, OSError) as exc:
            raise Uncertain from exc
        return told.seq


def away() -> OmnixError:
    return error_for(
        Reason.UNAVAILABLE,
        "Calls with a key cannot be remembered at the moment; this one was not made.",
        retry_after=timedelta(seconds=1),
    )


def full() -> OmnixError:
    return error_for(
        Reason.OVERLOADED,
        "No more keys can be remembered at the moment; this call was not made.",
        retry_after=_WHEN_FULL,
    )
