"""Scripted services behind the gateway: what they answer is set by the test, what they were asked is kept."""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import grpc
from omnix.account.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from omnix.completion.v1 import completion_pb2 as pb
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import heartbeat_pb2
from omnix.router.v1 import health_pb2, router_pb2, router_service_pb2, router_service_pb2_grpc
from omnix.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from omnix_kit import streams, subjects
from omnix_kit.errors import CallerError, OmnixError, Reason
from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings

from .publisher import ROUTER, SENDER, Play, Publisher, whole_answer

ADMIN, MEMBER, OTHER = "sk-omnix-admin", "sk-omnix-member", "sk-omnix-other"


def vector(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@dataclass
class FakeRouter(router_service_pb2_grpc.RouterServiceServicer):
    messaging: Messaging
    asked: list[router_service_pb2.CompleteRequest] = field(default_factory=list)
    embedded: list[router_service_pb2.EmbedRequest] = field(default_factory=list)
    vectors: list[bytes] | None = None
    """What Embed answers; two numbers for each input unless set."""
    plan: pb.ReasoningPlan | None = None
    route: str = ""
    policy: str = ""
    started: list[router_service_pb2.StartCompletionRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    error: OmnixError | None = None
    before: Play | None = None
    """Runs before StartCompletion is answered."""
    play: Play = whole_answer
    """Runs after StartCompletion was answered."""
    hold: asyncio.Event | None = None
    """Complete and StartCompletion wait for it."""
    router_id: str = ""
    """Who hears how streamed attempts end; nobody unless set."""
    sandbox: bool = False
    idle_timeout: float = 30
    completion: pb.Completion | None = None
    models: list[router_pb2.Model] = field(default_factory=list)
    selected: list[router_service_pb2.SelectModelsRequest] = field(default_factory=list)
    selection: router_service_pb2.SelectModelsResponse = field(default_factory=router_service_pb2.SelectModelsResponse)
    health: list[health_pb2.ProviderHealth] = field(default_factory=list)
    playing: set["asyncio.Task[None]"] = field(default_factory=set)
    publishers: list[Publisher] = field(default_factory=list)

    async def Complete(
        self, request: router_service_pb2.CompleteRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.CompleteResponse:
        self.asked.append(request)
        await self._wait(request.completion_id)
        completion = self.completion or answer("Hello!")
        return router_service_pb2.CompleteResponse(
            completion=completion,
            model="openai/gpt-4o",
            attempts=[
                router_pb2.AttemptReport(number=1, provider="x", model="y", error_reason="PROVIDER_TIMEOUT"),
                router_pb2.AttemptReport(number=2, provider="openai", model="gpt-4o"),
            ],
            cost_micros=1234,
            sandbox=self.sandbox,
            reasoning=self.plan,
            route=self.route,
            policy=self.policy,
        )

    async def StartCompletion(
        self, request: router_service_pb2.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.StartCompletionResponse:
        self.started.append(request)
        await self._wait(request.completion_id)
        publisher = Publisher(self.messaging, request)
        publisher.router_id = self.router_id
        self.publishers.append(publisher)
        if self.before is not None:
            await self.before(publisher)
        task = asyncio.create_task(self._play(publisher))
        self.playing.add(task)
        response = router_service_pb2.StartCompletionResponse(
            attempt=publisher.attempt,
            model="openai/gpt-4o",
            attempts=[router_pb2.AttemptReport(number=1, provider="openai", model="gpt-4o")],
            sender_id=SENDER,
            sandbox=self.sandbox,
            reasoning=self.plan,
            route=self.route,
            policy=self.policy,
        )
        response.idle_timeout.FromMilliseconds(int(self.idle_timeout * 1000))
        return response

    async def _play(self, publisher: Publisher) -> None:
        await self.play(publisher)

    async def _wait(self, completion_id: str) -> None:
        if self.error is not None:
            raise self.error
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.append(completion_id)
                raise

    async def Embed(
        self, request: router_service_pb2.EmbedRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.EmbedResponse:
        self.embedded.append(request)
        await self._wait(request.completion_id)
        vectors = self.vectors
        if vectors is None:
            vectors = [vector(position + 0.5, -1) for position, _ in enumerate(request.request.inputs)]
        response = router_service_pb2.EmbedResponse(
            embeddings=embedding_pb2.Embeddings(vectors=vectors, vendor_model="text-embedding-3-small"),
            model="openai/text-embedding-3-small",
            attempts=[router_pb2.AttemptReport(number=1, provider="openai", model="text-embedding-3-small")],
            cost_micros=7,
            sandbox=self.sandbox,
        )
        response.embeddings.usage.input_tokens = 5
        return response

    async def CancelCompletion(
        self, request: router_service_pb2.CancelCompletionRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.CancelCompletionResponse:
        self.cancelled.append(request.completion_id)
        return router_service_pb2.CancelCompletionResponse()

    async def ListModels(
        self, request: router_service_pb2.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.ListModelsResponse:
        return router_service_pb2.ListModelsResponse(models=self.models)

    async def ListProviderHealth(
        self, request: router_service_pb2.ListProviderHealthRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.ListProviderHealthResponse:
        answer = router_service_pb2.ListProviderHealthResponse(providers=self.health)
        answer.window.seconds = 300
        if not request.include_history:
            for provider in answer.providers:
                del provider.history[:]
        return answer

    async def GetModel(
        self, request: router_service_pb2.GetModelRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.GetModelResponse:
        for model in self.models:
            if request.name in (model.id, *model.aliases):
                return router_service_pb2.GetModelResponse(model=model)
        raise CallerError(f"There is no model '{request.name}'.", reason=Reason.MODEL_NOT_FOUND, param="model")

    async def SelectModels(
        self, request: router_service_pb2.SelectModelsRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.SelectModelsResponse:
        self.selected.append(request)
        if self.error is not None:
            raise self.error
        return self.selection


def answer(text: str) -> pb.Completion:
    completion = pb.Completion(vendor_model="gpt-4o-2024-08-06", system_fingerprint="fp_1", service_tier="default")
    completion.create_time.seconds = 1_700_000_000
    choice = completion.choices.add(finish_reason=pb.FINISH_REASON_STOP)
    choice.message.role = pb.ROLE_ASSISTANT
    choice.message.parts.add(text=text)
    completion.usage.input_tokens = 9
    completion.usage.output_tokens = 12
    completion.usage.cached_input_tokens = 4
    completion.usage.reasoning_tokens = 3
    return completion


@dataclass
class FakeAccounts(account_service_pb2_grpc.AccountServiceServicer):
    keys: dict[bytes, account_pb2.Key] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    made: list[account_service_pb2.CreateKeyRequest] = field(default_factory=list)
    hold: asyncio.Event | None = None

    def add(
        self, secret: str, key_id: str, role: "account_pb2.KeyRole.ValueType", tenant: str = "default"
    ) -> account_pb2.Key:
        key = account_pb2.Key(key_id=key_id, tenant_id=tenant, role=role, name=key_id, hint=secret[:12])
        key.create_time.seconds = 1_700_000_000
        self.keys[hashlib.sha256(secret.encode()).digest()] = key
        return key

    async def AuthenticateKey(
        self, request: account_service_pb2.AuthenticateKeyRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.AuthenticateKeyResponse:
        self.asked.append(request.key_sha256)
        if self.hold is not None:
            await self.hold.wait()
        key = self.keys.get(request.key_sha256)
        if key is None or key.HasField("revoke_time"):
            raise CallerError("The key is not valid.", reason=Reason.UNAUTHENTICATED)
        return account_service_pb2.AuthenticateKeyResponse(key=key)

    async def CreateKey(
        self, request: account_service_pb2.CreateKeyRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.CreateKeyResponse:
        self.made.append(request)
        key = self.add("sk-omnix-new", "new", request.role)
        key.name = request.name
        return account_service_pb2.CreateKeyResponse(key=key, secret="sk-omnix-new")

    async def ListKeys(
        self, request: account_service_pb2.ListKeysRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.ListKeysResponse:
        return account_service_pb2.ListKeysResponse(keys=list(self.keys.values()), next_page_token="more")

    async def RevokeKey(
        self, request: account_service_pb2.RevokeKeyRequest, context: grpc.aio.ServicerContext
    ) -> account_service_pb2.RevokeKeyResponse:
        for key in self.keys.values():
            if key.key_id == request.key_id and key.tenant_id == request.tenant_id:
                key.revoke_time.FromDatetime(datetime.now(UTC))
                return account_service_pb2.RevokeKeyResponse(key=key)
        raise CallerError("There is no such key.", reason=Reason.NOT_FOUND)


@dataclass
class FakeUsage(usage_service_pb2_grpc.UsageServiceServicer):
    asked: list[usage_service_pb2.ListUsageEntriesRequest] = field(default_factory=list)
    answer: usage_service_pb2.ListUsageEntriesResponse = field(
        default_factory=usage_service_pb2.ListUsageEntriesResponse
    )
    tell: Callable[[usage_service_pb2.ListUsageEntriesRequest], usage_service_pb2.ListUsageEntriesResponse] | None = (
        None
    )
    """Answers in place of ``answer``."""
    summarized: list[usage_service_pb2.SummarizeUsageRequest] = field(default_factory=list)
    summary: usage_service_pb2.SummarizeUsageResponse = field(default_factory=usage_service_pb2.SummarizeUsageResponse)

    async def ListUsageEntries(
        self, request: usage_service_pb2.ListUsageEntriesRequest, context: grpc.aio.ServicerContext
    ) -> usage_service_pb2.ListUsageEntriesResponse:
        self.asked.append(request)
        return self.answer if self.tell is None else self.tell(request)

    async def SummarizeUsage(
        self, request: usage_service_pb2.SummarizeUsageRequest, context: grpc.aio.ServicerContext
    ) -> usage_service_pb2.SummarizeUsageResponse:
        self.summarized.append(request)
        return self.summary


@dataclass
class Backends:
    router: FakeRouter
    accounts: FakeAccounts
    usage: FakeUsage
    messaging: Messaging
    port: int
    heart: "asyncio.Task[None]"
    """Of the process that sends."""
    router_heart: "asyncio.Task[None]"
    cancels: list[str]

    async def account_changed(self, key_id: str, *, revoked: bool = True) -> None:
        event = account_pb2.AccountChanged(event_id="e", tenant_id="default", key_id=key_id, revoked=revoked)
        await self.messaging.publish(subjects.account_changed("default"), event.SerializeToString())
        await self.messaging.client.flush()


async def beat(messaging: Messaging, sender_id: str) -> None:
    payload = heartbeat_pb2.SenderHeartbeat(sender_id=sender_id).SerializeToString()
    while True:
        with suppress(OmnixError):
            await messaging.publish(subjects.sender_heartbeat(sender_id), payload)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def backends(messaging: Messaging) -> AsyncIterator[Backends]:
    """Router, accounts and usage on one port, heartbeats of an adapter and the router, and what was cancelled."""
    await streams.ensure(messaging.jetstream, streams.CHUNKS)
    router, accounts, usage = FakeRouter(messaging), FakeAccounts(), FakeUsage()
    accounts.add(ADMIN, "admin", account_pb2.KEY_ROLE_ADMIN)
    accounts.add(MEMBER, "member", account_pb2.KEY_ROLE_MEMBER)
    accounts.add(OTHER, "other", account_pb2.KEY_ROLE_MEMBER)
    cancels: list[str] = []

    async def on_cancel(message: object) -> None:
        data: bytes = message.data  # type: ignore[attr-defined]
        cancels.append(pb.CancelRequested.FromString(data).completion_id)

    await messaging.subscribe(subjects.CANCEL_REQUESTED, on_cancel)

    def register(server: grpc.aio.Server) -> None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(router, server)
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(accounts, server)
        usage_service_pb2_grpc.add_UsageServiceServicer_to_server(usage, server)

    settings = ServiceSettings(grace=0)  # type: ignore[arg-type]
    names: Sequence[str] = []
    async with grpc_server(settings, Readiness(), names, register) as port:
        hearts = [asyncio.create_task(beat(messaging, sender_id)) for sender_id in (SENDER, ROUTER)]
        try:
            yield Backends(router, accounts, usage, messaging, port, hearts[0], hearts[1], cancels)
        finally:
            for task in (*hearts, *router.playing):
                task.cancel()
            await asyncio.gather(*hearts, *router.playing, return_exceptions=True)
