"""Analytics: what it is made of, and in which order it starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from omnix_kit import dead, streams
from omnix_kit.durable.consuming import Consumer, consuming
from omnix_kit.durable.handling import Handler
from omnix_kit.durable.watching import Behind, watching
from omnix_kit.errors import ConfigurationError
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import Remote, grpc_server
from omnix_kit.runtime import Process, run
from omnix_store import Store, StoreError, open_store

from omnix_analytics import metrics
from omnix_analytics.answering import Answering
from omnix_analytics.clients import LedgerClient
from omnix_analytics.handlers import SERVICE, counting
from omnix_analytics.journal import Journal
from omnix_analytics.rebuilding import Rebuilder, Rebuilds
from omnix_analytics.repository import Repository
from omnix_analytics.servicer import register
from omnix_analytics.settings import Settings
from omnix_analytics.waiting import ledger_has_all

_STORE_WITHIN = timedelta(seconds=5)
"""Half of the time after which the stream gives an event to somebody else."""

_BATCH = 1000
"""As many as may be in hand. A rollup is written once for all attempts of a batch, so that many cost a third each."""

_GATHER = timedelta(seconds=0.5)
"""Figures have two seconds to be shown, and a batch costs some milliseconds however few attempts are in it."""


def main() -> NoReturn:
    run(SERVICE, Settings, serve)


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(open_store(settings.store, timeout=_STORE_WITHIN))
        except StoreError as exc:
            raise ConfigurationError(f"OMNIX_STORE_URL: {exc}") from exc
        repository = Repository(store, settings.keeping, _now)
        journal = Journal(repository)
        rebuilds = Rebuilds(store, _now)
        answering = Answering(repository, rebuilds, settings.keeping, _now)
        readiness = process.readiness
        messaging = await stack.enter_async_context(nats_connection(settings, readiness, process.service))
        messaging.at_connection(lambda: streams.ensure(messaging.jetstream, streams.USAGE, streams.ANALYTICS))
        messaging.at_connection(lambda: dead.ensure(messaging))
        # Figures are shown without the ledger; only a rebuild needs it.
        remote = await stack.enter_async_context(Remote("usage-metering", settings.usage_metering_address, token))
        rebuilder = Rebuilder(
            rebuilds, journal, LedgerClient(remote), lambda: ledger_has_all(messaging), process.instance_id
        )
        behind = Behind(messaging, streams.USAGE, streams.ANALYTICS, metrics.PENDING, metrics.IN_HAND)
        await stack.enter_async_context(watching("store", readiness, lambda: _look_at(store)))
        await stack.enter_async_context(watching("stream", readiness, behind.look))
        await stack.enter_async_context(
            grpc_server(
                settings,
                readiness,
                ["omnix.analytics.v1.AnalyticsService"],
                register(answering, rebuilder, rebuilds, _now),
            )
        )
        await stack.enter_async_context(_running(rebuilder.run()))
        handler = Handler(counting(journal, settings.keeping, messaging, _now), messaging)
        consumer = Consumer(messaging, "OMNIX_USAGE", SERVICE, handler.handle, batch=_BATCH, gather=_GATHER)
        await stack.enter_async_context(consuming(consumer))
        yield


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _look_at(store: Store) -> str | None:
    try:
        await store.check()
    except StoreError as exc:
        return f"the store is away: {exc}"
    return None


def _now() -> datetime:
    return datetime.now(UTC)
