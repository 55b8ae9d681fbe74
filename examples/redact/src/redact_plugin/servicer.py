"""``PluginService``: what OmniX calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import grpc
from omnix.plugin.v1 import plugin_pb2
from omnix.plugin.v1 import plugin_service_pb2 as pb
from omnix.plugin.v1.plugin_service_pb2_grpc import PluginServiceServicer

from redact_plugin import answers
from redact_plugin.flowing import Flow, Redacting, Restoring, masked
from redact_plugin.requests import has_attachments, redact
from redact_plugin.settings import BadSetting, Mode, Wanted, wanted
from redact_plugin.vault import TooMuch, Vault, Vaults

_LARGE = 64 * 1024
"""Bytes from which a request is searched in a thread, so that others do not wait for it."""

Clock = Callable[[], float]


class RedactServicer(PluginServiceServicer):
    """Redacts personal data."""

    def __init__(self, vaults: Vaults, clock: Clock = time.monotonic) -> None:
        self._vaults = vaults
        self._clock = clock

    async def Describe(self, request: pb.DescribeRequest, context: grpc.aio.ServicerContext) -> pb.DescribeResponse:
        hooks = [plugin_pb2.HOOK_REQUEST, plugin_pb2.HOOK_ANSWER, plugin_pb2.HOOK_END]
        return pb.DescribeResponse(name="redact", version="0.1.0", hooks=hooks)

    async def TransformRequest(
        self, request: pb.TransformRequestRequest, context: grpc.aio.ServicerContext
    ) -> pb.TransformRequestResponse:
        asked = await _wanted(request.context, context)
        if asked.refuse_attachments and has_attachments(request.request):
            return pb.TransformRequestResponse(
                refusal=plugin_pb2.Refusal(
                    message="Images, sounds and files cannot be searched for personal data, and are not allowed here.",
                    param="messages",
                )
            )
        if asked.mode is Mode.ANSWERS:
            return pb.TransformRequestResponse()
        try:
            if request.ByteSize() < _LARGE:
                vault = redact(request.request, asked)
            else:
                vault = await asyncio.to_thread(redact, request.request, asked)
        except TooMuch:
            refusal = plugin_pb2.Refusal(message="The request holds too much personal data.", param="messages")
            return pb.TransformRequestResponse(refusal=refusal)
        self._vaults.keep(request.context.completion_id, vault, self._clock())
        return pb.TransformRequestResponse(request=request.request)

    async def TransformAttempt(
        self, request: pb.TransformAttemptRequest, context: grpc.aio.ServicerContext
    ) -> pb.TransformAttemptResponse:
        return pb.TransformAttemptResponse()

    async def TransformCompletion(
        self, request: pb.TransformCompletionRequest, context: grpc.aio.ServicerContext
    ) -> pb.TransformCompletionResponse:
        asked = await _wanted(request.context, context)
        match asked.mode:
            case Mode.REQUESTS:
                return pb.TransformCompletionResponse()
            case Mode.PLACEHOLDERS:
                vault = await self._vault(request.context, context)
                answers.change(request.completion, vault.restored, reasoning=False)
            case Mode.ANSWERS:
                answers.change(request.completion, lambda text: masked(text, asked.kinds), reasoning=True)
        return pb.TransformCompletionResponse(completion=request.completion)

    async def TransformChunks(
        self, request_iterator: AsyncIterator[pb.TransformChunksRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.TransformChunksResponse]:
        answer: answers.Answer | None = None
        begun = False
        async for request in request_iterator:
            if not begun:
                begun = True
                answer = await self._answer(request.context, context)
            if answer is None:
                yield pb.TransformChunksResponse(chunks=request.chunks)
                continue
            told = answer.told(request.chunks)
            if request.last:
                told += answer.rest()
            yield pb.TransformChunksResponse(chunks=told, held=answer.held())

    async def ObserveEnd(
        self, request: pb.ObserveEndRequest, context: grpc.aio.ServicerContext
    ) -> pb.ObserveEndResponse:
        self._vaults.end(request.context.completion_id, self._clock())
        return pb.ObserveEndResponse()

    async def _answer(self, completion: plugin_pb2.Context, context: grpc.aio.ServicerContext) -> answers.Answer | None:
        """None when the chunks stay as they are."""
        asked = await _wanted(completion, context)
        match asked.mode:
            case Mode.REQUESTS:
                return None
            case Mode.PLACEHOLDERS:
                vault = await self._vault(completion, context)

                def restoring(in_json: bool) -> Flow:
                    return Restoring(vault, in_json=in_json)

                return answers.Answer(restoring, reasoning=False)
            case Mode.ANSWERS:
                return answers.Answer(lambda _: Redacting(asked.kinds), reasoning=True)

    async def _vault(self, completion: plugin_pb2.Context, context: grpc.aio.ServicerContext) -> Vault:
        vault = self._vaults.of(completion.completion_id)
        if vault is None:
            # It was restarted meanwhile. The operator's policy says whether placeholders may be told.
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "what the placeholders stand for is not known here"
            )
            raise AssertionError("abort does not return")
        return vault


async def _wanted(completion: plugin_pb2.Context, context: grpc.aio.ServicerContext) -> Wanted:
    try:
        return wanted(completion.settings)
    except BadSetting as exc:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(exc))
        raise AssertionError("abort does not return") from exc
