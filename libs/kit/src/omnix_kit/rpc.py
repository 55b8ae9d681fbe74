"""gRPC: servers and channels with the manners that all services share.

Errors travel as status with ``google.rpc.ErrorInfo``; request id and trace context travel in metadata; a deadline is on
every call; nothing retries, because a call may cost money.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from omnix_kit import metrics, telemetry
from omnix_kit.convert import error_from_rpc, error_to_status
from omnix_kit.errors import ConfigurationError, OmnixError, PlatformError, Reason
from omnix_kit.health import Readiness
from omnix_kit.logs import request_id
from omnix_kit.settings import ServiceSettings

_log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Room for a request with images; the gateway's own limits are lower."""

_SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
]
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]

ResponseT = TypeVar("ResponseT", bound=Message)
Register = Callable[[grpc.aio.Server], None]


@asynccontextmanager
async def grpc_server(
    settings: ServiceSettings, readiness: Readiness, service_names: Sequence[str], register: Register
) -> AsyncIterator[int]:
    """Serve gRPC while inside; yields the port. Leaving waits for calls in hand, for the grace at most.

    The health service tells readiness, for the whole server and for each of ``service_names``.

    :raises ConfigurationError: when the address cannot be listened on.
    """
    token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
    server = grpc.aio.server(
        interceptors=[_Manners(token)],
        options=_SERVER_OPTIONS,
        maximum_concurrent_rpcs=settings.grpc_concurrency,
    )
    register(server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = ["", *service_names]
    if settings.environment == "development":
        reflection.enable_server_reflection([*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    address = f"{settings.grpc_host}:{settings.grpc_port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as exc:
        raise ConfigurationError(f"OMNIX_GRPC_PORT: cannot listen on {address}") from exc
    await server.start()
    _log.info("listening", extra={"grpc_port": port})
    watcher = asyncio.create_task(_tell_readiness(health_servicer, names, readiness))
    try:
        yield port
    finally:
        watcher.cancel()
        await health_servicer.enter_graceful_shutdown()
        await server.stop(settings.grace.total_seconds())


async def _tell_readiness(servicer: health.aio.HealthServicer, names: Sequence[str], readiness: Readiness) -> None:
    while True:
        ready = not readiness.lacking()
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in names:
            await servicer.set(name, status)
        await asyncio.sleep(1)


class _Manners(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Checks the token, adopts ids, tells errors, measures. Streaming methods (health, reflection) pass untouched."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        call: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(call)
        if handler is None or handler.unary_unary is None or call.method.startswith("/grpc."):
            return handler
        metadata = {key: value for key, value in call.invocation_metadata or () if isinstance(value, str)}
        if self._token is not None and not hmac.compare_digest(
            metadata.get("authorization", "").encode(), f"Bearer {self._token}".encode()
        ):
            return grpc.unary_unary_rpc_method_handler(_refuse)
        behaviour, method = handler.unary_unary, call.method

        async def answer(request: Message, context: grpc.aio.ServicerContext) -> Message:
            request_id.set(metadata.get("x-request-id", ""))
            telemetry.adopt(metadata.get("traceparent"))
            code, began = grpc.StatusCode.OK, time.perf_counter()
            try:
                with telemetry.span(method.lstrip("/"), {"rpc.system": "grpc"}):
                    response: Message = await behaviour(request, context)
                return response
            except OmnixError as exc:
                code = exc.meaning.grpc
                await context.abort_with_status(rpc_status.to_status(error_to_status(exc)))
                raise  # abort never returns; this tells the type checker
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except grpc.aio.AbortError:
                code = context.code()
                raise
            except Exception:
                code = grpc.StatusCode.INTERNAL
                _log.exception("call failed", extra={"method": method})
                defect = PlatformError("OmniX failed; the log of the service says why.", reason=Reason.INTERNAL)
                await context.abort_with_status(rpc_status.to_status(error_to_status(defect)))
                raise
            finally:
                metrics.RPC_SERVED.labels(method, code.name).observe(time.perf_counter() - began)

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


async def _refuse(request: object, context: grpc.aio.ServicerContext) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the service token is missing or wrong")


def remaining(context: grpc.aio.ServicerContext, at_most: timedelta) -> timedelta:
    """How long the caller still waits: its deadline, or ``at_most`` when it gave none or a later one."""
    left = context.time_remaining()
    return at_most if left is None else min(timedelta(seconds=max(left, 0)), at_most)


class Remote:
    """A service at the other end of a channel."""

    def __init__(self, name: str, address: str, token: str | None = None) -> None:
        self.name = name
        self.address = address
        self.channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._authorization = () if token is None else (("authorization", f"Bearer {token}"),)

    async def call(
        self,
        method: Callable[..., Awaitable[ResponseT]],
        request: Message,
        *,
        timeout: timedelta,
        connect_timeout: timedelta = timedelta(seconds=3),
    ) -> ResponseT:
        """Make one unary call with one deadline. ``method`` is an attribute of a stub made on ``channel``.

        While the service is away the call waits for it, for the connect timeout at most: a restart goes unnoticed. Once
        the request was sent nothing is repeated.

        :raises OmnixError: what the service said, or ``UNAVAILABLE`` or ``DEADLINE_EXCEEDED``.
        """
        began = time.perf_counter()
        code = grpc.StatusCode.OK
        label = type(request).DESCRIPTOR.full_name
        try:
            if self.channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
                await self._connected(min(connect_timeout, timeout))
            return await method(request, timeout=timeout.total_seconds(), metadata=self._metadata())
        except grpc.aio.AioRpcError as exc:
            code = exc.code()
            raise error_from_rpc(exc, self.name) from exc
        except OmnixError as exc:
            code = exc.meaning.grpc
            raise
        finally:
            metrics.RPC_CALLED.labels(label, code.name).observe(time.perf_counter() - began)

    def lacking(self) -> str | None:
        """For readiness: None while connected."""
        state = self.channel.get_state(try_to_connect=True)
        # An idle channel was connected once and connects again with the next call.
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE):
            return None
        return f"the {self.name} service at {self.address} is away"

    async def close(self) -> None:
        await self.channel.close(grace=None)

    async def __aenter__(self) -> "Remote":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _connected(self, timeout: timedelta) -> None:
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self.channel.channel_ready()
        except TimeoutError:
            raise PlatformError(
                f"The {self.name} service is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=2)
            ) from None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        trace = telemetry.current_trace()
        parts = self._authorization
        if trace is not None:
            parts = (*parts, ("traceparent", trace.traceparent))
        if request := request_id.get():
            parts = (*parts, ("x-request-id", request))
        return parts
