"""A plugin that does as it is told, and an adapter whose vendor does, too."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import grpc
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2, plugin_service_pb2_grpc
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix.provider.v1 import provider_pb2, provider_service_pb2_grpc
from omnix.provider.v1 import provider_service_pb2 as calls_pb
from omnix_kit import subjects
from omnix_kit.errors import OmnixError
from omnix_kit.messaging import Messaging
from omnix_kit.rpc import Remote
from omnix_kit.runtime import Process
from omnix_kit.testing import NatsServer, connected, eventually, free_port
from omnix_provider.service import serving
from omnix_provider.settings import AdapterSettings
from omnix_provider.testing import GATEWAY, TEN, Readers, Streamed, asking
from omnix_provider.types import (
    Attempt,
    Batch,
    Choice,
    Chunk,
    Completion,
    CompletionRequest,
    FinishReason,
    HandedOver,
    Message,
    Provider,
    Role,
    Text,
    Usage,
)
from pydantic import SecretStr

TOKEN = "between-services"
ROUTER = "r1"
STOP = Chunk(finish_reason=FinishReason.STOP)
COUNTED = Usage(input_tokens=11, output_tokens=7)

Act = Callable[[wire.TransformChunksRequest], wire.TransformChunksResponse | None]


class Ends(Exception):
    """The plugin ends the call with this status."""

    def __init__(self, code: grpc.StatusCode | None) -> None:
        super().__init__(code)
        self.code = code


def unchanged(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
    return wire.TransformChunksResponse(chunks=request.chunks)


def shouting(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
    answer = unchanged(request)
    for chunk in answer.chunks:
        chunk.text = chunk.text.upper()
    return answer


def said(*texts: str, held: Iterable[str] = ()) -> wire.TransformChunksResponse:
    return wire.TransformChunksResponse(
        chunks=[pb.Chunk(text=text) for text in texts], held=[pb.Chunk(text=text) for text in held]
    )


def refused(message: str) -> wire.TransformChunksResponse:
    return wire.TransformChunksResponse(refusal=plugin_pb2.Refusal(message=message))


class ScriptedPlugin(plugin_service_pb2_grpc.PluginServiceServicer):
    """Answers by ``acts``, one after the other and the last one for ever; None is silence."""

    def __init__(self, *acts: Act, name: str = "script") -> None:
        self.name = name
        self.acts = acts or (unchanged,)
        self.heard: list[wire.TransformChunksRequest] = []
        self.completions: list[wire.TransformCompletionRequest] = []
        self.completion = wire.TransformCompletionResponse()
        self.fails: grpc.StatusCode | None = None
        """Whole answers."""
        self.tokens: list[str] = []
        self.ended = 0
        """Calls for streams that are over, whichever way."""
        self.address = f"127.0.0.1:{free_port()}"
        self._server: grpc.aio.Server | None = None

    def plugin(self, *, closes: bool, timeout: float = 5.0, **settings: str) -> plugin_pb2.Plugin:
        made = plugin_pb2.Plugin(
            name=self.name,
            address=self.address,
            hooks=[plugin_pb2.HOOK_ANSWER],
            on_failure=plugin_pb2.ON_FAILURE_CLOSED if closes else plugin_pb2.ON_FAILURE_OPEN,
            settings=settings,
        )
        made.timeout.FromTimedelta(timedelta(seconds=timeout))
        return made

    async def start(self) -> None:
        self._server = grpc.aio.server()
        plugin_service_pb2_grpc.add_PluginServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def TransformChunks(
        self, request_iterator: AsyncIterator[wire.TransformChunksRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[wire.TransformChunksResponse]:
        self._note(context)
        acts = iter(self.acts)
        act = self.acts[0]
        try:
            async for request in request_iterator:
                self.heard.append(request)
                act = next(acts, act)
                try:
                    answer = act(request)
                except Ends as ends:
                    if ends.code is not None:
                        await context.abort(ends.code, "as told")
                    return
                if answer is None:
                    await asyncio.Event().wait()
                else:
                    yield answer
        finally:
            self.ended += 1

    async def TransformCompletion(
        self, request: wire.TransformCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.TransformCompletionResponse:
        self._note(context)
        self.completions.append(request)
        if self.fails is not None:
            await context.abort(self.fails, "as told")
        return self.completion

    def _note(self, context: grpc.aio.ServicerContext) -> None:
        self.tokens += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]


def scripted(*acts: Act, name: str = "script") -> ScriptedPlugin:
    return ScriptedPlugin(*acts, name=name)  # type: ignore[abstract] # the router's calls are not for adapters


class Vendor:
    """Says what the test puts into ``says``: batches, an error to fail with, or None for the end of the body."""

    name = kind = "openai"
    sandbox = False

    def __init__(self) -> None:
        self.says: asyncio.Queue[Batch | OmnixError | None] = asyncio.Queue()
        self.called = 0

    def say(self, *said: Chunk | str, whole: bool = False) -> None:
        """Each by itself; a whole answer has its finish reason, its count and its end."""
        for each in said:
            self.says.put_nowait(Batch([Chunk(each) if isinstance(each, str) else each]))
        if whole:
            self.says.put_nowait(Batch([STOP]))
            self.says.put_nowait(Batch(usage=COUNTED, done=True))

    def problem(self) -> str | None:
        return None

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        handed_over()
        message = Message(Role.ASSISTANT, (Text("Hello world"),))
        return Completion((Choice(0, message, FinishReason.STOP),), COUNTED)

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        self.called += 1
        handed_over()
        while (said := await self.says.get()) is not None:
            if isinstance(said, OmnixError):
                raise said
            yield said


@dataclass
class Scene:
    vendor: Vendor
    messaging: Messaging
    readers: Readers
    remote: Remote
    plugin: ScriptedPlugin
    others: list[ScriptedPlugin] = field(default_factory=list)

    @property
    def stub(self) -> provider_service_pb2_grpc.ProviderServiceStub:
        return provider_service_pb2_grpc.ProviderServiceStub(self.remote.channel)

    async def start(
        self,
        made: provider_pb2.Attempt,
        *plugins: plugin_pb2.Plugin,
        continuation: calls_pb.Continuation | None = None,
        request: pb.CompletionRequest | None = None,
        idle: float = 5,
    ) -> Streamed:
        streamed = self.readers.streams[made.completion_id] = Streamed(made)
        asked = calls_pb.StartCompletionRequest(
            request=request or asking(),
            attempt=made,
            chunk_subject=subjects.chunks(GATEWAY, made.completion_id),
            router_id=ROUTER,
            continuation=continuation,
            plugins=plugins,
        )
        asked.first_content_timeout.FromTimedelta(timedelta(seconds=5))
        asked.idle_timeout.FromTimedelta(timedelta(seconds=idle))
        await self.remote.call(self.stub.StartCompletion, asked, timeout=TEN)
        return streamed

    async def complete(self, made: provider_pb2.Attempt, *plugins: plugin_pb2.Plugin) -> calls_pb.CompleteResponse:
        asked = calls_pb.CompleteRequest(request=asking(), attempt=made, plugins=plugins)
        return await self.remote.call(self.stub.Complete, asked, timeout=TEN)

    async def another(self, *acts: Act, name: str) -> ScriptedPlugin:
        made = scripted(*acts, name=name)
        await made.start()
        self.others.append(made)
        return made


@asynccontextmanager
async def plugged_scene(nats: NatsServer, data_dir: Path) -> AsyncIterator[Scene]:
    settings = AdapterSettings(
        nats_url=nats.url,
        data_dir=data_dir,
        grpc_port=free_port(),
        grpc_token=SecretStr(TOKEN),
        grace=timedelta(seconds=0.05),
    )
    vendor, process, plugin = Vendor(), Process("adapter-test"), scripted()
    await plugin.start()
    async with connected(nats) as messaging, Remote("adapter", f"127.0.0.1:{settings.grpc_port}", TOKEN) as remote:
        readers = Readers(messaging)
        await readers.begin()
        scene = Scene(vendor, messaging, readers, remote, plugin)
        try:
            async with serving(settings, process, [cast(Provider, vendor)]):
                await eventually(lambda: not process.readiness.lacking())
                yield scene
        finally:
            for each in (plugin, *scene.others):
                await each.stop()
