"""The process: what it is made of, in order."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from omnix_kit.addresses import Rules
from omnix_kit.guarded import Fetcher, FetchLimits
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import Remote
from omnix_kit.runtime import Process, run

from omnix_gateway.analytics.clients import Analytics
from omnix_gateway.analytics.live import Live
from omnix_gateway.authentication import Authenticator
from omnix_gateway.caching.cache import Cache
from omnix_gateway.caching.completions import SharedCompletions, Streamed, Unary
from omnix_gateway.caching.flights import Flights
from omnix_gateway.caching.store import Bounds, Store
from omnix_gateway.caching.vectors import CachedEmbeddings, Vectors
from omnix_gateway.caching.wishes import Operator
from omnix_gateway.chat.content.fetching import Fetching
from omnix_gateway.chat.content.media import MediaLimits, MediaRules
from omnix_gateway.clients import Accounts, Router, Routes, UsageMetering
from omnix_gateway.handlers import Handlers
from omnix_gateway.http.app import application
from omnix_gateway.http.body import Bodies, BodyLimits
from omnix_gateway.http.cors import Cors
from omnix_gateway.http.door import Door
from omnix_gateway.http.server import bind, bounded_head, http_server
from omnix_gateway.idempotency.calls import Calls
from omnix_gateway.idempotency.claims import Claims
from omnix_gateway.idempotency.holding import Holding
from omnix_gateway.idempotency.store import Store as Remembered
from omnix_gateway.ledger.clients import Pricing, Statements
from omnix_gateway.limits.admission import Limits
from omnix_gateway.limits.clients import Quotas, rates
from omnix_gateway.limits.prices import Prices
from omnix_gateway.routes.analytics import AnalyticsRoutes
from omnix_gateway.routes.cached import CachedCompletions
from omnix_gateway.routes.completed import ID_PREFIX as CHAT_PREFIX
from omnix_gateway.routes.completions import Completions
from omnix_gateway.routes.documents import document_routes
from omnix_gateway.routes.embeddings import ID_PREFIX as EMBEDDINGS_PREFIX
from omnix_gateway.routes.embeddings import EmbeddingRoute
from omnix_gateway.routes.export import Exports
from omnix_gateway.routes.health import health_routes
from omnix_gateway.routes.keyed import Keyed
from omnix_gateway.routes.keyed_completions import KeyedCompletions
from omnix_gateway.routes.keys import key_routes
from omnix_gateway.routes.limits import limit_routes
from omnix_gateway.routes.models import model_routes
from omnix_gateway.routes.pricing import pricing_routes
from omnix_gateway.routes.providers import provider_routes
from omnix_gateway.routes.routes import route_routes
from omnix_gateway.routes.selection import selection_routes
from omnix_gateway.routes.statements import statement_routes
from omnix_gateway.routes.streams import StreamRoutes
from omnix_gateway.routes.usage import usage_routes
from omnix_gateway.settings import Settings
from omnix_gateway.streaming.reader import Limits as ReaderLimits
from omnix_gateway.streaming.streams import Streams


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    gateway_id = process.instance_id
    token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
    listener = bind(settings.http_host, settings.http_port)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        remotes = {}
        for name, address in (
            ("router", settings.router_address),
            ("accounts", settings.accounts_address),
            ("usage-metering", settings.usage_metering_address),
        ):
            remotes[name] = await stack.enter_async_context(Remote(name, address, token))
        # Without usage-metering completions are answered all the same: its events wait for it.
        process.readiness.need("router", remotes["router"].lacking)
        process.readiness.need("accounts", remotes["accounts"].lacking)
        router = Router(remotes["router"], settings.call_timeout, settings.completion_timeout)
        routes = Routes(remotes["router"], settings.call_timeout)
        accounts = Accounts(remotes["accounts"], settings.call_timeout)
        metering = UsageMetering(remotes["usage-metering"], settings.call_timeout)
        pricing = Pricing(remotes["usage-metering"], settings.call_timeout)
        # Nothing but its own answers needs analytics.
        analytics = Analytics(
            await stack.enter_async_context(Remote("analytics", settings.analytics_address, token))
            if settings.analytics_address
            else None,
            settings.call_timeout,
        )
        authenticator = Authenticator(accounts, ttl=settings.key_cache.total_seconds(), size=settings.key_cache_size)

        messaging = await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        streams = Streams(messaging, router, gateway_id, _reader_limits(settings), settings.sender_timeout)
        quotas = Quotas(remotes["usage-metering"], gateway_id, settings.call_timeout, settings.limits_wait)
        limits = Limits(
            quotas,
            Prices(lambda: rates(router)),
            without=settings.limits_without_metering,
            wait=settings.limits_wait.total_seconds(),
            assumed=settings.limits_assumed_output,
            size=settings.key_cache_size,
        )
        await stack.enter_async_context(limits.running())
        handlers = Handlers(messaging, gateway_id, streams, authenticator, limits)
        messaging.at_connection(handlers.on_connection)
        cache = Cache(Store(messaging, _cache_bounds(settings)), _cache_rules(settings))
        messaging.at_connection(cache.store.on_connection)
        stack.callback(cache.store.close)
        chats: Flights[Unary | Streamed] = Flights(settings.join_waiters)
        embeddings: Flights[Vectors] = Flights(settings.join_waiters)
        stack.push_async_callback(chats.close)
        stack.push_async_callback(embeddings.close)
        stack.callback(handlers.close)
        await stack.enter_async_context(streams.watched())
        remembered = Remembered(messaging, settings.idempotency_entry_limit)
        holding = Holding(messaging, gateway_id)
        messaging.at_connection(remembered.on_connection)
        messaging.at_connection(holding.on_connection)
        stack.push_async_callback(holding.close)
        calls = Calls(remembered, holding, streams)
        stack.push_async_callback(calls.close)
        keyed = Keyed(
            Claims(remembered, holding),
            calls,
            router,
            streams,
            metering,
            gateway_id,
            CHAT_PREFIX,
            settings.idempotency_ttl.total_seconds(),
            settings.idempotency_wait.total_seconds(),
        )

        bodies = Bodies(_body_limits(settings))
        places = Rules.of(settings.fetch_ports, settings.fetch_allowed_hosts)
        fetcher = await stack.enter_async_context(Fetcher(_fetch_limits(settings, places)))
        media = MediaRules(_media_limits(settings), settings.fetch, places)
        app = application(
            [
                Completions(
                    router,
                    authenticator,
                    streams,
                    bodies,
                    settings.json_depth,
                    media,
                    Fetching(fetcher),
                    CachedCompletions(cache, SharedCompletions(cache.store, chats, router, streams)),
                    limits,
                    KeyedCompletions(keyed, streams),
                ).route(),
                EmbeddingRoute(
                    router,
                    authenticator,
                    bodies,
                    settings.embedding_limit,
                    settings.json_depth,
                    settings.stalled_client_timeout.total_seconds(),
                    CachedEmbeddings(cache, embeddings, router),
                    limits,
                    replace(keyed, id_prefix=EMBEDDINGS_PREFIX),
                ).route(),
                *StreamRoutes(streams).routes(),
                *model_routes(router),
                *provider_routes(router),
                *route_routes(routes, bodies, settings.json_depth),
                *selection_routes(router, bodies, settings.json_depth),
                *usage_routes(metering),
                *pricing_routes(pricing, router, bodies, settings.json_depth),
                *statement_routes(Statements(remotes["usage-metering"])),
                Exports(metering, authenticator, settings.stalled_client_timeout.total_seconds()).route(),
                *AnalyticsRoutes(
                    analytics,
                    Live(analytics, messaging, authenticator, process.readiness),
                    bodies,
                    settings.json_depth,
                    settings.stalled_client_timeout.total_seconds(),
                ).routes(),
                *limit_routes(quotas, limits, bodies, settings.json_depth),
                *key_routes(accounts, bodies, settings.json_depth),
                *document_routes(),
                *health_routes(process.readiness),
            ],
            authenticator,
        )
        door = Door(
            app,
            concurrency=settings.http_concurrency,
            header_limit=settings.header_limit,
            cors=Cors(settings.cors_origins) if settings.cors_origins else None,
        )
        await stack.enter_async_context(
            http_server(
                door,
                listener,
                bounded_head(settings.header_limit, settings.head_timeout.total_seconds()),
                grace=settings.grace.total_seconds(),
                end_streams=streams.end_all,
                end_requests=door.cancel_what_is_in_hand,
            )
        )
        yield


def _reader_limits(settings: Settings) -> ReaderLimits:
    return ReaderLimits(
        messages=settings.stream_messages,
        bytes=settings.stream_bytes,
        gap_timeout=settings.gap_timeout.total_seconds(),
        idle_margin=settings.idle_margin.total_seconds(),
        keep_alive=settings.keep_alive.total_seconds(),
        stalled_client=settings.stalled_client_timeout.total_seconds(),
    )


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        json=settings.json_limit,
        media=max(settings.media_limit, settings.json_limit),
        in_hand=settings.media_in_hand,
        timeout=settings.body_timeout.total_seconds(),
    )


def _fetch_limits(settings: Settings, places: Rules) -> FetchLimits:
    return FetchLimits(
        rules=places,
        timeout=settings.fetch_timeout,
        redirects=settings.fetch_redirects,
        at_once=settings.fetches_at_once,
        at_once_per_owner=settings.fetches_at_once_per_caller,
    )


def _cache_bounds(settings: Settings) -> Bounds:
    return Bounds(entry=settings.cache_entry_limit, wait=settings.cache_wait.total_seconds())


def _cache_rules(settings: Settings) -> Operator:
    return Operator(
        settings.cache,
        settings.cache_shared_by,
        ttl=math.ceil(settings.cache_ttl.total_seconds()),
        max_ttl=int(settings.cache_max_ttl.total_seconds()),
    )


def _media_limits(settings: Settings) -> MediaLimits:
    return MediaLimits(
        image=settings.image_limit,
        audio=settings.audio_limit,
        file=settings.file_limit,
        video=settings.video_limit,
        total=settings.media_limit,
        parts=settings.media_parts,
    )


def main() -> None:
    run("gateway", Settings, serve)
