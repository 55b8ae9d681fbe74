"""The plugin as a real process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest_asyncio
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2, plugin_service_pb2_grpc
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix_kit.ids import uuid7
from omnix_kit.testing import free_port

SOURCE = Path(__file__).parents[1] / "src"
sys.path.insert(0, str(SOURCE))  # it is no package of the workspace, and not installed
TOKEN = "between-services"


@dataclass
class Plugin:
    address: str
    process: asyncio.subprocess.Process
    stub: plugin_service_pb2_grpc.PluginServiceStub
    metadata: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {TOKEN}"),)
    settings: dict[str, str] = field(default_factory=dict)

    def context(self, completion_id: str) -> plugin_pb2.Context:
        return plugin_pb2.Context(completion_id=completion_id, settings=self.settings)

    async def request(self, completion_id: str, request: pb.CompletionRequest) -> wire.TransformRequestResponse:
        asked = wire.TransformRequestRequest(context=self.context(completion_id), request=request)
        answer: wire.TransformRequestResponse = await self.stub.TransformRequest(
            asked, timeout=10, metadata=self.metadata
        )
        return answer

    async def completion(self, completion_id: str, completion: pb.Completion) -> pb.Completion:
        asked = wire.TransformCompletionRequest(context=self.context(completion_id), completion=completion)
        answer = await self.stub.TransformCompletion(asked, timeout=10, metadata=self.metadata)
        return answer.completion if answer.HasField("completion") else completion

    async def chunks(self, completion_id: str, *messages: list[pb.Chunk]) -> list[wire.TransformChunksResponse]:
        """One answer for each message, and one for the last."""

        call = self.stub.TransformChunks(metadata=self.metadata)
        answers: list[wire.TransformChunksResponse] = []
        async with asyncio.timeout(10):
            for position, chunks in enumerate([*messages, []]):
                request = wire.TransformChunksRequest(chunks=chunks, last=position == len(messages))
                if position == 0:
                    request.context.CopyFrom(self.context(completion_id))
                await call.write(request)
                answers.append(await call.read())
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
        return answers

    async def end(self, completion_id: str) -> None:
        asked = wire.ObserveEndRequest(context=self.context(completion_id))
        await self.stub.ObserveEnd(asked, timeout=10, metadata=self.metadata)


@asynccontextmanager
async def running_plugin(*arguments: str) -> AsyncIterator[Plugin]:
    address = f"127.0.0.1:{free_port()}"
    paths = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "redact_plugin", "--listen", address, *arguments),
        env={**os.environ, "PYTHONPATH": paths, "OMNIX_GRPC_TOKEN": TOKEN},
    )
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            async with asyncio.timeout(20):
                await channel.channel_ready()
            yield Plugin(address, process, plugin_service_pb2_grpc.PluginServiceStub(channel))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(10):
            await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Plugin]:
    async with running_plugin("--completions", "100") as plugin:
        yield plugin


@pytest_asyncio.fixture(loop_scope="module")
async def plugin(running: Plugin) -> Plugin:
    running.settings = {}
    return running


def new_id() -> str:
    return uuid7()
