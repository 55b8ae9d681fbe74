"""An adapter that nobody here wrote: of OmniX it knows the protos and the subjects, gRPC and NATS, and nothing else.

Its vendor, Acme, lives in the same process and repeats what it is told, word by word. What an adapter owes the suite is
all here; only what makes it last is not: events that wait are kept in memory, where a real one would write them down
before it calls its vendor, and what is on the way while the broker breaks is not sent again.

It reads ``ACME_ADDRESS`` (host:port to listen on and to be called at), ``ACME_NATS_URL``, ``ACME_TOKEN`` (what the
router must show) and ``ACME_PAUSE`` (seconds between words).
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from zlib import crc32

import grpc
import nats
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from nats.aio.client import Client
from nats.aio.msg import Msg
from omnix.common.v1 import errors_pb2
from omnix.completion.v1 import completion_pb2 as completion
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import heartbeat_pb2, provider_pb2, provider_service_pb2_grpc, stream_pb2
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.usage.v1 import usage_pb2

MODELS = {"acme": "parrot", "acme-lab": "cockatoo"}
"""By provider: Acme has a second one."""
TAKEN = {"model", "messages", "metadata", "end_user", "fallback_models", "provider_preferences"}
AS_CALLERS_SAY = {
    "max_output_tokens": "max_completion_tokens",
    "candidate_count": "n",
    "compute_mode": "mode",
    "reasoning": "reasoning_effort",
}
MOST_EVENTS = 10_000
OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)
"""What the router sends is as large, and it pings while a call is in hand."""
CODES = {
    "INVALID_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "UNSUPPORTED_PARAMETER": grpc.StatusCode.INVALID_ARGUMENT,
    "MODEL_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "PROVIDER_DEPARTED": grpc.StatusCode.ABORTED,
    "PROVIDER_TIMEOUT": grpc.StatusCode.DEADLINE_EXCEEDED,
    "SHUTTING_DOWN": grpc.StatusCode.UNAVAILABLE,
    "OVERLOADED": grpc.StatusCode.UNAVAILABLE,
    "CANCELLED": grpc.StatusCode.CANCELLED,
}


class Failure(Exception):
    """Why an attempt failed, in the words of ``ErrorReason``."""

    def __init__(self, reason: str, message: str, param: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.param = param

    def to_proto(self) -> errors_pb2.Error:
        reason = errors_pb2.ErrorReason.Value(f"ERROR_REASON_{self.reason}")
        return errors_pb2.Error(reason=reason, message=str(self), param=self.param, provider="acme")

    def to_status(self) -> status_pb2.Status:
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="omnix")
        if self.param:
            info.metadata["param"] = self.param
        packed = any_pb2.Any()
        packed.Pack(info)
        return status_pb2.Status(code=CODES[self.reason].value[0], message=str(self), details=[packed])


async def acme(request: completion.CompletionRequest, pause: float) -> AsyncIterator[str]:
    """The vendor: what the last message says, word by word."""
    said = "".join(part.text for part in request.messages[-1].parts)
    for word in said.split():
        await asyncio.sleep(pause)
        yield f"{word} "


def counted(request: completion.CompletionRequest, words: int, *, estimated: bool) -> completion.Usage:
    """Acme's tokens are words."""
    asked = sum(len(part.text.split()) for message in request.messages for part in message.parts)
    return completion.Usage(input_tokens=asked, output_tokens=words, estimated=estimated)


def cost_of(usage: completion.Usage, attempt: provider_pb2.Attempt) -> int | None:
    """By the price that came with the attempt, rounded half up once. Acme has no cache, no audio and no tiers."""
    if not attempt.HasField("price"):
        return None
    price = attempt.price
    total = usage.input_tokens * price.input_micros_per_million + usage.output_tokens * price.output_micros_per_million
    return (total + 500_000) // 1_000_000


def strange(asked: completion.CompletionRequest, attempt: provider_pb2.Attempt) -> Iterator[str]:
    """What a request says that Acme cannot honour, in callers' words: whatever is set and not known here."""
    planned = {"compute_mode", "reasoning"} if attempt.HasField("reasoning") else set()  # the router's plan counts
    for descriptor, value in asked.ListFields():
        name = descriptor.name
        if name in TAKEN or name in planned or (name == "candidate_count" and value == 1):
            continue
        if name == "sampling":
            yield from (inner.name for inner, _ in value.ListFields())
        elif name == "vendor_parameters":
            yield from value
        else:
            yield AS_CALLERS_SAY.get(name, name)


class Adapter(provider_service_pb2_grpc.ProviderServiceServicer):
    def __init__(self, broker: Client, address: str, token: str, pause: float) -> None:
        self.sender_id = secrets.token_hex(6)  # another one after every start
        self.address = address
        self.running: dict[str, tuple[wire.StartCompletionRequest, asyncio.Task[None]]] = {}
        self.events: asyncio.Queue[usage_pb2.UsageRecorded] = asyncio.Queue()
        self.stopping = False
        self._broker = broker
        self._token = token
        self._pause = pause

    # Calls

    async def ListModels(
        self, request: wire.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListModelsResponse:
        await self._admit(context)
        return wire.ListModelsResponse(
            providers=[provider_pb2.Provider(name=provider, kind="acme") for provider in MODELS],
            models=[
                provider_pb2.ProviderModel(provider=provider, model=model, owned_by="Acme")
                for provider, model in MODELS.items()
            ],
        )

    async def Complete(self, request: wire.CompleteRequest, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        await self._admit(context)
        attempt, asked = request.attempt, request.request
        await self._check(attempt, asked, context)
        await self._refuse_plugins(request, context)
        event = self._opened(attempt, asked, streamed=False)
        words: list[str] = []
        try:
            async for word in acme(asked, self._pause):
                words.append(word)
        except asyncio.CancelledError:  # the caller left, or its deadline passed
            usage = counted(asked, len(words), estimated=True)
            self._close(event, attempt, usage, Failure("CANCELLED", "The caller left."))
            raise
        usage = counted(asked, len(words), estimated=False)
        self._close(event, attempt, usage, None)
        answer = completion.Completion(completion_id=attempt.completion_id, vendor_model=attempt.model, usage=usage)
        answer.create_time.GetCurrentTime()
        choice = answer.choices.add(finish_reason=completion.FINISH_REASON_STOP)
        choice.message.role = completion.ROLE_ASSISTANT
        choice.message.parts.add(text="".join(words))
        return wire.CompleteResponse(completion=answer, cost_micros=cost_of(usage, attempt))

    async def StartCompletion(
        self, request: wire.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.StartCompletionResponse:
        await self._admit(context)
        await self._check(request.attempt, request.request, context)
        await self._refuse_plugins(request, context)
        if request.continuation.kind == wire.Continuation.KIND_PREFIX:
            await self._abort(context, Failure("UNSUPPORTED_PARAMETER", "Acme continues no text.", "continuation"))
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The stream is no part of the call: it goes on when the call is over.
        task = asyncio.create_task(self._stream(request, begun))
        self.running[request.attempt.attempt_id] = request, task
        task.add_done_callback(lambda _: self.running.pop(request.attempt.attempt_id, None))
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError:  # nobody waits for the first content any longer
            task.cancel()
            raise
        except Failure as failure:
            await self._abort(context, failure)
        return wire.StartCompletionResponse(sender_id=self.sender_id)

    async def CancelCompletion(
        self, request: wire.CancelCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.CancelCompletionResponse:
        await self._admit(context)
        if request.HasField("purpose") and request.attempt_id in self.running:
            self.running[request.attempt_id][0].attempt.purpose = request.purpose
        return wire.CancelCompletionResponse(found=self.cancel(request.completion_id, request.attempt_id))

    async def Embed(self, request: wire.EmbedRequest, context: grpc.aio.ServicerContext) -> wire.EmbedResponse:
        await self._admit(context)
        await self._abort(context, Failure("MODEL_NOT_FOUND", "Acme makes no embeddings.", "model"))
        return wire.EmbedResponse(embeddings=embedding_pb2.Embeddings())

    # A stream

    async def _stream(self, request: wire.StartCompletionRequest, begun: "asyncio.Future[None]") -> None:
        attempt, asked = request.attempt, request.request
        event = self._opened(attempt, asked, streamed=True)
        began = time.monotonic()
        words = acme(asked, self._pause)
        delivered = request.continuation.text  # by an attempt that broke off; empty for none
        seq = digest = output = first_content_us = 0
        failure: Failure | None = None

        async def send(chunk: completion.Chunk) -> None:
            nonlocal seq, digest, first_content_us
            message = completion.CompletionChunks(attempt=attempt.number, first_seq=seq, chunks=[chunk])
            if seq == 0:
                first_content_us = int((time.monotonic() - began) * 1_000_000)
                message.completion_id = attempt.completion_id
                message.start.CopyFrom(self._start(request))
            await self._broker.publish(request.chunk_subject, message.SerializeToString())
            seq, digest = seq + 1, crc32(chunk.text.encode(), digest)
            if not begun.done():
                begun.set_result(None)

        try:
            while True:
                limit = request.idle_timeout if output else request.first_content_timeout
                try:
                    async with asyncio.timeout(limit.ToTimedelta().total_seconds() or 60):
                        word = await anext(words)
                except StopAsyncIteration:
                    break
                output += 1
                again = min(len(delivered), len(word))
                if delivered[:again] != word[:again]:
                    raise Failure("PROVIDER_DEPARTED", "Acme says something else than the caller has of it.")
                word, delivered = word[again:], delivered[again:]
                if word:
                    await send(completion.Chunk(text=word))
            await send(completion.Chunk(finish_reason=completion.FINISH_REASON_STOP))
        except TimeoutError:
            failure = Failure("PROVIDER_TIMEOUT", "Acme fell silent.")
        except asyncio.CancelledError:
            failure = Failure("CANCELLED", "The completion was cancelled.")
        except Failure as exc:
            failure = exc
        usage = counted(asked, output, estimated=failure is not None)
        event.first_content_us = first_content_us
        self._close(event, attempt, usage, failure)
        if not begun.done():
            # Nothing was published, so the call fails as a whole and another target may be tried unseen.
            begun.set_exception(failure or Failure("PROVIDER_DEPARTED", "Acme said nothing."))
            begun.exception()  # whoever waited may have left
            return
        end = completion.End(count=seq, digest=digest, usage=usage, first_content_us=first_content_us)
        if (cost := cost_of(usage, attempt)) is not None:
            end.cost_micros = cost
        if failure is not None:
            end.error.CopyFrom(failure.to_proto())
            end.may_go_on = bool(request.router_id) and failure.reason != "CANCELLED"
        last = completion.CompletionChunks(attempt=attempt.number, first_seq=seq, end=end)
        await self._broker.publish(request.chunk_subject, last.SerializeToString())
        if request.router_id:  # behind the last message, so that the router finds the recording whole
            ended = completion.AttemptEnded(
                completion_id=attempt.completion_id, attempt_id=attempt.attempt_id, attempt=attempt.number, count=seq
            )
            if failure is not None:
                ended.error.CopyFrom(failure.to_proto())
            subject = f"omnix.v1.completion.ended.{request.router_id}.{attempt.completion_id}"
            await self._broker.publish(subject, ended.SerializeToString())

    def _start(self, request: wire.StartCompletionRequest) -> completion.Start:
        attempt = request.attempt
        start = completion.Start(
            model=f"{attempt.provider}/{attempt.model}",
            vendor_model=attempt.model,
            tenant_id=attempt.caller.tenant_id,
            key_id=attempt.caller.key_id,
            sender_id=self.sender_id,
            router_id=request.router_id,
            continued_attempt=request.continuation.attempt,
        )
        start.create_time.GetCurrentTime()
        return start

    def cancel(self, completion_id: str, attempt_id: str = "") -> bool:
        found = [
            task
            for request, task in self.running.values()
            if request.attempt.completion_id == completion_id and attempt_id in ("", request.attempt.attempt_id)
        ]
        for task in found:
            task.cancel()
        return bool(found)

    # What every call needs

    async def _admit(self, context: grpc.aio.ServicerContext) -> None:
        shown = dict(context.invocation_metadata() or ()).get("authorization", "")
        if self._token and not secrets.compare_digest(str(shown), f"Bearer {self._token}"):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the service token is missing or wrong")

    async def _check(
        self,
        attempt: provider_pb2.Attempt,
        asked: completion.CompletionRequest,
        context: grpc.aio.ServicerContext,
    ) -> None:
        """What cannot be honoured is refused by its name, before the vendor hears of it."""
        if MODELS.get(attempt.provider) != attempt.model:
            await self._abort(context, Failure("MODEL_NOT_FOUND", f"Acme has no {attempt.model}.", "model"))
        for index, message in enumerate(asked.messages):
            if message.role == completion.ROLE_UNSPECIFIED:
                place = f"messages.{index}.role"
                await self._abort(context, Failure("INVALID_REQUEST", "A message says not whose it is.", place))
            if message.tool_calls or any(part.WhichOneof("kind") != "text" for part in message.parts):
                place = f"messages.{index}.content"
                await self._abort(context, Failure("UNSUPPORTED_PARAMETER", "Acme reads text alone.", place))
        for name in strange(asked, attempt):
            await self._abort(context, Failure("UNSUPPORTED_PARAMETER", f"Acme does not know {name}.", name))
        if self.stopping:
            await self._abort(context, Failure("SHUTTING_DOWN", "The adapter is being stopped."))
        if self.events.qsize() + len(self.running) >= MOST_EVENTS:
            await self._abort(context, Failure("OVERLOADED", "Usage cannot be recorded at the moment."))

    async def _refuse_plugins(
        self, request: wire.CompleteRequest | wire.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """Whoever passes them over tells what the operator wants nobody to read."""
        if request.plugins:
            await self._abort(context, Failure("UNSUPPORTED_PARAMETER", "Acme knows no plugins.", "plugins"))

    async def _abort(self, context: grpc.aio.ServicerContext, failure: Failure) -> None:
        details = (("grpc-status-details-bin", failure.to_status().SerializeToString()),)
        await context.abort(CODES[failure.reason], str(failure), details)

    # Usage: one event for every attempt that reached the vendor

    def _opened(
        self, attempt: provider_pb2.Attempt, asked: completion.CompletionRequest, *, streamed: bool
    ) -> usage_pb2.UsageRecorded:
        event = usage_pb2.UsageRecorded(
            attempt_id=attempt.attempt_id,
            completion_id=attempt.completion_id,
            attempt=attempt.number,
            caller=attempt.caller,
            requested_model=asked.model,
            provider=attempt.provider,
            model=attempt.model,
            streamed=streamed,
            price=attempt.price if attempt.HasField("price") else None,
            metadata=asked.metadata,
            route=attempt.route,
        )
        event.start_time.GetCurrentTime()
        if asked.HasField("compute_mode"):
            event.compute_mode = asked.compute_mode
        return event

    def _close(
        self,
        event: usage_pb2.UsageRecorded,
        attempt: provider_pb2.Attempt,
        usage: completion.Usage,
        failure: Failure | None,
    ) -> None:
        if failure is None:
            event.outcome = usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
        elif failure.reason == "CANCELLED":
            event.outcome = usage_pb2.ATTEMPT_OUTCOME_CANCELLED
        else:
            event.outcome = usage_pb2.ATTEMPT_OUTCOME_FAILED
        if failure is not None:
            event.error.CopyFrom(failure.to_proto())
        if attempt.HasField("purpose"):  # as it was ordered, or as it turned out when it was cancelled
            event.purpose = attempt.purpose
        event.usage.CopyFrom(usage)
        event.end_time.GetCurrentTime()
        self.events.put_nowait(event)

    async def record(self) -> None:
        """Publish events until the broker has stored each; the same id makes a repetition harmless."""
        jetstream = self._broker.jetstream(timeout=2)
        while True:
            event = await self.events.get()
            subject, headers = f"omnix.v1.usage.recorded.{event.caller.tenant_id}", {"Nats-Msg-Id": event.attempt_id}
            while True:
                try:
                    await jetstream.publish(subject, event.SerializeToString(), headers=headers)
                    break
                except (TimeoutError, nats.errors.Error, nats.js.errors.Error):
                    await asyncio.sleep(1)
            self.events.task_done()

    # Signs of life

    async def beat(self) -> None:
        """One heartbeat. Its address makes routers call; without one they call no more."""
        said = heartbeat_pb2.SenderHeartbeat(
            sender_id=self.sender_id, open_streams=len(self.running), address=self.address
        )
        await self._broker.publish(f"omnix.v1.provider.heartbeat.{self.sender_id}", said.SerializeToString())

    async def keep_beating(self) -> None:
        while True:
            with suppress(nats.errors.Error):
                await self.beat()
            await asyncio.sleep(1)

    async def on_cancel(self, message: Msg) -> None:
        self.cancel(message.subject.rpartition(".")[2])

    async def on_streams_sought(self, message: Msg) -> None:
        sought = stream_pb2.OpenStreamsSought.FromString(message.data)
        answer = stream_pb2.OpenStreams(sender_id=self.sender_id)
        for request, _ in self.running.values():
            attempt = request.attempt
            if attempt.caller.tenant_id == sought.tenant_id and sought.key_id in ("", attempt.caller.key_id):
                answer.streams.add(
                    completion_id=attempt.completion_id,
                    attempt=attempt.number,
                    key_id=attempt.caller.key_id,
                    user_id=attempt.caller.user_id,
                    requested_model=request.request.model,
                    model=f"{attempt.provider}/{attempt.model}",
                    route=attempt.route,
                )
        await self._broker.publish(message.reply, answer.SerializeToString())


async def main() -> None:
    address = os.environ["ACME_ADDRESS"]
    broker = await nats.connect(os.environ["ACME_NATS_URL"], name="acme", max_reconnect_attempts=-1)
    adapter = Adapter(broker, address, os.environ.get("ACME_TOKEN", ""), float(os.environ.get("ACME_PAUSE", "0")))
    server = grpc.aio.server(options=OPTIONS)
    provider_service_pb2_grpc.add_ProviderServiceServicer_to_server(adapter, server)
    server.add_insecure_port(address)
    await server.start()
    await broker.subscribe("omnix.v1.completion.cancel.*", cb=adapter.on_cancel)
    await broker.subscribe("omnix.v1.completion.streams", cb=adapter.on_streams_sought)
    tasks = [asyncio.create_task(adapter.record()), asyncio.create_task(adapter.keep_beating())]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    adapter.stopping, adapter.address = True, ""
    await adapter.beat()
    if streams := [task for _, task in adapter.running.values()]:
        await asyncio.wait(streams, timeout=10)
    await server.stop(5)
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            await adapter.events.join()
    for task in tasks:
        task.cancel()
    await broker.drain()


if __name__ == "__main__":
    asyncio.run(main())
