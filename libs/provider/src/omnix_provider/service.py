"""An adapter's process, but for its providers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from omnix_kit import subjects
from omnix_kit.errors import ConfigurationError
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import grpc_server
from omnix_kit.runtime import Process

from omnix_provider.advertised import advertised
from omnix_provider.attempts import Attempts, draining
from omnix_provider.handlers import on_cancel, on_streams_sought
from omnix_provider.plugins.clients import plugins_connected
from omnix_provider.publisher import publishing
from omnix_provider.servicer import SERVICE, ProviderServicer, register
from omnix_provider.settings import AdapterSettings
from omnix_provider.types import Provider
from omnix_provider.usage import metering

_ON_THE_WAY = 1024
"""Slots of the journal for events that wait to be acknowledged, beside those of running attempts."""


@asynccontextmanager
async def serving(settings: AdapterSettings, process: Process, providers: Sequence[Provider]) -> AsyncIterator[None]:
    """Answer ``ProviderService`` for these providers while inside.

    Leaving refuses new attempts, lets those under way finish within the grace, ends the rest, and brings every usage
    event to safety.

    :raises ConfigurationError: when the data folder or an address cannot be used.
    """
    async with AsyncExitStack() as stack:
        messaging = await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        try:
            meter = await stack.enter_async_context(
                metering(
                    messaging,
                    settings.data_dir / process.service,
                    slots=settings.max_streams + settings.max_calls + _ON_THE_WAY,
                    spool_bytes=settings.spool_bytes,
                )
            )
        except OSError as exc:
            raise ConfigurationError(f"OMNIX_DATA_DIR: cannot be used: {exc}") from exc
        process.readiness.need("usage", meter.lacking)
        publisher = await stack.enter_async_context(publishing(messaging, process.instance_id, settings.retained_bytes))
        token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
        plugins = await stack.enter_async_context(plugins_connected(token))
        attempts = Attempts(settings.max_streams, settings.max_calls)
        answer_streams_sought = partial(
            on_streams_sought, messaging=messaging, attempts=attempts, sender_id=process.instance_id
        )
        subscribed = False

        async def subscribe_once() -> None:
            nonlocal subscribed
            if not subscribed:
                await messaging.subscribe(subjects.CANCEL_REQUESTED, partial(on_cancel, attempts=attempts))
                await messaging.subscribe(subjects.OPEN_STREAMS_SOUGHT, answer_streams_sought)
                subscribed = True

        messaging.at_connection(subscribe_once)
        servicer = ProviderServicer(
            {each.name: each for each in providers}, attempts, meter, publisher, plugins, settings
        )
        port = await stack.enter_async_context(grpc_server(settings, process.readiness, [SERVICE], register(servicer)))
        await stack.enter_async_context(draining(attempts, settings.grace))
        await stack.enter_async_context(publisher.advertising(advertised(settings, port)))
        yield
