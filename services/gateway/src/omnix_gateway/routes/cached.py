"""Chat completions that are answered from the cache, or with the answer to an identical request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from omnix_kit.errors import OmnixError, Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.caching import cache
from omnix_gateway.caching.cache import Cache
from omnix_gateway.caching.collecting import Unfit
from omnix_gateway.caching.completions import LEFT, WHOLE, Lead, SharedCompletions, Streamed, Unary
from omnix_gateway.caching.convert import CompleteResponse, completion_from_bytes
from omnix_gateway.caching.entries import Entry
from omnix_gateway.caching.flights import LeaderLost
from omnix_gateway.caching.wishes import Wish
from omnix_gateway.chat.convert import CompletionRequest
from omnix_gateway.clients import Started
from omnix_gateway.http.exchange import Exchange, Scope, Send, WhileConnected
from omnix_gateway.http.server import ABORT
from omnix_gateway.http.wire import WIRE
from omnix_gateway.identity import Identity
from omnix_gateway.policies import OnDisconnect
from omnix_gateway.routes.answered import left
from omnix_gateway.routes.completed import ID_PREFIX, headers_of, tell, tell_as_stream
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.streaming.streams import OpenStream


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a completion; one without a policy is not streamed."""

    scope: Scope
    send: Send
    exchange: Exchange
    identity: Identity
    request: CompletionRequest
    policy: OnDisconnect | None
    include_usage: bool
    within: timedelta | None

    @property
    def left(self) -> timedelta | None:
        return left(self.within, self.exchange)

    @property
    def seconds_left(self) -> float | None:
        rest = self.left
        return None if rest is None else rest.total_seconds()


class _Alone(Exception):
    """The call of others cannot be followed."""


@dataclass(frozen=True)
class CachedCompletions:
    """Answers without a call where it can, and otherwise makes one that others may share."""

    cache: Cache
    shared: SharedCompletions

    async def answer(self, asked: Asked, wish: Wish, stream: Callable[[Lead], Awaitable[None]]) -> None:
        """:param stream: streams an answer that is begun through the lead."""
        exchange, identity = asked.exchange, asked.identity
        completion_id = exchange.completion_id
        key = await self.cache.key(identity, asked.request, wish)
        flight = self._under_way(key, wish)
        if flight is None and wish.reads:
            with WhileConnected(asked.scope):
                entry = await self.cache.entry(identity.tenant_id, key, wish)
            if entry is not None and await self._answered_from(entry, asked):
                return
            flight = self._under_way(key, wish)
        if flight is not None and await self._joined(flight, asked, key, wish):
            return
        exchange.completion_id = completion_id
        cache.called(exchange, wish)
        if asked.policy is None:
            call = self.shared.complete(key, completion_id, identity, asked.request, asked.left, shared=wish.joins)
            with WhileConnected(asked.scope), call.boarded(wish.ttl):
                response = await call.outcome()
            await tell(asked.send, exchange, response)
            return
        lead = Lead(self.shared, key, identity, wish, asked.policy)
        try:
            await stream(lead)
        finally:
            await lead.get_off(exchange.stream_end)

    def _under_way(self, key: bytes, wish: Wish) -> Unary | Streamed | None:
        return self.shared.flights.find(key) if wish.joins else None

    async def _answered_from(self, entry: Entry, asked: Asked) -> bool:
        response = completion_from_bytes(entry.body)
        if response is None:
            metrics.CACHE_ERRORS.labels("garbage").inc()
            return False
        cache.hit(asked.exchange, entry, ID_PREFIX)
        await self._tell(asked, response)
        return True

    async def _tell(self, asked: Asked, response: CompleteResponse) -> None:
        if asked.policy is None:
            await tell(asked.send, asked.exchange, response)
        else:
            await tell_as_stream(asked.send, asked.exchange, response, include_usage=asked.include_usage)

    async def _joined(self, flight: Unary | Streamed | None, asked: Asked, key: bytes, wish: Wish) -> bool:
        """Answer with what others get; False when a call of its own must be made, at once."""
        for _ in range(cache.CALLS_OF_OTHERS):
            if flight is None:
                return False
            asked.exchange.completion_id = flight.completion_id
            try:
                if isinstance(flight, Streamed):
                    await self._follow(flight, asked, wish)
                else:
                    with WhileConnected(asked.scope), flight.boarded(wish.ttl):
                        response = await flight.outcome_for(asked.identity, asked.seconds_left)
                    cache.joined(asked.exchange)
                    await self._tell(asked, response)
            except LeaderLost:
                flight = self._under_way(key, wish)
            except _Alone:
                return False
            else:
                return True
        return False

    async def _follow(self, flight: Streamed, asked: Asked, wish: Wish) -> None:
        exchange, identity = asked.exchange, asked.identity
        flight.board_stream(wish, asked.policy)
        how = LEFT
        try:
            with WhileConnected(asked.scope):
                started = await flight.outcome_for(identity, asked.seconds_left)
                if not await self.shared.is_recorded(flight.completion_id):
                    how = "unrecorded"
                    raise _Alone
            is_leaders = identity.key_id == flight.leader.key_id
            async with self.shared.streams.join(
                flight.completion_id, identity, owner=is_leaders, abort=asked.scope[ABORT]
            ) as stream:
                if asked.policy is not None:
                    cache.joined(exchange)
                    metrics.FIRST_CONTENT_SECONDS.observe(exchange.milliseconds / 1000)
                    await begin_events(asked.send, headers_of(exchange, started))
                    client = Client(exchange, asked.send, asked.scope[WIRE], asked.include_usage)
                    await send_events(stream.reader, client)
                    how = exchange.stream_end
                    return
                with WhileConnected(asked.scope):
                    response = await self._whole(stream, started, asked.seconds_left)
                how = WHOLE
        finally:
            await self.shared.get_off(flight, how)
        cache.joined(exchange)
        await tell(asked.send, exchange, response)

    async def _whole(self, stream: OpenStream, started: Started, within: float | None) -> CompleteResponse:
        try:
            async with asyncio.timeout(within):
                return await self.shared.whole(stream, started)
        except TimeoutError as exc:
            raise error_for(Reason.DEADLINE_EXCEEDED, "The answer did not come in time.") from exc
        except Unfit as exc:
            raise _Alone from exc
        except OmnixError as exc:
            if exc.reason is Reason.CANCELLED:
                raise LeaderLost from exc
            if exc.reason in (Reason.STREAM_LOST, Reason.STREAM_TOO_SLOW):
                raise _Alone from exc
            raise
