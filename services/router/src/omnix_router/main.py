"""The router's composition: the only place that constructs clients."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
from omnix_kit.errors import ConfigurationError
from omnix_kit.messaging import Messaging, nats_connection
from omnix_kit.rpc import grpc_server
from omnix_kit.runtime import Process, run
from omnix_store import Store, StoreError, open_store

from omnix_router.adapters import Adapters
from omnix_router.attempts import Attempts
from omnix_router.calling import Calling
from omnix_router.catalogue.in_force import CatalogueInForce
from omnix_router.catalogue.reading import IMPORTED
from omnix_router.catalogue.refreshing import refreshed
from omnix_router.catalogue.writing import Importer
from omnix_router.clients import AdapterClient
from omnix_router.handlers import Cancellations, Senders
from omnix_router.health.admission import Admission
from omnix_router.health.circuits import Rules
from omnix_router.health.sharing import Sharing
from omnix_router.health.state import Health
from omnix_router.mirroring import Mirroring
from omnix_router.patience import Patience
from omnix_router.plugins.reaching import PluginsInForce
from omnix_router.policies import Limits
from omnix_router.recovery.keeping import Answers
from omnix_router.recovery.opened import Bounds as RecoveryBounds
from omnix_router.recovery.recovering import Recovering
from omnix_router.registration.handlers import Heartbeats
from omnix_router.registration.registering import Registering
from omnix_router.routes_watch import RoutesInForce
from omnix_router.servicer import SERVICE, RouterServicer, register
from omnix_router.settings import AdapterAddress, Settings
from omnix_router.stored import servicer as stored_routes
from omnix_router.stored.following import StoredRoutes
from omnix_router.stored.handlers import RouteWords
from omnix_router.stored.managing import Kept, Managing
from omnix_router.stored.repository import Repository

_KNOWN_AFTER_LEAVING = timedelta(minutes=10)
"""An adapter that registered itself: its callers hear that it is away, and not that nobody knows it."""


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        catalogue = CatalogueInForce(settings.catalogue_file, settings.data_dir / IMPORTED)
        routes = RoutesInForce(settings.routes_file, catalogue.current, {adapter.name for adapter in settings.adapters})
        store = await _opened(settings, stack)
        messaging = await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        adapters = Adapters(
            _clients(settings, stack), catalogue.current, settings.adapter_poll, settings.adapters_within
        )
        health = Health(_rules(settings), process.instance_id)
        sharing = Sharing(messaging, health)
        attempts = Attempts(Limits(attempts=settings.attempts), Admission(health, sharing.claim), adapters.is_reachable)
        calling = Calling(adapters, health, _patience(settings), settings.idle_timeout)
        answers = _answers(settings, process, messaging, calling, health)
        mirroring = Mirroring(
            adapters,
            health,
            settings.mirrored_at_once,
            settings.completion_deadline,
            strict_reasoning=settings.strict_reasoning,
        )
        cancellations = Cancellations(messaging, attempts, answers, mirroring)
        messaging.at_connection(cancellations.subscribe)
        messaging.at_connection(Senders(messaging, answers, process.instance_id).subscribe)
        messaging.at_connection(answers.connected)
        messaging.at_connection(sharing.connected)
        await stack.enter_async_context(sharing.followed())
        process.readiness.need("adapters", adapters.lacking)
        managing = await _managing(settings, process, stack, messaging, store, routes, adapters)
        await stack.enter_async_context(catalogue.watched(settings.catalogue_poll, adapters.know, routes.by))
        await stack.enter_async_context(routes.watched(settings.routes_poll))
        if settings.catalogue_url is not None:
            importer = Importer(settings.data_dir / IMPORTED, settings.catalogue_file)
            await stack.enter_async_context(refreshed(importer, settings.catalogue_url, settings.catalogue_refresh))
        if settings.adapters_from:
            registering = _registering(settings, adapters)
            messaging.at_connection(Heartbeats(messaging, registering).subscribe)
            await stack.enter_async_context(registering.watched(lambda: messaging.lacking() is None))
        await stack.enter_async_context(adapters.followed())
        plugins = PluginsInForce(
            lambda: routes.current.plugins,
            None if settings.grpc_token is None else settings.grpc_token.get_secret_value(),
        )
        await stack.enter_async_context(plugins.followed())
        await stack.enter_async_context(calling.finishing())
        await stack.enter_async_context(answers.kept(settings.grace))
        await stack.enter_async_context(mirroring.kept())
        servicer = RouterServicer(
            adapters,
            routes,
            attempts,
            calling,
            answers,
            mirroring,
            plugins,
            cancellations,
            health,
            settings.completion_deadline,
            strict_reasoning=settings.strict_reasoning,
        )

        def register_all(server: grpc.aio.Server) -> None:
            register(servicer)(server)
            stored_routes.register(managing)(server)

        names = [SERVICE, stored_routes.SERVICE]
        await stack.enter_async_context(grpc_server(settings, process.readiness, names, register_all))
        yield


async def _opened(settings: Settings, stack: AsyncExitStack) -> Store | None:
    if settings.store_url is None:
        return None
    try:
        return await stack.enter_async_context(open_store(settings.store_url))
    except StoreError as exc:
        raise ConfigurationError(f"OMNIX_STORE_URL: {exc}") from exc


async def _managing(
    settings: Settings,
    process: Process,
    stack: AsyncExitStack,
    messaging: Messaging,
    store: Store | None,
    routes: RoutesInForce,
    adapters: Adapters,
) -> Managing:
    """The routes of the store, where there is one, are followed from now on."""
    if store is None:
        return Managing(routes, lambda: adapters.names)
    stored = StoredRoutes(Repository(store), routes)
    words = RouteWords(messaging, stored)
    messaging.at_connection(words.connected)
    process.readiness.need("routes", stored.lacking)
    await stack.enter_async_context(stored.followed(settings.routes_store_poll))
    return Managing(routes, lambda: adapters.names, Kept(stored, words.announce, lambda: datetime.now(UTC)))


def _answers(settings: Settings, process: Process, messaging: Messaging, calling: Calling, health: Health) -> Answers:
    router_id = process.instance_id
    bounds = RecoveryBounds(settings.recovery_completions, settings.recovery_bytes)
    recovering = Recovering(
        messaging, calling, router_id, settings.recoveries_at_once, lambda: process.readiness.stopping
    )
    return Answers(messaging, calling, health, recovering, router_id, bounds, settings.sender_timeout)


def _clients(settings: Settings, stack: AsyncExitStack) -> list[AdapterClient]:
    clients = []
    for address, names in _by_address(settings.adapters).items():
        client = _client(settings, address, names)
        stack.push_async_callback(client.close)
        clients.append(client)
    return clients


def _client(settings: Settings, address: str, names: frozenset[str] = frozenset()) -> AdapterClient:
    token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
    return AdapterClient(names, address, token, settings.adapter_connect_timeout)


def _registering(settings: Settings, adapters: Adapters) -> Registering:
    return Registering(
        adapters,
        lambda address: _client(settings, address),
        settings.adapters_from,
        _by_address(settings.adapters),
        silence=settings.registration_timeout,
        memory=max(_KNOWN_AFTER_LEAVING, settings.completion_deadline),
    )


def _by_address(adapters: Iterable[AdapterAddress]) -> Mapping[str, frozenset[str]]:
    """One client for each address, however many names it was given."""
    names: dict[str, frozenset[str]] = {}
    for adapter in adapters:
        names[adapter.address] = names.get(adapter.address, frozenset()) | {adapter.name}
    return names


def _rules(settings: Settings) -> Rules:
    return Rules(
        in_a_row=settings.circuit_failures,
        share=settings.circuit_share,
        of_at_least=settings.circuit_calls,
        window=settings.circuit_window.total_seconds(),
        cooldown=settings.circuit_cooldown.total_seconds(),
        longest=settings.circuit_retry_after.total_seconds(),
    )


def _patience(settings: Settings) -> Patience:
    return Patience(
        usual=settings.first_content_timeout,
        flash=settings.first_content_timeout_flash,
        think=settings.first_content_timeout_think,
        ultra_think=settings.first_content_timeout_ultra_think,
    )


def main() -> None:
    run("router", Settings, serve)
