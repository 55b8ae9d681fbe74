"""Vectors that are answered from the cache, or with the answer to an identical request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from omnix_gateway import metrics
from omnix_gateway.caching import cache
from omnix_gateway.caching.cache import Cache
from omnix_gateway.caching.convert import EmbedResponse, vectors_from_bytes, vectors_to_bytes
from omnix_gateway.caching.flights import Flight, Flights, LeaderLost
from omnix_gateway.caching.wishes import Wish
from omnix_gateway.clients import Router
from omnix_gateway.embeddings.convert import ProtoRequest, refuse_wrong_count
from omnix_gateway.http.exchange import Exchange
from omnix_gateway.identity import Identity

Vectors = Flight[EmbedResponse]


@dataclass(frozen=True)
class CachedEmbeddings:
    """Answers without a call where it can, and otherwise makes one that others may share."""

    cache: Cache
    flights: Flights[Vectors]
    router: Router

    async def embed(
        self,
        exchange: Exchange,
        identity: Identity,
        asked: ProtoRequest,
        wish: Wish,
        left: Callable[[], timedelta | None],
        id_prefix: bytes,
    ) -> EmbedResponse:
        """:param left: what is left of the time that the caller gave."""
        own_id = exchange.completion_id
        key = await self.cache.key(identity, asked, wish)
        flight = self._under_way(key, wish)
        if flight is None:
            entry = await self.cache.entry(identity.tenant_id, key, wish)
            if entry is not None:
                response = vectors_from_bytes(entry.body, len(asked.inputs))
                if response is not None:
                    cache.hit(exchange, entry, id_prefix)
                    return response
                metrics.CACHE_ERRORS.labels("garbage").inc()
            flight = self._under_way(key, wish)
        for _ in range(cache.CALLS_OF_OTHERS):
            if flight is None:
                break
            exchange.completion_id = flight.completion_id
            try:
                with flight.boarded(wish.ttl):
                    within = left()
                    response = await flight.outcome_for(identity, None if within is None else within.total_seconds())
            except LeaderLost:
                flight = self._under_way(key, wish)
            else:
                cache.joined(exchange)
                return response
        exchange.completion_id = own_id
        cache.called(exchange, wish)
        within = left()
        call = self._call(own_id, identity, asked, within)
        flight = Flight(key, own_id, identity, call, hurried=within is not None)
        self.flights.begin(flight, shared=wish.joins, keep=self._keep)
        with flight.boarded(wish.ttl):
            return await flight.outcome()

    async def _call(
        self, completion_id: str, identity: Identity, asked: ProtoRequest, within: timedelta | None
    ) -> EmbedResponse:
        response = await self.router.embed(completion_id, identity.caller, asked, within)
        refuse_wrong_count(response, asked)
        return response

    def _under_way(self, key: bytes, wish: Wish) -> Vectors | None:
        return self.flights.find(key) if wish.joins else None

    async def _keep(self, flight: Vectors) -> None:
        response, store = flight.task.result(), self.cache.store
        if store.fits(response.ByteSize()):
            body = vectors_to_bytes(response)
            await store.put(flight.leader.tenant_id, flight.key, body, flight.ttl, flight.completion_id)
