"""The plugin as a process: ``python -m redact_plugin --listen 127.0.0.1:6001``."""

import asyncio
import hmac
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import grpc
from omnix.plugin.v1.plugin_service_pb2_grpc import add_PluginServiceServicer_to_server

from redact_plugin.servicer import RedactServicer
from redact_plugin.settings import Options, options
from redact_plugin.vault import Vaults

_AFTER_END = 60.0
"""Seconds for which the values of an ended completion are kept."""
_GRACE = 5.0
_LARGEST_MESSAGE = 64 * 1024 * 1024
"""As of OmniX: a request may hold images."""


class _Token(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Only OmniX may call: everybody else could ask what placeholders stand for."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

        async def refuse(_: object, context: grpc.aio.ServicerContext) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the service token is missing or wrong")

        self._refuse = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        shown = dict(details.invocation_metadata).get("authorization", "")
        if hmac.compare_digest(str(shown).encode(), self._expected):
            return await continuation(details)
        return self._refuse


async def serve(process: Options, token: str | None) -> None:
    """Serve until the process is told to end."""
    server = grpc.aio.server(
        interceptors=[] if token is None else [_Token(token)],
        options=[("grpc.max_receive_message_length", _LARGEST_MESSAGE), ("grpc.so_reuseport", 0)],
    )
    add_PluginServiceServicer_to_server(RedactServicer(Vaults(process.completions, process.keep, _AFTER_END)), server)
    server.add_insecure_port(process.listen)
    await server.start()
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    await ended.wait()
    await server.stop(_GRACE)


def main() -> None:
    process = options()
    try:
        asyncio.run(serve(process, os.environ.get("OMNIX_GRPC_TOKEN")))
    except RuntimeError as exc:
        sys.exit(f"cannot listen on {process.listen}: {exc}")


if __name__ == "__main__":
    main()
