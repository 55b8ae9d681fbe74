"""The NATS connection, with the rules that keep messages from vanishing.

It never gives up reconnecting, every publish has a timeout, a subscription is bounded, and what must be done at each
connection (making streams, publishing again) has a place.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import islice
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from omnix_kit import metrics, telemetry
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.health import Readiness
from omnix_kit.settings import ServiceSettings
from omnix_kit.timeouts import insisting

_log = logging.getLogger(__name__)

_PROBE_EVERY = 0.2
_PUBLISH_WITHIN = 2.0
_SUBSCRIBE_WITHIN = 2.0
_FIRST_CONNECT_WITHIN = 5.0
_DRAIN_WITHIN = 6.0
_CLOSE_WITHIN = 2.0

Hook = Callable[[], Awaitable[None]]
OnMessage = Callable[[Msg], Awaitable[None]]


class Messaging:
    """One NATS connection. It may not stand yet, and may break and come back, at any time."""

    def __init__(self, url: str, name: str, user: str | None = None, password: str | None = None) -> None:
        self._servers = [server.strip() for server in url.split(",")]
        self._name = name
        self._user = user
        self._password = password
        self._hooks: list[Hook] = []
        self._hooks_ran = asyncio.Event()
        self._tried = False
        self._running: set[asyncio.Task[None]] = set()
        self._runs = 0
        self.client = Client()
        self.jetstream: JetStreamContext = self.client.jetstream(timeout=_PUBLISH_WITHIN)

    def at_connection(self, hook: Hook) -> None:
        """Run ``hook`` at every connection, the first one included; it must bear being run again.

        Hooks run in the order in which they were added, before the connection counts as ready. One that fails is run
        again, from the first on. One that is added when the connection is ready is run at once.
        """
        self._hooks.append(hook)
        if self._hooks_ran.is_set():
            self._begin_hooks(len(self._hooks) - 1)

    def lacking(self) -> str | None:
        """For readiness: None while connected and set up."""
        if self.client.is_closed:
            return "the NATS connection is closed for good"
        if not self.client.is_connected:
            return f"NATS at {', '.join(map(_without_credentials, self._servers))} is away"
        return None if self._hooks_ran.is_set() else "NATS is being set up"

    async def ready(self) -> None:
        """Wait until the connection stands and every hook ran."""
        await self._hooks_ran.wait()

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, *, reply: str = ""
    ) -> None:
        """Hand a message to the connection. At most once: it may be lost when the connection breaks.

        :raises PlatformError: ``UNAVAILABLE`` when there is no connection; the message was not sent.
        """
        if not self.client.is_connected:
            raise _away()
        try:
            with insisting(_PUBLISH_WITHIN):
                await self.client.publish(
                    subject, payload, reply=reply, headers=None if headers is None else dict(headers)
                )
        except (TimeoutError, nats.errors.Error, OSError) as exc:
            raise _away() from exc

    async def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Hand several messages, subject and payload each, to the connection under one timeout.

        They are taken one by one, each when the one before was handed over. At most once, as ``publish``.

        :raises PlatformError: ``UNAVAILABLE``; the message that was taken last was not sent, nor were those after it.
        """
        if not self.client.is_connected:
            raise _away()
        try:
            with insisting(_PUBLISH_WITHIN) as within:
                for subject, payload in messages:
                    await self.client.publish(subject, payload)
                    within.check()
        except (TimeoutError, nats.errors.Error, OSError) as exc:
            raise _away() from exc

    async def publish_durable(
        self, subject: str, payload: bytes, message_id: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish to the subject's stream and wait until the server has stored the message.

        A ``traceparent`` among the headers is kept; otherwise the current trace is told.

        :raises PlatformError: ``UNAVAILABLE`` when that is not certain; the message may have been stored all the same,
            so publish it again with the same id.
        """
        if not self.client.is_connected:
            raise _away()
        told = {**(headers or {}), "Nats-Msg-Id": message_id}
        if "traceparent" not in told and (trace := telemetry.current_trace()):
            told["traceparent"] = trace.traceparent
        try:
            with insisting(_PUBLISH_WITHIN):
                await self.jetstream.publish(subject, payload, timeout=_PUBLISH_WITHIN, headers=told)
        except (TimeoutError, nats.errors.Error, OSError) as exc:
            raise _away() from exc

    async def subscribe(
        self,
        subject: str,
        on_message: OnMessage,
        *,
        queue: str = "",
        max_messages: int = 65_536,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> Subscription:
        """Subscribe with a callback. What exceeds the bounds is dropped, counted and logged.

        Call it from a hook only when guarded against the second run: the library itself subscribes again after a
        reconnection.

        :raises PlatformError: ``UNAVAILABLE`` when the connection does not take the subscription in time.
        """
        subscription: Subscription | None = None
        try:
            with insisting(_SUBSCRIBE_WITHIN):
                subscription = await self.client.subscribe(
                    subject, queue=queue, cb=on_message, pending_msgs_limit=max_messages, pending_bytes_limit=max_bytes
                )
        except (TimeoutError, nats.errors.Error, OSError, asyncio.CancelledError) as exc:
            if subscription is not None:
                await self.unsubscribe(subscription)
            if isinstance(exc, asyncio.CancelledError):
                raise
            raise _away() from exc
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a subscription. Never fails: without the connection it is gone anyway."""
        with suppress(TimeoutError, nats.errors.Error, OSError), insisting(_SUBSCRIBE_WITHIN):
            await subscription.unsubscribe()

    async def _run(self) -> None:
        """Connect for the first time; from then on the library reconnects by itself."""
        while True:
            # The library spends two seconds on a first connection that is refused.
            if await _any_listens(self._servers):
                self._tried = True
                try:
                    async with asyncio.timeout(_FIRST_CONNECT_WITHIN):
                        await self.client.connect(
                            self._servers,
                            name=self._name,
                            allow_reconnect=True,
                            max_reconnect_attempts=-1,
                            reconnect_time_wait=0.25,  # type: ignore[arg-type] # it is slept, and 1 is long
                            connect_timeout=2,
                            ping_interval=5,
                            max_outstanding_pings=2,
                            drain_timeout=5,
                            reconnected_cb=self._on_reconnected,
                            disconnected_cb=self._on_disconnected,
                            error_cb=self._on_error,
                            user=self._user,
                            password=self._password,
                        )
                except (TimeoutError, nats.errors.Error, OSError) as exc:
                    _log.warning("NATS does not accept the connection", extra={"error": str(exc)})
                except Exception:  # whatever it is, nobody else would try again
                    _log.exception("connecting to NATS failed by a defect, trying again")
                else:
                    await self._run_hooks()
                    return
            await asyncio.sleep(_PROBE_EVERY)

    def _begin_hooks(self, first: int = 0) -> None:
        self._hooks_ran.clear()
        task = asyncio.create_task(self._run_hooks(first))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run_hooks(self, first: int = 0) -> None:
        """Run the hooks from ``first`` on, until none fails or a later connection runs all of them."""
        self._hooks_ran.clear()
        self._runs += 1
        run, pause = self._runs, 0.2
        while self.client.is_connected and run == self._runs:
            try:
                # Those that are added meanwhile are run, too.
                for hook in islice(self._hooks, first, None):
                    async with asyncio.timeout(10):
                        await hook()
            except (TimeoutError, nats.errors.Error, PlatformError, OSError) as exc:
                _log.warning("setting NATS up failed, trying again", extra={"error": repr(exc)})
            except Exception:  # whatever it is, the process would never be ready
                _log.exception("setting NATS up failed by a defect, trying again")
            else:
                if run == self._runs:
                    self._hooks_ran.set()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _on_reconnected(self) -> None:
        metrics.NATS_RECONNECTED.inc()
        _log.info("NATS is back")
        # Not awaited: the library waits for this callback before it reads on, and hooks wait for answers.
        self._begin_hooks()

    async def _on_disconnected(self) -> None:
        self._hooks_ran.clear()
        if not self.client.is_closed:
            _log.warning("NATS went away")

    async def _on_error(self, exc: Exception) -> None:
        if isinstance(exc, nats.errors.SlowConsumerError):
            metrics.NATS_LOST.labels(exc.subject.split(".")[3] if exc.subject.count(".") > 2 else exc.subject).inc()
            _log.error("a subscription was too slow and lost messages", extra={"subject": exc.subject})
        elif not isinstance(exc, OSError | nats.errors.UnexpectedEOF | nats.errors.StaleConnectionError):
            _log.warning("NATS reports an error", extra={"error": repr(exc)})

    async def _close(self) -> None:
        for task in self._running:
            task.cancel()
        if not self._tried or self.client.is_closed:
            return  # the library cannot close what it never opened
        if self.client.is_connected:
            with suppress(TimeoutError, nats.errors.Error, OSError), insisting(_DRAIN_WITHIN):
                await self.client.drain()
        if not self.client.is_closed:
            with suppress(TimeoutError, nats.errors.Error, OSError), insisting(_CLOSE_WITHIN):
                await self.client.close()


@asynccontextmanager
async def nats_connection(settings: ServiceSettings, readiness: Readiness, name: str) -> AsyncIterator[Messaging]:
    """Keep a connection while inside. Entering does not wait for the server; readiness tells whether it is there."""
    password = None if settings.nats_password is None else settings.nats_password.get_secret_value()
    messaging = Messaging(settings.nats_url, name, settings.nats_user, password)
    readiness.need("nats", messaging.lacking)
    connecting = asyncio.create_task(messaging._run())
    try:
        yield messaging
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await messaging._close()


def _away() -> PlatformError:
    return PlatformError("The message broker is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1))


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 4222}"


async def _any_listens(servers: Sequence[str]) -> bool:
    for server in servers:
        parts = urlsplit(server)
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(parts.hostname or "127.0.0.1", parts.port or 4222)
        except (TimeoutError, OSError):
            continue
        writer.close()
        return True
    return False
