"""The adapters, over gRPC."""

from dataclasses import dataclass, replace
from datetime import timedelta

import grpc
from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.provider.v1 import provider_service_pb2_grpc
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import duration
from omnix_kit.rpc import Remote

from omnix_router.convert import announcement_from_proto, attempt_to_proto
from omnix_router.orders import Order
from omnix_router.plugins.hooked import Hooked
from omnix_router.providers import Announcement
from omnix_router.recovery.convert import continuation_to_proto
from omnix_router.recovery.delivered import Continuation

Completed = wire.CompleteResponse
"""A whole answer."""
Started = wire.StartCompletionResponse
"""The first content came."""
Embedded = wire.EmbedResponse
"""Embeddings."""

_ASK_WITHIN = timedelta(seconds=5)
_END_WITHIN = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Asked:
    """A completion as the gateway sent it; it is passed on as it came."""

    completion_id: str
    caller: caller_pb2.Caller
    request: completion_pb2.CompletionRequest
    hooked: Hooked | None = None
    """The plugins that are called for it."""


@dataclass(frozen=True, slots=True)
class AskedEmbeddings:
    """Embeddings as the gateway asked for them; the request is passed on as it came."""

    completion_id: str
    caller: caller_pb2.Caller
    request: embedding_pb2.EmbeddingRequest


async def as_plugins_want(asked: Asked, order: Order) -> Asked:
    """What is asked, for this attempt.

    :raises TargetRefused: by a plugin.
    :raises PluginFailed: when one failed whose failure closes.
    """
    if asked.hooked is None:
        return asked
    request = await asked.hooked.before_attempt(asked.request, order)
    return asked if request is asked.request else replace(asked, request=request)


class AdapterClient:
    """One adapter process."""

    def __init__(self, names: frozenset[str], address: str, token: str | None, connect_timeout: timedelta) -> None:
        """:param names: what it was configured to serve; none for one that registered itself."""
        self.names = names
        self.address = address
        self._connect_timeout = connect_timeout
        self._remote = Remote(f"adapter {'/'.join(sorted(names))}".rstrip(), address, token)
        self._stub = provider_service_pb2_grpc.ProviderServiceStub(self._remote.channel)

    def lacking(self) -> str | None:
        return self._remote.lacking()

    @property
    def is_connected(self) -> bool:
        """A call can be sent at once. A connection that broke or was idle is not made anew before somebody needs it."""
        return self._remote.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def announcement(self) -> Announcement:
        """What it serves now."""
        response = await self._remote.call(
            self._stub.ListModels,
            wire.ListModelsRequest(),
            timeout=_ASK_WITHIN,
            connect_timeout=self._connect_timeout,
        )
        return announcement_from_proto(response)

    async def complete(self, asked: Asked, order: Order) -> Completed:
        return await self._remote.call(
            self._stub.Complete,
            wire.CompleteRequest(
                request=asked.request,
                attempt=attempt_to_proto(order, asked.completion_id, asked.caller),
                # Nobody is shown the answer to a copy.
                plugins=() if asked.hooked is None or order.shadow else asked.hooked.answering,
            ),
            timeout=order.remaining,
            connect_timeout=self._connect_timeout,
        )

    async def start(
        self,
        asked: Asked,
        order: Order,
        *,
        chunk_subject: str,
        first_content_timeout: timedelta,
        idle_timeout: timedelta,
        router_id: str,
        continuation: Continuation | None,
        timeout: timedelta,
    ) -> Started:
        return await self._remote.call(
            self._stub.StartCompletion,
            wire.StartCompletionRequest(
                request=asked.request,
                attempt=attempt_to_proto(order, asked.completion_id, asked.caller),
                chunk_subject=chunk_subject,
                first_content_timeout=duration(first_content_timeout),
                idle_timeout=duration(idle_timeout),
                router_id=router_id,
                continuation=None if continuation is None else continuation_to_proto(continuation),
                beside_attempt=order.beside,
                plugins=() if asked.hooked is None else asked.hooked.answering,
            ),
            timeout=timeout,
            connect_timeout=self._connect_timeout,
        )

    async def embed(self, asked: AskedEmbeddings, order: Order) -> Embedded:
        return await self._remote.call(
            self._stub.Embed,
            wire.EmbedRequest(
                request=asked.request, attempt=attempt_to_proto(order, asked.completion_id, asked.caller)
            ),
            timeout=order.remaining,
            connect_timeout=self._connect_timeout,
        )

    async def cancel(self, completion_id: str, attempt_id: str, cause: str, *, hedge: bool = False) -> bool:
        """End an attempt; answers whether it was running there.

        :param hedge: it ran beside another one, which answered first; so its usage is recorded.
        """
        response = await self._remote.call(
            self._stub.CancelCompletion,
            wire.CancelCompletionRequest(
                completion_id=completion_id,
                attempt_id=attempt_id,
                cause=cause,
                purpose=usage_pb2.PURPOSE_HEDGE if hedge else None,
            ),
            timeout=_END_WITHIN,
            connect_timeout=self._connect_timeout,
        )
        return bool(response.found)

    async def close(self) -> None:
        await self._remote.close()
