"""A plugin that does as it is told."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import grpc
from omnix.completion.v1 import completion_pb2
from omnix.plugin.v1 import plugin_pb2, plugin_service_pb2_grpc
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix_kit.testing import free_port

T = TypeVar("T")

REQUEST, ATTEMPT, ANSWER, END = (
    plugin_pb2.HOOK_REQUEST,
    plugin_pb2.HOOK_ATTEMPT,
    plugin_pb2.HOOK_ANSWER,
    plugin_pb2.HOOK_END,
)
Says = Callable[[completion_pb2.CompletionRequest], completion_pb2.CompletionRequest | plugin_pb2.Refusal | None]


class Fails(Exception):
    def __init__(self, code: grpc.StatusCode | None) -> None:
        """:param code: None for silence."""
        super().__init__(code)
        self.code = code


def failing(code: grpc.StatusCode | None) -> Says:
    def says(_: completion_pb2.CompletionRequest) -> None:
        raise Fails(code)

    return says


def refusing(message: str, param: str = "") -> Says:
    return lambda _: plugin_pb2.Refusal(message=message, param=param)


def saying(text: str, model: str = "") -> Says:
    """Another text, and perhaps another model."""

    def says(request: completion_pb2.CompletionRequest) -> completion_pb2.CompletionRequest:
        request.messages[0].parts[0].text = text
        request.model = model or request.model
        return request

    return says


def nothing(_: completion_pb2.CompletionRequest) -> None:
    """Leave it as it is."""


class ScriptedPlugin(plugin_service_pb2_grpc.PluginServiceServicer):
    def __init__(self, *hooks: "plugin_pb2.Hook.ValueType") -> None:
        self.hooks = hooks
        self.address = f"127.0.0.1:{free_port()}"
        self._server: grpc.aio.Server | None = None
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.request: Says = nothing
        self.attempt: Says = nothing
        self.requests: list[wire.TransformRequestRequest] = []
        self.attempts: list[wire.TransformAttemptRequest] = []
        self.ends: list[wire.ObserveEndRequest] = []

    def ended(self, completion_id: str) -> wire.ObserveEndRequest | None:
        found = [end for end in self.ends if end.context.completion_id == completion_id]
        assert len(found) <= 1, "an end is told once"
        return found[0] if found else None

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        plugin_service_pb2_grpc.add_PluginServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def Describe(self, request: wire.DescribeRequest, context: grpc.aio.ServicerContext) -> wire.DescribeResponse:
        return wire.DescribeResponse(name="script", version="1", hooks=self.hooks)

    async def TransformRequest(
        self, request: wire.TransformRequestRequest, context: grpc.aio.ServicerContext
    ) -> wire.TransformRequestResponse:
        self.requests.append(request)
        said = await self._said(self.request, request.request, context)
        if isinstance(said, plugin_pb2.Refusal):
            return wire.TransformRequestResponse(refusal=said)
        return wire.TransformRequestResponse(request=said)

    async def TransformAttempt(
        self, request: wire.TransformAttemptRequest, context: grpc.aio.ServicerContext
    ) -> wire.TransformAttemptResponse:
        self.attempts.append(request)
        said = await self._said(self.attempt, request.request, context)
        if isinstance(said, plugin_pb2.Refusal):
            return wire.TransformAttemptResponse(refusal=said)
        return wire.TransformAttemptResponse(request=said)

    async def ObserveEnd(
        self, request: wire.ObserveEndRequest, context: grpc.aio.ServicerContext
    ) -> wire.ObserveEndResponse:
        self.ends.append(request)
        return wire.ObserveEndResponse()

    async def _said(
        self, says: Says, request: completion_pb2.CompletionRequest, context: grpc.aio.ServicerContext
    ) -> completion_pb2.CompletionRequest | plugin_pb2.Refusal | None:
        copy = completion_pb2.CompletionRequest()
        copy.CopyFrom(request)
        try:
            return says(copy)
        except Fails as fails:
            if fails.code is None:
                await asyncio.Event().wait()
            else:
                await context.abort(fails.code, "as told")
            raise


def scripted(*hooks: "plugin_pb2.Hook.ValueType") -> ScriptedPlugin:
    return ScriptedPlugin(*hooks)  # type: ignore[abstract] # answers are the adapters' business
