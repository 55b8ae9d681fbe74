"""Calls for chat completions that are shared, whole and streamed: how they begin, end and are kept."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from google.protobuf.message import DecodeError
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason

from omnix_gateway import metrics
from omnix_gateway.caching.collecting import TooLarge, Unfit, collected
from omnix_gateway.caching.convert import CompleteResponse, completion_of_stream, completion_to_bytes, is_whole
from omnix_gateway.caching.flights import Flight, Flights
from omnix_gateway.caching.store import Store
from omnix_gateway.caching.wishes import Wish
from omnix_gateway.chat.convert import CompletionRequest
from omnix_gateway.clients import Router, Started
from omnix_gateway.errors import code_of
from omnix_gateway.identity import Identity
from omnix_gateway.policies import CONTINUE, OnDisconnect
from omnix_gateway.streaming.convert import chunks_from_bytes
from omnix_gateway.streaming.streams import OpenStream, Streams

WHOLE: Final = "whole"
LEFT: Final = "left"
"""How a stream ends for one of its clients, as ``routes.events`` says it; anything else is an error."""

_REVOKED: Final = code_of(Reason.KEY_REVOKED)
_OF_THE_READER: Final = (LEFT, _REVOKED, code_of(Reason.STREAM_TOO_SLOW))
"""How it ends for one client and for no other."""

_KEPT_WITHIN: Final = 600.0
_LOOKS: Final = (0, 0.01, 0.04, 0.2)
"""Pauses in seconds."""
_OVERHEAD: Final = 4
"""How many times larger chunks may be than the answer that they are."""


class Unary(Flight[CompleteResponse]):
    """A call that is answered whole."""


class Streamed(Flight[Started]):
    """A call that is answered by chunks: its outcome is that they begin."""

    goes_on = False
    """Somebody wished that it comes to its end though nobody reads it."""
    left: OpenStream | None = None
    """The leading request's, after its client left in the middle."""
    is_orphaned = False
    """The client of the leading request left."""
    is_landed = False

    def board_stream(self, wish: Wish, policy: OnDisconnect | None) -> None:
        self.board(wish.ttl)
        self.goes_on = self.goes_on or policy == CONTINUE


@dataclass(frozen=True)
class SharedCompletions:
    store: Store
    flights: Flights[Unary | Streamed]
    router: Router
    streams: Streams

    def complete(
        self,
        key: bytes,
        completion_id: str,
        identity: Identity,
        request: CompletionRequest,
        within: timedelta | None,
        *,
        shared: bool,
    ) -> Unary:
        call = self.router.complete(completion_id, identity.caller, request, within)
        flight = Unary(key, completion_id, identity, call, hurried=within is not None)
        self.flights.begin(flight, shared=shared, keep=self._keep)
        return flight

    async def is_recorded(self, completion_id: str) -> bool:
        """Whether the recording has a stream from its beginning on; it may be a moment behind."""
        for pause in _LOOKS:
            await asyncio.sleep(pause)
            try:
                first = await self.streams.recording.first(completion_id)
                if first is not None:
                    return chunks_from_bytes(first.data).HasField("start")
            except (OmnixError, DecodeError):
                return False
        return False

    async def whole(self, stream: OpenStream, started: Started) -> CompleteResponse:
        """Read a stream to its end.

        :raises OmnixError: why it is not whole.
        :raises Unfit: when it cannot be put together.
        """
        return completion_of_stream(started, *await collected(stream.reader, _OVERHEAD * self.store.bounds.entry))

    async def get_off(self, flight: Streamed, how: str) -> None:
        """A request is done with a stream that ended for it like this. The last one decides what becomes of it."""
        is_last = flight.get_off()
        if how == WHOLE or (is_last and how == LEFT and flight.goes_on and flight.is_orphaned and flight.task.done()):
            self._land(flight)
            return
        if is_last or how not in _OF_THE_READER:
            self.flights.end(flight)
        if not is_last or not flight.is_orphaned:
            return
        if flight.left is not None:
            await self.streams.leave(flight.left)
        else:
            await self.cancel(flight, "client")

    def _land(self, flight: Streamed) -> None:
        if not flight.is_landed:
            flight.is_landed = True
            self.flights.land(flight, self._keep)

    async def cancel(self, flight: Streamed, cause: str) -> None:
        flight.task.cancel()
        await self.streams.cancel(flight.completion_id, cause)

    async def _keep(self, flight: Unary | Streamed) -> None:
        try:
            response = flight.task.result() if isinstance(flight, Unary) else await self._replayed(flight)
        except TooLarge:
            metrics.CACHE_STORES.labels("too-large").inc()
            return
        except (OmnixError, TimeoutError, Unfit):
            metrics.CACHE_STORES.labels("not-whole").inc()
            return
        if not is_whole(response):
            metrics.CACHE_STORES.labels("not-whole").inc()
            return
        tenant_id = flight.leader.tenant_id
        await self.store.put(tenant_id, flight.key, completion_to_bytes(response), flight.ttl, flight.completion_id)

    async def _replayed(self, flight: Streamed) -> CompleteResponse:
        async with (
            asyncio.timeout(_KEPT_WITHIN),
            self.streams.join(flight.completion_id, flight.leader, owner=False, abort=_nobody) as stream,
        ):
            return await self.whole(stream, flight.task.result())


def _nobody() -> None:
    """There is no connection to be cut."""


class Lead:
    """Stands for router and streams before the request that leads a streamed call: it may end only what is its own."""

    def __init__(
        self, shared: SharedCompletions, key: bytes, identity: Identity, wish: Wish, policy: OnDisconnect
    ) -> None:
        self._shared = shared
        self._key = key
        self._identity = identity
        self._wish = wish
        self._policy = policy
        self._flight: Streamed | None = None

    async def start(
        self,
        completion_id: str,
        caller: Caller,
        request: CompletionRequest,
        chunk_subject: str,
        within: timedelta | None = None,
    ) -> Started:
        call = self._shared.router.start(completion_id, caller, request, chunk_subject, within)
        flight = Streamed(self._key, completion_id, self._identity, call, hurried=within is not None)
        flight.board_stream(self._wish, self._policy)
        self._shared.flights.begin(flight, shared=self._wish.joins, keep=None)
        self._flight = flight
        return await flight.outcome()

    async def cancel(self, completion_id: str, cause: str) -> None:
        """The client left before the answer began, or something failed."""
        flight = self._flight
        if flight is None:
            return
        failed = flight.task.done() and (flight.task.cancelled() or flight.task.exception() is not None)
        if flight.members == 1 or failed:
            self._shared.flights.end(flight)
            await self._shared.cancel(flight, cause)
        else:
            flight.is_orphaned = True

    async def leave(self, stream: OpenStream) -> None:
        """The client left in the middle."""
        if self._flight is not None:
            self._flight.is_orphaned = True
            self._flight.left = stream

    async def get_off(self, how: str) -> None:
        if self._flight is not None:
            if how == _REVOKED:
                self._shared.flights.end(self._flight)
            await self._shared.get_off(self._flight, how or LEFT)
