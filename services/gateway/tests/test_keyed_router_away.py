"""A router that is away never got the call, and the key is free; one that vanished with it leaves doubt."""

import asyncio

import grpc
from omnix.account.v1 import account_service_pb2_grpc
from omnix.router.v1 import router_service_pb2_grpc
from omnix_kit.health import Readiness
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import eventually, free_port

from .conftest import Start
from .fakes import Backends
from .keyed import ask, calls


async def test_call_that_no_router_got_frees_its_key_and_one_that_was_cut_off_does_not(
    start: Start, behind: Backends
) -> None:
    port = free_port()
    settings = ServiceSettings(grace=0, grpc_port=port)  # type: ignore[arg-type]

    def register(server: grpc.aio.Server) -> None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(behind.router, server)
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(behind.accounts, server)

    gateway = await start(ready=False, router_address=f"127.0.0.1:{port}")
    assert (await ask(gateway)).status_code == 503
    assert calls(behind) == 0
    behind.router.hold = asyncio.Event()
    async with grpc_server(settings, Readiness(), [], register):
        asking = asyncio.create_task(ask(gateway))
        await eventually(lambda: calls(behind) == 1)
    cut = await asking
    assert cut.status_code in (499, 503)
    answered = await ask(gateway)
    assert answered.status_code == 409
    assert answered.json()["error"]["code"] == "idempotency_in_doubt"
    assert calls(behind) == 1
