"""For tests: an adapter as a real process between a real NATS server and a vendor, and what a reader sees of it."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import provider_pb2, provider_service_pb2, provider_service_pb2_grpc
from omnix.usage.v1 import usage_pb2
from omnix_kit import subjects
from omnix_kit.digest import digest
from omnix_kit.errors import OmnixError
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, connected, eventually, free_port

GATEWAY = "gw1"
TEN = timedelta(seconds=10)
OPERATORS: Final = ("OMNIX_", "AWS_", "GEMINI_", "GOOGLE_", "HF_", "OPENAI_")
"""How variables begin that make an adapter call a vendor, and are nothing to a test."""


def asking(text: str = "Say something.", **more: object) -> pb.CompletionRequest:
    request = pb.CompletionRequest(model="gpt-4o", **more)  # type: ignore[arg-type]
    request.messages.add(role=pb.ROLE_USER).parts.add(text=text)
    return request


def attempt(model: str = "gpt-4o", provider: str = "openai") -> provider_pb2.Attempt:
    made = provider_pb2.Attempt(
        attempt_id=uuid7(), completion_id=uuid7(), number=1, provider=provider, model=model, route="fast"
    )
    made.caller.tenant_id, made.caller.key_id = "t1", "k1"
    made.price.currency = "USD"
    made.price.input_micros_per_million = 2_500_000
    made.price.output_micros_per_million = 10_000_000
    return made


@dataclass
class Streamed:
    """A stream as a reader puts it together: by number, duplicates dropped."""

    attempt: provider_pb2.Attempt
    chunks: dict[int, pb.Chunk] = field(default_factory=dict)
    start: pb.Start | None = None
    end: pb.End | None = None
    messages: int = 0

    def take(self, message: pb.CompletionChunks) -> None:
        self.messages += 1
        for position, chunk in enumerate(message.chunks):
            self.chunks.setdefault(message.first_seq + position, chunk)
        if message.HasField("start"):
            self.start = message.start
        if message.HasField("end"):
            self.end = message.end

    @property
    def text(self) -> str:
        return "".join(chunk.text for _, chunk in sorted(self.chunks.items()))

    def whole(self) -> bool:
        """The end came, and every chunk, and the digest fits."""
        if self.end is None or sorted(self.chunks) != list(range(self.end.count)):
            return False
        value = 0
        for _, chunk in sorted(self.chunks.items()):
            value = digest(value, chunk)
        if value != self.end.digest:
            raise AssertionError("the digest does not fit")
        return True


class Readers:
    """Everything the gateway's subscription and the usage stream deliver."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging
        self.streams: dict[str, Streamed] = {}
        self.begun: set[str] = set()
        """Completions of which something was published."""
        self.usage: list[usage_pb2.UsageRecorded] = []

    async def begin(self) -> None:
        await self._messaging.subscribe(subjects.chunks_of_gateway(GATEWAY), self._on_chunks)
        await self._messaging.subscribe(subjects.USAGE_RECORDED, self._on_usage)

    async def _on_chunks(self, message: Msg) -> None:
        chunks = pb.CompletionChunks.FromString(message.data)
        completion_id = message.subject.rpartition(".")[2]
        stream = self.streams.get(completion_id)
        self.begun.add(completion_id)
        if stream is not None:
            stream.take(chunks)

    async def _on_usage(self, message: Msg) -> None:
        event = usage_pb2.UsageRecorded.FromString(message.data)
        more = list(event.more)
        event.ClearField("more")
        self.usage += [event, *more]

    def of(self, made: provider_pb2.Attempt) -> list[usage_pb2.UsageRecorded]:
        return [event for event in self.usage if event.attempt_id == made.attempt_id]

    async def usage_of(self, made: provider_pb2.Attempt, within: float = 10) -> usage_pb2.UsageRecorded:
        """The only event of the attempt."""
        await eventually(lambda: bool(self.of(made)), within)
        [event] = self.of(made)
        return event


class Adapter:
    """One process of it, which can be killed and started again on its ports and data.

    It gets this process's environment without what whoever runs the tests has of OmniX and of vendors.
    """

    def __init__(self, module: str, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._module = module
        self.ops = f"http://127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(OPERATORS)},
            "OMNIX_DATA_DIR": str(data_dir),
            "OMNIX_OPS_PORT": self.ops.rpartition(":")[2],
            "OMNIX_GRPC_PORT": self.address.rpartition(":")[2],
            "OMNIX_GRACE": "5s",
            **environment,
        }
        self.log = data_dir / "adapter.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.remote = Remote("adapter", self.address)
        self.stub = provider_service_pb2_grpc.ProviderServiceStub(self.remote.channel)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-m", self._module], env=self._environment, stderr=log)

    async def ready(self) -> None:
        await eventually(lambda: self.probe("/readyz")[0] == 200, 45)

    def probe(self, path: str) -> tuple[int, str]:
        """Status and body; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.ops}{path}", timeout=5) as answer:  # noqa: S310 - our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the adapter was not started")
        return self._process

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 15)

    async def complete(
        self, made: provider_pb2.Attempt, request: pb.CompletionRequest | None = None, timeout: timedelta = TEN
    ) -> provider_service_pb2.CompleteResponse:
        return await self.remote.call(
            self.stub.Complete,
            provider_service_pb2.CompleteRequest(request=request or asking(), attempt=made),
            timeout=timeout,
        )


@dataclass
class Place:
    """The whole scene."""

    nats: NatsServer
    readers: Readers
    adapter: Adapter
    messaging: Messaging

    async def start_stream(
        self,
        made: provider_pb2.Attempt,
        request: pb.CompletionRequest | None = None,
        first_content: float = 5,
        idle: float = 5,
        continuation: provider_service_pb2.Continuation | None = None,
    ) -> Streamed:
        streamed = self.readers.streams[made.completion_id] = Streamed(made)
        asked = provider_service_pb2.StartCompletionRequest(
            request=request or asking(),
            attempt=made,
            chunk_subject=subjects.chunks(GATEWAY, made.completion_id),
            continuation=continuation,
        )
        asked.first_content_timeout.FromTimedelta(timedelta(seconds=first_content))
        asked.idle_timeout.FromTimedelta(timedelta(seconds=idle))
        await self.adapter.remote.call(self.adapter.stub.StartCompletion, asked, timeout=TEN)
        return streamed

    async def stream(
        self,
        made: provider_pb2.Attempt,
        request: pb.CompletionRequest | None = None,
        first_content: float = 5,
        idle: float = 5,
        continuation: provider_service_pb2.Continuation | None = None,
    ) -> Streamed:
        """A stream until its end."""
        streamed = await self.start_stream(made, request, first_content, idle, continuation)
        await eventually(streamed.whole)
        return streamed

    async def refused(
        self,
        made: provider_pb2.Attempt,
        request: pb.CompletionRequest | None = None,
        *,
        streamed: bool,
        first_content: float = 5,
    ) -> OmnixError:
        """The error with which an attempt ends before it has an answer."""
        try:
            if streamed:
                await self.start_stream(made, request, first_content)
            else:
                await self.adapter.complete(made, request)
        except OmnixError as exc:
            return exc
        raise AssertionError("the attempt was answered")

    async def cancel(self, made: provider_pb2.Attempt) -> bool:
        """Whether it was running."""
        asked = provider_service_pb2.CancelCompletionRequest(completion_id=made.completion_id, cause="test")
        answer = await self.adapter.remote.call(self.adapter.stub.CancelCompletion, asked, timeout=TEN)
        found: bool = answer.found
        return found

    async def models(self) -> provider_service_pb2.ListModelsResponse:
        asked = provider_service_pb2.ListModelsRequest()
        return await self.adapter.remote.call(self.adapter.stub.ListModels, asked, timeout=TEN)

    async def knows_models(self) -> bool:
        return bool((await self.models()).models)


@asynccontextmanager
async def scene(module: str, nats: NatsServer, data_dir: Path, environment: Mapping[str, str]) -> AsyncIterator[Place]:
    """The adapter ``python -m module`` with this environment, ready, and readers of all it publishes."""
    adapter = Adapter(module, data_dir, {"OMNIX_NATS_URL": nats.url, **environment})
    adapter.start()
    try:
        async with connected(nats) as messaging:
            readers = Readers(messaging)
            await readers.begin()
            await adapter.ready()
            yield Place(nats, readers, adapter, messaging)
    finally:
        await adapter.remote.close()
        adapter.kill()
