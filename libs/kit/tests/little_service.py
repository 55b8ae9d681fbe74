"""A service with nothing in it but manners; the runtime's tests start it as a process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import grpc
from omnix.account.v1 import account_service_pb2, account_service_pb2_grpc
from omnix_kit.errors import CallerError, Reason
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import grpc_server
from omnix_kit.runtime import Process, run
from omnix_kit.settings import ServiceSettings


class Servicer(account_service_pb2_grpc.AccountServiceServicer):
    async def AuthenticateKey(
        self, request: account_service_pb2.AuthenticateKeyRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.AuthenticateKeyResponse:
        raise CallerError("Too fast.", reason=Reason.RATE_LIMITED, param="key", retry_after=timedelta(seconds=1.5))

    async def ListKeys(
        self, request: account_service_pb2.ListKeysRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.ListKeysResponse:
        raise KeyError("kaboom")


@asynccontextmanager
async def serve(settings: ServiceSettings, process: Process) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        await stack.enter_async_context(
            grpc_server(
                settings,
                process.readiness,
                ["omnix.account.v1.AccountService"],
                lambda server: account_service_pb2_grpc.add_AccountServiceServicer_to_server(
                    Servicer(),  # type: ignore[abstract] # two of its calls are enough here
                    server,
                ),
            )
        )
        yield


if __name__ == "__main__":
    import os

    os.environ.setdefault("OMNIX_NATS_URL", "nats://127.0.0.1:9")
    run("little", ServiceSettings, serve)
