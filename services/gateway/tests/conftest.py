from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from omnix_gateway.main import serve
from omnix_gateway.settings import Settings
from omnix_kit.runtime import Process
from omnix_kit.testing import NatsServer, connected, eventually, free_port, nats_server
from openai import AsyncOpenAI

from .fakes import ADMIN, MEMBER, Backends, backends


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def behind(nats: NatsServer) -> AsyncIterator[Backends]:
    async with connected(nats) as messaging, backends(messaging) as found:
        yield found


@dataclass
class Gateway:
    """A gateway that serves on a real socket, and clients of it."""

    url: str
    http: httpx.AsyncClient
    openai: AsyncOpenAI
    process: Process
    stop: Callable[[], Awaitable[None]]
    """End it before its time."""


Start = Callable[..., Any]


@pytest.fixture
async def start(nats: NatsServer, behind: Backends) -> AsyncIterator[Start]:
    """Start a gateway with other settings than the usual ones."""
    async with AsyncExitStack() as stack:

        async def begin(key: str = MEMBER, *, ready: bool = True, **settings: object) -> Gateway:
            port = free_port()
            address = f"127.0.0.1:{behind.port}"
            given: dict[str, Any] = {
                "http_port": port,
                "nats_url": nats.url,
                "router_address": address,
                "accounts_address": address,
                "usage_metering_address": address,
                "grace": 0.2,
                "cache_wait": 5,
                **settings,
            }
            process = Process("gateway")
            serving = await stack.enter_async_context(AsyncExitStack())
            await serving.enter_async_context(serve(Settings(**given), process))
            if ready:
                await eventually(lambda: not process.readiness.lacking())
            url = f"http://127.0.0.1:{port}"
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20)
            )
            openai = await stack.enter_async_context(
                AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)
            )
            return Gateway(url, http, openai, process, serving.aclose)

        yield begin


@pytest.fixture
async def gateway(start: Start) -> Gateway:
    found: Gateway = await start()
    return found


@pytest.fixture
async def admin(start: Start) -> Gateway:
    found: Gateway = await start(ADMIN)
    return found
