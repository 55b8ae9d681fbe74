"""``ProviderService`` over any providers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from msgspec.structs import replace
from omnix.provider.v1 import provider_pb2, provider_service_pb2_grpc
from omnix.provider.v1 import provider_service_pb2 as pb
from omnix_kit.errors import OmnixError, PlatformError, Reason
from omnix_kit.rpc import Register, remaining

from omnix_provider import calls, estimate
from omnix_provider.attempts import Attempts, Running
from omnix_provider.calls import Means
from omnix_provider.convert.answered import completion_to_proto, embeddings_to_proto, models_to_proto
from omnix_provider.convert.asked import (
    attempt_from_proto,
    continuation_from_proto,
    embedding_request_from_proto,
    purpose_from_proto,
    request_from_proto,
    router_id_from_proto,
)
from omnix_provider.convert.plugged import plugins_from_proto
from omnix_provider.errors import AuthFailed, InvalidRequest, ModelNotFound, UnsupportedParameter
from omnix_provider.plugins.clients import Plugins
from omnix_provider.plugins.plugin import Plugin
from omnix_provider.publisher import Publisher
from omnix_provider.settings import AdapterSettings
from omnix_provider.streaming import Limits, Recovery, Streaming
from omnix_provider.types import Attempt, AttemptPurpose, CompletionRequest, Provider
from omnix_provider.usage import Meter

_log = logging.getLogger(__name__)

SERVICE = "omnix.provider.v1.ProviderService"
_CHUNK_SUBJECT = "omnix.v1.completion.chunk."


class ProviderServicer(provider_service_pb2_grpc.ProviderServiceServicer):
    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        meter: Meter,
        publisher: Publisher,
        plugins: Plugins,
        settings: AdapterSettings,
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._meter = meter
        self._publisher = publisher
        self._plugins = plugins
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    async def Complete(self, request: pb.CompleteRequest, context: grpc.aio.ServicerContext) -> pb.CompleteResponse:
        provider, attempt = self._read(request.attempt)
        asked = request_from_proto(request.request)
        plugins = plugins_from_proto(request.plugins) if request.plugins else ()
        timeout = remaining(context, self._settings.attempt_timeout)
        made = await calls.complete(provider, asked, attempt, Means(self._attempts, self._meter, timeout))
        completion = completion_to_proto(made.answer, attempt.completion_id, made.usage)
        if plugins:
            await self._plugins.transform(plugins, completion, attempt)
        return pb.CompleteResponse(
            completion=completion,
            cost_micros=made.cost_micros,
            sandbox=provider.sandbox,
        )

    async def StartCompletion(
        self, request: pb.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> pb.StartCompletionResponse:
        provider, attempt = self._read(request.attempt)
        asked = request_from_proto(request.request)
        recovery = Recovery(
            continuation_from_proto(request.continuation, attempt, asked) if request.HasField("continuation") else None,
            router_id_from_proto(request.router_id),
            request.beside_attempt,
        )
        plugins = plugins_from_proto(request.plugins) if request.plugins else ()
        if recovery.continuation is not None and recovery.continuation.prefix:
            if plugins:
                # The caller has what plugins made of it, which may be just what the vendor must not see.
                raise UnsupportedParameter("What plugins look at is not continued by a prefix.", param="prefix")
            attempt = replace(attempt, prefix=recovery.continuation.prefix)
            asked = _for_the_rest(asked, attempt.prefix)
        subject = request.chunk_subject
        if not subject.startswith(_CHUNK_SUBJECT) or not subject.endswith(f".{attempt.completion_id}"):
            raise InvalidRequest("chunk_subject is not one of this completion.", param="chunk_subject")
        limits = Limits(
            first_content=_or(request.first_content_timeout, self._settings.first_content_timeout),
            idle=_or(request.idle_timeout, self._settings.idle_timeout),
            whole=self._settings.stream_timeout,
        )
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._stream(provider, asked, attempt, subject, limits, started, recovery, plugins))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            # Who asked left before the answer, so nobody will commit to this attempt.
            if not self._attempts.cancel(attempt.completion_id, attempt.attempt_id, "caller left"):
                task.cancel()
            raise
        return pb.StartCompletionResponse(sender_id=self._publisher.sender_id, sandbox=provider.sandbox)

    async def Embed(self, request: pb.EmbedRequest, context: grpc.aio.ServicerContext) -> pb.EmbedResponse:
        provider, attempt = self._read(request.attempt)
        asked = embedding_request_from_proto(request.request)
        timeout = remaining(context, self._settings.attempt_timeout)
        made = await calls.embed(provider, asked, attempt, Means(self._attempts, self._meter, timeout))
        return pb.EmbedResponse(
            embeddings=embeddings_to_proto(made.answer, made.usage),
            cost_micros=made.cost_micros,
            sandbox=provider.sandbox,
        )

    async def CancelCompletion(
        self, request: pb.CancelCompletionRequest, context: grpc.aio.ServicerContext
    ) -> pb.CancelCompletionResponse:
        purpose = purpose_from_proto(request.purpose) if request.HasField("purpose") else None
        found = self._attempts.cancel(request.completion_id, request.attempt_id, request.cause, purpose)
        if not found and purpose is AttemptPurpose.HEDGE:
            found = self._meter.lost(request.attempt_id)
        return pb.CancelCompletionResponse(found=found)

    async def ListModels(
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelsResponse:
        answer = pb.ListModelsResponse()
        for provider in self._providers.values():
            answer.providers.add(
                name=provider.name, kind=provider.kind, sandbox=provider.sandbox, problem=provider.problem() or ""
            )
            answer.models.extend(models_to_proto(provider.name, provider.list_models()))
        return answer

    def _read(self, attempt: provider_pb2.Attempt) -> tuple[Provider, Attempt]:
        provider = self._providers.get(attempt.provider)
        if provider is None:
            raise ModelNotFound(f"This adapter does not serve the provider {attempt.provider!r}.", param="model")
        problem = provider.problem()
        if problem is not None:
            raise AuthFailed(problem, provider=provider.name, reached=False)
        return provider, attempt_from_proto(attempt)

    async def _stream(
        self,
        provider: Provider,
        request: CompletionRequest,
        attempt: Attempt,
        subject: str,
        limits: Limits,
        started: "asyncio.Future[None]",
        recovery: Recovery,
        plugins: Sequence[Plugin],
    ) -> None:
        """The stream's task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream needs a task of its own")
        input_tokens = estimate.input_tokens(request) + estimate.tokens(attempt.prefix)
        try:
            with self._attempts.stream():
                metered = self._meter.open(
                    attempt, request, streamed=True, sandbox=provider.sandbox, input_tokens=input_tokens
                )
                running = Running(attempt, task, request.model)
                chunks = self._publisher.stream(subject, attempt.completion_id, attempt.number)
                streaming = Streaming(
                    provider,
                    request,
                    attempt,
                    metered,
                    self._publisher,
                    chunks,
                    limits,
                    input_tokens,
                    started,
                    recovery,
                    self._plugins.chain(plugins, attempt, request.candidate_count or 1) if plugins else None,
                )
                with self._attempts.running(running):
                    await streaming.run(running)
        except OmnixError as exc:
            _fail(started, exc)
        except Exception:
            _log.exception("stream failed by a defect")
            _fail(started, PlatformError("OmniX failed; the log of the adapter says why.", reason=Reason.INTERNAL))


def _fail(started: "asyncio.Future[None]", error: OmnixError) -> None:
    if not started.done():
        started.set_exception(error)
        started.exception()  # whoever waited may have left


def _for_the_rest(request: CompletionRequest, prefix: str) -> CompletionRequest:
    """The caller's limit is for the whole answer, and vendors count what they add."""
    if request.max_output_tokens is None:
        return request
    return replace(request, max_output_tokens=max(1, request.max_output_tokens - estimate.tokens(prefix)))


def _or(given: Duration, default: timedelta) -> timedelta:
    return given.ToTimedelta() if given.seconds or given.nanos else default


def register(servicer: ProviderServicer) -> Register:
    return lambda server: provider_service_pb2_grpc.add_ProviderServiceServicer_to_server(servicer, server)
