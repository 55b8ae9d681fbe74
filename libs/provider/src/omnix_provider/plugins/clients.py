"""Plugins, over gRPC: a bounded number of channels, kept while they are used, and the calls on them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import grpc
from omnix.completion.v1 import completion_pb2
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix.plugin.v1 import plugin_service_pb2_grpc
from omnix_kit.rpc import Remote

from omnix_provider.background import background
from omnix_provider.convert.answered import chunk_to_proto
from omnix_provider.convert.plugged import Unreadable, choices_from_plugin, context_to_proto, said_from_proto
from omnix_provider.plugins import counted
from omnix_provider.plugins.chain import Chain, Link, Said
from omnix_provider.plugins.plugin import Failure, Plugin, PluginFailed, PluginRefused, Why
from omnix_provider.types import Attempt, Chunk

_log = logging.getLogger(__name__)

_MOST_PEERS = 64
_UNUSED_AFTER = 300.0
"""Seconds."""
_SWEEP_EVERY = 60.0
_ENDS_WITHIN = 1.0

T = TypeVar("T")


class _ChunksRpc(Protocol):
    async def write(self, request: wire.TransformChunksRequest) -> None: ...

    async def read(self) -> object: ...

    async def done_writing(self) -> None: ...

    def cancel(self) -> bool: ...


class _Peer(Remote):
    """A process that answers ``PluginService``."""

    def __init__(self, address: str, token: str | None) -> None:
        super().__init__("plugin", address, token)
        self._stub = plugin_service_pb2_grpc.PluginServiceStub(self.channel)
        self.calls = 0
        """Under way."""
        self.used_at = time.monotonic()

    async def transform_completion(
        self, request: wire.TransformCompletionRequest, plugin: Plugin
    ) -> wire.TransformCompletionResponse:
        """:raises Failure: when no answer came in time."""
        timeout = plugin.timeout.total_seconds()
        call = self._stub.TransformCompletion(
            request, timeout=timeout, metadata=self._metadata(), wait_for_ready=plugin.closes
        )
        return await _answered(call, timeout)

    def transform_chunks(self, plugin: Plugin) -> _ChunksRpc:
        call: _ChunksRpc = self._stub.TransformChunks(metadata=self._metadata(), wait_for_ready=plugin.closes)
        return call


class _ChunksCall:
    """A plugin's call for one streamed attempt; begun by the first message."""

    def __init__(self, plugins: "Plugins", plugin: Plugin, attempt: Attempt, alternatives: int) -> None:
        self._plugins = plugins
        self._plugin = plugin
        self._attempt = attempt
        self._alternatives = alternatives
        self._peer: _Peer | None = None
        self._rpc: _ChunksRpc | None = None
        self._over = False
        """The last answer came, and the plugin may end the call itself."""
        self._closed = False

    async def say(self, chunks: Sequence[Chunk], *, last: bool) -> Said:
        request = wire.TransformChunksRequest(chunks=[chunk_to_proto(each) for each in chunks], last=last)
        began = time.perf_counter()
        try:
            if self._rpc is None:
                request.context.CopyFrom(context_to_proto(self._plugin, self._attempt, streamed=True))
                self._peer = self._plugins.borrow(self._plugin.address)
                self._rpc = self._peer.transform_chunks(self._plugin)
            answer = await _answered(_exchange(self._rpc, request), self._plugin.timeout.total_seconds())
            said = _read(answer, self._alternatives)
        except Failure as failure:
            counted.FAILURES.labels(self._plugin.name, counted.CHUNKS, failure.why).inc()
            raise
        finally:
            counted.seconds(self._plugin.name, counted.CHUNKS).observe(time.perf_counter() - began)
        self._over = last
        return said

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._rpc is not None:
            if self._over:
                asyncio.get_running_loop().call_later(_ENDS_WITHIN, self._rpc.cancel)
            else:
                self._rpc.cancel()
        if self._peer is not None:
            self._plugins.give_back(self._peer)


class Plugins:
    """Those that the attempts of this process use; made by ``plugins_connected``."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._peers: dict[str, _Peer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def chain(self, plugins: Sequence[Plugin], attempt: Attempt, alternatives: int) -> Chain:
        """For one streamed attempt; whoever makes it closes it."""
        return Chain(
            [
                Link(plugin, _ChunksCall(self, plugin, attempt, alternatives), attempt.completion_id)
                for plugin in plugins
            ]
        )

    async def transform(
        self, plugins: Sequence[Plugin], completion: completion_pb2.Completion, attempt: Attempt
    ) -> None:
        """Have a whole answer looked at by all of them, and take what they make of it.

        :raises PluginFailed: when a plugin failed whose failure closes.
        :raises PluginRefused: when one refuses the answer.
        """
        for plugin in plugins:
            try:
                await self._transform(plugin, completion, attempt)
            except Failure as failure:
                counted.FAILURES.labels(plugin.name, counted.ANSWER, failure.why).inc()
                if plugin.closes:
                    raise PluginFailed(plugin.name, failure) from failure
                counted.UNTRANSFORMED.labels(plugin.name).inc()
                _log.warning(
                    "an answer goes on without a plugin",
                    extra={
                        "plugin": plugin.name,
                        "why": failure.why,
                        "error": str(failure),
                        "completion_id": attempt.completion_id,
                    },
                )

    async def _transform(self, plugin: Plugin, completion: completion_pb2.Completion, attempt: Attempt) -> None:
        request = wire.TransformCompletionRequest(
            context=context_to_proto(plugin, attempt, streamed=False), completion=completion
        )
        began = time.perf_counter()
        peer = self.borrow(plugin.address)
        try:
            answer = await peer.transform_completion(request, plugin)
        finally:
            self.give_back(peer)
            counted.seconds(plugin.name, counted.ANSWER).observe(time.perf_counter() - began)
        if answer.HasField("refusal"):
            counted.REFUSALS.labels(plugin.name, counted.ANSWER).inc()
            raise PluginRefused(plugin.name, answer.refusal.message, answer.refusal.param)
        if answer.HasField("completion"):
            try:
                choices_from_plugin(completion, answer.completion)
            except Unreadable as exc:
                raise Failure(Why.MALFORMED, str(exc)) from exc

    def borrow(self, address: str) -> _Peer:
        """The process there; to be given back.

        :raises Failure: when too many are in use.
        """
        peer = self._peers.get(address)
        if peer is None:
            if len(self._peers) >= _MOST_PEERS:
                self._make_room()
            peer = self._peers[address] = _Peer(address, self._token)
        peer.calls += 1
        return peer

    def give_back(self, peer: _Peer) -> None:
        peer.calls -= 1
        peer.used_at = time.monotonic()

    def _make_room(self) -> None:
        unused = [peer for peer in self._peers.values() if not peer.calls]
        if not unused:
            raise Failure(Why.TOO_MANY, f"{_MOST_PEERS} others are in use")
        self._leave(min(unused, key=lambda peer: peer.used_at))

    def _leave(self, peer: _Peer) -> None:
        del self._peers[peer.address]
        closing = asyncio.create_task(peer.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            now = time.monotonic()
            for peer in list(self._peers.values()):
                if not peer.calls and now - peer.used_at > _UNUSED_AFTER:
                    self._leave(peer)

    async def _close(self) -> None:
        for peer in list(self._peers.values()):
            self._leave(peer)
        await asyncio.gather(*self._closing, return_exceptions=True)


@asynccontextmanager
async def plugins_connected(token: str | None) -> AsyncIterator[Plugins]:
    """Connect to plugins as attempts name them, while inside."""
    connected = Plugins(token)
    async with background(connected._sweep):
        try:
            yield connected
        finally:
            await connected._close()


async def _exchange(rpc: _ChunksRpc, request: wire.TransformChunksRequest) -> object:
    await rpc.write(request)
    if request.last:
        await rpc.done_writing()
    return await rpc.read()


def _read(answer: object, alternatives: int) -> Said:
    if not isinstance(answer, wire.TransformChunksResponse):
        raise Failure(Why.FAILED, "it ended the call before the answer")
    try:
        return said_from_proto(answer, alternatives)
    except Unreadable as exc:
        raise Failure(Why.MALFORMED, str(exc)) from exc


async def _answered(work: Awaitable[T], seconds: float) -> T:
    """:raises Failure: when no answer came in time."""
    task = asyncio.current_task()
    cancellations = 0 if task is None else task.cancelling()
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as exc:
        raise Failure(Why.SILENT, f"no answer within {seconds:g} s") from exc
    except grpc.aio.AioRpcError as exc:
        raise _failure(exc) from exc
    except asyncio.InvalidStateError as exc:
        raise Failure(Why.FAILED, "the call is over") from exc
    except asyncio.CancelledError as exc:
        if task is None or task.cancelling() > cancellations:
            raise
        # The library tells a call that its server ended as cancelled in the way of a cancellation of ours.
        raise Failure(Why.FAILED, "it cancelled the call") from exc


def _failure(exc: grpc.aio.AioRpcError) -> Failure:
    match exc.code():
        case grpc.StatusCode.UNAVAILABLE:
            why = Why.AWAY
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            why = Why.SILENT
        case _:
            why = Why.FAILED
    return Failure(why, f"{exc.code().name}: {exc.details()}")
