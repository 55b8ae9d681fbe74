"""Plugins, over gRPC."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.plugin.v1 import plugin_pb2, plugin_service_pb2_grpc
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix_kit.convert import error_to_proto
from omnix_kit.errors import OmnixError
from omnix_kit.rpc import Remote

from omnix_router.orders import Order
from omnix_router.plugins import counted
from omnix_router.plugins.convert import hooks_from_proto, plugin_to_proto
from omnix_router.plugins.plugin import Hook, Plugin

Request = completion_pb2.CompletionRequest
Caller = caller_pb2.Caller
Usage = completion_pb2.Usage
Ordered = plugin_pb2.Plugin
"""A plugin as an adapter is told of it."""

ResponseT = TypeVar("ResponseT", bound=Message)


class Why(StrEnum):
    """How a call failed."""

    AWAY = "away"
    SILENT = "silent"
    FAILED = "failed"


class CallFailed(Exception):
    """What that means is for the plugin's policy to say."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why


@dataclass(frozen=True, slots=True)
class Refusal:
    message: str
    param: str


@dataclass(frozen=True, slots=True)
class About:
    """The completion that a plugin is called for."""

    completion_id: str
    caller: Caller
    route: str
    streamed: bool

    def to_proto(self, settings: Mapping[str, str]) -> plugin_pb2.Context:
        return plugin_pb2.Context(
            completion_id=self.completion_id,
            caller=self.caller,
            route=self.route,
            settings=settings,
            streamed=self.streamed,
        )


class PluginClient(Remote):
    """One plugin's process."""

    def __init__(self, address: str, token: str | None) -> None:
        super().__init__("plugin", address, token)
        self._stub = plugin_service_pb2_grpc.PluginServiceStub(self.channel)
        self.hooks: frozenset[Hook] | None = None
        """When it says that it wants to be called; None until it said so."""
        self.calls = 0
        """Under way."""

    async def describe(self, plugin: Plugin) -> None:
        """Ask when it wants to be called.

        :raises CallFailed: when it does not say so.
        """
        answer = await self._call(self._stub.Describe, wire.DescribeRequest(), plugin, wait=plugin.closes)
        hooks = hooks_from_proto(answer.hooks)
        if not hooks:
            raise CallFailed(Why.FAILED, "it wants to be called at no moment that is known here")
        self.hooks = hooks

    async def transform_request(
        self, plugin: Plugin, about: About, settings: Mapping[str, str], request: Request
    ) -> Request | Refusal | None:
        """The request to go on with; None leaves it as it is.

        :raises CallFailed: when there is no answer in time.
        """
        asked = wire.TransformRequestRequest(context=about.to_proto(settings), request=request)
        answer = await self._counted(Hook.REQUEST, self._stub.TransformRequest, asked, plugin)
        return _read(answer)

    async def transform_attempt(
        self, plugin: Plugin, about: About, settings: Mapping[str, str], request: Request, order: Order
    ) -> Request | Refusal | None:
        """The request for this attempt; None leaves it as it is.

        :raises CallFailed: when there is no answer in time.
        """
        asked = wire.TransformAttemptRequest(
            context=about.to_proto(settings),
            request=request,
            provider=order.target.provider,
            model=order.target.model,
            attempt=order.number,
        )
        answer = await self._counted(Hook.ATTEMPT, self._stub.TransformAttempt, asked, plugin)
        return _read(answer)

    async def observe_end(
        self,
        plugin: Plugin,
        about: About,
        settings: Mapping[str, str],
        model: str,
        attempts: int,
        error: OmnixError | None,
        usage: Usage | None,
    ) -> None:
        """:raises CallFailed: when it did not hear."""
        told = wire.ObserveEndRequest(
            context=about.to_proto(settings),
            model=model,
            attempts=attempts,
            error=None if error is None else error_to_proto(error),
            usage=usage,
        )
        await self._counted(Hook.END, self._stub.ObserveEnd, told, plugin)

    async def _counted(
        self, hook: Hook, method: Callable[..., Awaitable[ResponseT]], request: Message, plugin: Plugin
    ) -> ResponseT:
        began = time.perf_counter()
        try:
            return await self._call(method, request, plugin, wait=plugin.closes)
        except CallFailed as failed:
            counted.FAILURES.labels(plugin.name, hook, failed.why).inc()
            raise
        finally:
            counted.seconds(plugin.name, hook).observe(time.perf_counter() - began)

    async def _call(
        self, method: Callable[..., Awaitable[ResponseT]], request: Message, plugin: Plugin, *, wait: bool
    ) -> ResponseT:
        """:param wait: for a process that is away, as long as an answer may take."""
        task = asyncio.current_task()
        cancellations = 0 if task is None else task.cancelling()
        seconds = plugin.timeout.total_seconds()
        self.calls += 1
        try:
            async with asyncio.timeout(seconds):
                return await method(request, timeout=seconds, metadata=self._metadata(), wait_for_ready=wait)
        except TimeoutError as exc:
            raise CallFailed(Why.SILENT, f"no answer within {seconds:g} s") from exc
        except grpc.aio.AioRpcError as exc:
            raise _failed(exc) from exc
        except asyncio.CancelledError as exc:
            if task is None or task.cancelling() > cancellations:
                raise
            # The library tells a call that its server ended as cancelled in the way of a cancellation of ours.
            raise CallFailed(Why.FAILED, "it cancelled the call") from exc
        finally:
            self.calls -= 1


def ordered(plugin: Plugin, settings: Mapping[str, str]) -> Ordered:
    return plugin_to_proto(plugin, settings)


def _read(answer: wire.TransformRequestResponse | wire.TransformAttemptResponse) -> Request | Refusal | None:
    if answer.HasField("refusal"):
        return Refusal(answer.refusal.message, answer.refusal.param)
    return answer.request if answer.HasField("request") else None


def _failed(exc: grpc.aio.AioRpcError) -> CallFailed:
    match exc.code():
        case grpc.StatusCode.UNAVAILABLE:
            why = Why.AWAY
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            why = Why.SILENT
        case _:
            why = Why.FAILED
    return CallFailed(why, f"{exc.code().name}: {exc.details()}")
