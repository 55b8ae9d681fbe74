"""Usage-metering: what it is made of, and in which order it starts and stops."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import grpc
from omnix_kit import dead, streams
from omnix_kit.durable.consuming import Consumer, consuming
from omnix_kit.durable.handling import Handler
from omnix_kit.durable.watching import Behind, watching
from omnix_kit.errors import ConfigurationError
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import grpc_server
from omnix_kit.runtime import Process, run
from omnix_store import Store, StoreError, open_store

from omnix_usage_metering import metrics
from omnix_usage_metering.entries import Filter, ModelTotal
from omnix_usage_metering.handlers import SERVICE, bookkeeping
from omnix_usage_metering.ledger import Ledger
from omnix_usage_metering.pricing.pricing import Pricing
from omnix_usage_metering.pricing.repository import Repository as PricingRepository
from omnix_usage_metering.pricing.rerating import Rerating
from omnix_usage_metering.pricing.servicer import register as register_pricing
from omnix_usage_metering.quotas.handlers import words
from omnix_usage_metering.quotas.limits import Subject
from omnix_usage_metering.quotas.quotas import Quotas
from omnix_usage_metering.quotas.repository import Repository as QuotaRepository
from omnix_usage_metering.quotas.servicer import register as register_quotas
from omnix_usage_metering.quotas.spending import Scope, Spending
from omnix_usage_metering.repository import Repository
from omnix_usage_metering.servicer import register
from omnix_usage_metering.settings import Settings
from omnix_usage_metering.statements.repository import Repository as StatementRepository
from omnix_usage_metering.statements.servicer import register as register_statements
from omnix_usage_metering.statements.statements import Statements

_STORE_WITHIN = timedelta(seconds=5)
"""Half of the time after which the stream gives an event to somebody else."""


def main() -> NoReturn:
    run(SERVICE, Settings, serve)


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(open_store(settings.store, timeout=_STORE_WITHIN))
        except StoreError as exc:
            raise ConfigurationError(f"OMNIX_STORE_URL: {exc}") from exc
        pricing = Pricing(PricingRepository(store), _now)
        repository = Repository(store)
        ledger = Ledger(repository, pricing.book)
        statements = Statements(StatementRepository(store), repository, pricing.credits, _now)
        messaging = await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        messaging.at_connection(lambda: streams.ensure(messaging.jetstream, streams.USAGE))
        messaging.at_connection(lambda: dead.ensure(messaging))
        readiness = process.readiness
        behind = Behind(messaging, streams.USAGE, streams.USAGE_METERING, metrics.PENDING, metrics.IN_HAND)
        await stack.enter_async_context(watching("store", readiness, lambda: _look_at(store)))
        await stack.enter_async_context(watching("stream", readiness, behind.look))
        spending = Spending(lambda scope: _costs(ledger, scope))
        quotas = Quotas(QuotaRepository(store), spending, words(messaging), _now, settings.lease_lifetime)

        def services(server: grpc.aio.Server) -> None:
            register(ledger)(server)
            register_quotas(quotas, _now)(server)
            register_pricing(pricing, Rerating(repository, pricing, _now), _now)(server)
            register_statements(statements)(server)

        names = [f"omnix.usage.v1.{name}Service" for name in ("Usage", "Quota", "Pricing", "Statement")]
        await stack.enter_async_context(grpc_server(settings, readiness, names, services))
        handler = Handler(bookkeeping(ledger, _now), messaging)
        await stack.enter_async_context(consuming(Consumer(messaging, "OMNIX_USAGE", SERVICE, handler.handle)))
        yield


async def _look_at(store: Store) -> str | None:
    try:
        await store.check()
    except StoreError as exc:
        return f"the store is away: {exc}"
    return None


async def _costs(ledger: Ledger, scope: Scope) -> Sequence[ModelTotal]:
    wanted = Filter(scope.tenant_id, start_time=scope.start_time, end_time=scope.end_time)
    match scope.subject:
        case Subject.TEAM:
            wanted = replace(wanted, team_id=scope.subject_id)
        case Subject.USER:
            wanted = replace(wanted, user_id=scope.subject_id)
        case Subject.KEY:
            wanted = replace(wanted, key_id=scope.subject_id)
    return await ledger.totals(wanted)


def _now() -> datetime:
    return datetime.now(UTC)
