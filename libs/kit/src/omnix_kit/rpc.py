"""gRPC: servers and channels with the manners that all services share.

Errors travel as status with ``google.rpc.ErrorInfo``; request id and trace context travel in metadata; a deadline is on
every call; nothing retries, because a call may cost money.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from prometheus_client import Histogram

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
Behaviour = Callable[[Message, grpc.aio.ServicerContext], Awaitable[Message]]


@asynccontextmanager
async def grpc_server(
    settings: ServiceSettings, readiness: Readiness, service_names: Sequence[str], register: Register
) -> AsyncIterator[int]:
    """Serve gRPC while inside; yields the port. Leaving waits for calls in hand, for the grace at most.

    The health service tells readiness, for the whole server and for each of ``service_names``.

    :raises ConfigurationError: when the address cannot be listened on.
    """
    token = None if settings.grpc_token is None else settings.grpc_token.get_secret_value()
    server = grpc.aio.server(options=_SERVER_OPTIONS, maximum_concurrent_rpcs=settings.grpc_concurrency)
    register(_Manners(server, token))
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


class _Manners:
    """The server as it is shown to generated code: every method that is added gets our manners.

    They check the token, adopt ids, tell errors and measure. A gRPC interceptor would do the same for 50 µs a call
    more, because it is asked anew for each.
    """

    def __init__(self, server: grpc.aio.Server, token: str | None) -> None:
        self._server = server
        self._authorization = None if token is None else f"Bearer {token}".encode()

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Generated code adds each service this way, too; once is enough."""

    def add_registered_method_handlers(self, service: str, methods: Mapping[str, grpc.RpcMethodHandler]) -> None:
        polite = {
            name: grpc.unary_unary_rpc_method_handler(
                self._polite(f"/{service}/{name}", method.unary_unary),
                request_deserializer=method.request_deserializer,
                response_serializer=method.response_serializer,
            )
            for name, method in methods.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, polite),))

    def _polite(self, method: str, behaviour: Behaviour) -> Behaviour:
        served = metrics.RPC_SERVED.labels(method, grpc.StatusCode.OK.name)

        async def answer(request: Message, context: grpc.aio.ServicerContext) -> Message:
            began = time.perf_counter()
            authorization, traceparent, request_of_caller = b"", None, ""
            for key, value in context.invocation_metadata():
                if key == "x-request-id":
                    request_of_caller = value
                elif key == "traceparent":
                    traceparent = value
                elif key == "authorization":
                    authorization = value.encode()
            if self._authorization is not None and not hmac.compare_digest(authorization, self._authorization):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the service token is missing or wrong")
            request_id.set(request_of_caller)
            telemetry.adopt(traceparent)
            code = grpc.StatusCode.OK
            try:
                if traceparent is None or not telemetry.recording():
                    return await behaviour(request, context)  # what nobody traces, such as looking after adapters
                return await _traced(method[1:], telemetry.Kind.SERVER, behaviour(request, context))
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
                counted = served if code is grpc.StatusCode.OK else metrics.RPC_SERVED.labels(method, code.name)
                counted.observe(time.perf_counter() - began)

        return answer


async def _traced(
    method: str,
    kind: telemetry.Kind,
    call: Awaitable[ResponseT],
    attributes: telemetry.Attributes | None = None,
) -> ResponseT:
    """The call as a span: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/."""
    told: telemetry.Attributes = {"rpc.system.name": "grpc", "rpc.method": method, **(attributes or {})}
    with telemetry.Span(method, told, kind=kind) as span:
        code = grpc.StatusCode.OK
        try:
            return await call
        except OmnixError as exc:
            code = exc.meaning.grpc
            raise
        except grpc.aio.AioRpcError as exc:
            code = exc.code()
            span.failed(code.name)
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception:
            code = grpc.StatusCode.UNKNOWN
            raise
        finally:
            span.tell({"rpc.response.status_code": code.name})


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
        self._histograms: dict[tuple[type[Message], grpc.StatusCode], Histogram] = {}

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
        try:
            if self.channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
                await self._connected(min(connect_timeout, timeout))
            if telemetry.recording() and telemetry.current_trace() is not None:
                return await self._call_traced(method, request, timeout)
            return await method(request, timeout=timeout.total_seconds(), metadata=self._metadata())
        except grpc.aio.AioRpcError as exc:
            code = exc.code()
            raise error_from_rpc(exc, self.name) from exc
        except OmnixError as exc:
            code = exc.meaning.grpc
            raise
        finally:
            self._called(type(request), code).observe(time.perf_counter() - began)

    async def _call_traced(
        self, method: Callable[..., Awaitable[ResponseT]], request: Message, timeout: timedelta
    ) -> ResponseT:
        async def called() -> ResponseT:
            return await method(request, timeout=timeout.total_seconds(), metadata=self._metadata())

        name: bytes = getattr(method, "_method", b"")  # grpcio tells it nowhere else
        host, _, port = self.address.rpartition(":")
        place: telemetry.Attributes = {"server.address": host, "server.port": int(port) if port.isdigit() else 0}
        return await _traced(name.decode().removeprefix("/"), telemetry.Kind.CLIENT, called(), place)

    def _called(self, kind: type[Message], code: grpc.StatusCode) -> Histogram:
        found = self._histograms.get((kind, code))
        if found is None:
            found = self._histograms[kind, code] = metrics.RPC_CALLED.labels(kind.DESCRIPTOR.full_name, code.name)
        return found

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
