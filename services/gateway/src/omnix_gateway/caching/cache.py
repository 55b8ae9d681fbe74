"""What becomes of a request's wish: its key, an answer that is there already, and what is counted of it."""

import asyncio
from dataclasses import dataclass
from time import time
from typing import Final

from omnix_gateway import metrics
from omnix_gateway.caching.convert import Request, key_of
from omnix_gateway.caching.entries import Entry
from omnix_gateway.caching.outcomes import Cached, Outcome
from omnix_gateway.caching.store import Store
from omnix_gateway.caching.wishes import HEADER, Operator, Wish, circle, wish
from omnix_gateway.chat.schema import CacheWish
from omnix_gateway.http.exchange import Exchange, Scope, header
from omnix_gateway.identity import Identity

_HEADER: Final = HEADER.encode()
_HASHED_HERE: Final = 256 * 1024
"""Bytes; more would hold everybody up for milliseconds."""
CALLS_OF_OTHERS: Final = 3
"""For so many a request waits, one after the other, before it makes its own."""


@dataclass(frozen=True)
class Cache:
    """The answers that are kept, and what the operator says of it."""

    store: Store
    operator: Operator

    def wish(self, scope: Scope, field: CacheWish | bool | None) -> Wish | None:
        """What a request wishes; None for the many that wish nothing."""
        return wish(header(scope, _HEADER), field, self.operator)

    async def key(self, identity: Identity, asked: Request, wish: Wish) -> bytes:
        if wish.is_nothing:
            return b""
        owner = identity.tenant_id, *circle(identity, self.operator.shared_by), wish.namespace
        if asked.ByteSize() > _HASHED_HERE:
            return await asyncio.to_thread(key_of, owner, asked)
        return key_of(owner, asked)

    async def entry(self, tenant_id: str, key: bytes, wish: Wish) -> Entry | None:
        return await self.store.get(tenant_id, key, wish.max_age) if wish.reads else None


def hit(exchange: Exchange, entry: Entry, id_prefix: bytes) -> None:
    source = id_prefix.decode() + entry.completion_id
    _note(exchange, Cached(Outcome.HIT, entry.age(time()), source))


def joined(exchange: Exchange) -> None:
    _note(exchange, Cached(Outcome.JOINED))


def called(exchange: Exchange, wish: Wish) -> None:
    """The vendor is asked."""
    _note(exchange, Cached(Outcome.MISS if wish.reads else Outcome.BYPASS))


def bypassed(exchange: Exchange) -> None:
    """The cache has nothing to do with it."""
    _note(exchange, Cached(Outcome.BYPASS))


def _note(exchange: Exchange, cached: Cached) -> None:
    exchange.cached = cached
    metrics.CACHE.labels(cached.outcome).inc()
