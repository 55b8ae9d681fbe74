import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from omnix.account.v1 import account_service_pb2 as pb
from omnix.account.v1 import account_service_pb2_grpc
from omnix.account.v1.account_pb2 import KEY_ROLE_MEMBER, Key
from omnix_kit.errors import CallerError, Reason
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, eventually, free_port, nats_server

ADMIN = "sk-omnix-the-first-admin-key"


@dataclass
class Service:
    """The accounts service as a process of its own."""

    folder: Path
    nats: str
    admin_key: str = ADMIN
    grpc_port: int = field(default_factory=free_port)
    ops_port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.grpc_port}.log"

    def start(self) -> None:
        variables = {
            "OMNIX_DATA_DIR": str(self.folder),
            "OMNIX_NATS_URL": self.nats,
            "OMNIX_GRPC_PORT": str(self.grpc_port),
            "OMNIX_OPS_PORT": str(self.ops_port),
            "OMNIX_ADMIN_KEY": self.admin_key,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "omnix_accounts"], env={**os.environ, **variables}, stderr=log
            )

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(10)
        finally:
            self._process.kill()
            self._process = None

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(10)

    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def ready(self) -> tuple[bool, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}/readyz", timeout=5) as answer:
                return True, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return False, exc.read().decode()
        except OSError:
            return False, ""

    async def until_ready(self) -> None:
        await eventually(lambda: self.ready()[0], within=15)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def another(nats: NatsServer, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes services that share one store; they are stopped at the end."""
    with ExitStack() as stack:

        def make(admin_key: str = ADMIN) -> Service:
            service = Service(tmp_path / "data", nats.url, admin_key)
            stack.callback(service.stop)
            return service

        yield make


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module that only call it."""
    folder = tmp_path_factory.mktemp("accounts")
    with nats_server(folder / "nats") as server:
        service = Service(folder / "data", server.url)
        service.start()
        try:
            yield service
        finally:
            service.stop()


class Client:
    """Calls the service as the gateway does."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._stub = account_service_pb2_grpc.AccountServiceStub(remote.channel)

    async def authenticate(self, secret: str) -> Key:
        request = pb.AuthenticateKeyRequest(key_sha256=sha256(secret.encode()).digest())
        answer: pb.AuthenticateKeyResponse = await self.call(request)
        return answer.key

    async def refusal(self, secret: str) -> tuple[Reason, str]:
        with pytest.raises(CallerError) as refused:
            await self.authenticate(secret)
        return refused.value.reason, refused.value.message

    async def create(self, maker: str, **more: object) -> pb.CreateKeyResponse:
        fields = {"tenant_id": "default", "maker_key_id": maker, "name": "ci", "role": KEY_ROLE_MEMBER, **more}
        answer: pb.CreateKeyResponse = await self.call(pb.CreateKeyRequest(**fields))  # type: ignore[arg-type]
        return answer

    async def revoke(self, key_id: str, tenant_id: str = "default") -> Key:
        answer: pb.RevokeKeyResponse = await self.call(pb.RevokeKeyRequest(tenant_id=tenant_id, key_id=key_id))
        return answer.key

    async def page(self, size: int = 0, token: str = "", tenant_id: str = "default") -> tuple[list[Key], str]:
        request = pb.ListKeysRequest(tenant_id=tenant_id, page_size=size, page_token=token)
        answer: pb.ListKeysResponse = await self.call(request)
        return list(answer.keys), answer.next_page_token

    async def call(self, request: Message) -> Any:
        method = getattr(self._stub, type(request).__name__.removesuffix("Request"))
        return await self._remote.call(method, request, timeout=timedelta(seconds=10))


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    await service.until_ready()
    async with Remote("accounts", f"127.0.0.1:{service.grpc_port}") as remote:
        yield Client(remote)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    async with client_of(service) as client:
        yield client
