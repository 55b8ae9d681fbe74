"""The services that the gateway calls."""

from datetime import timedelta

from omnix.account.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from omnix.completion.v1 import completion_pb2
from omnix.embedding.v1 import embedding_pb2
from omnix.router.v1 import (
    route_pb2,
    route_service_pb2,
    route_service_pb2_grpc,
    router_pb2,
    router_service_pb2,
    router_service_pb2_grpc,
)
from omnix.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError
from omnix_kit.rpc import Remote

from omnix_gateway.chat.convert import caller_to_proto
from omnix_gateway.errors import in_callers_words

UsagePage = usage_service_pb2.ListUsageEntriesResponse
Started = router_service_pb2.StartCompletionResponse


class _CallersWords:
    """Parameters in errors are named as callers wrote them. A class, because it is on the hot path."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if isinstance(exc, OmnixError):
            told = in_callers_words(exc)
            if told is not exc:
                raise told from exc


def was_sent(error: OmnixError) -> bool:
    """Whether the service that a call ended with this error of may have got it: one that is away never did."""
    return error.__cause__ is not None


class Router:
    """Chooses who answers.

    ``within`` is how long the caller waits, where it says so and it is shorter than everybody's.
    """

    def __init__(self, remote: Remote, timeout: timedelta, completion_timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._completion_timeout = completion_timeout
        self._stub = router_service_pb2_grpc.RouterServiceStub(remote.channel)

    async def complete(
        self,
        completion_id: str,
        caller: Caller,
        request: completion_pb2.CompletionRequest,
        within: timedelta | None = None,
    ) -> router_service_pb2.CompleteResponse:
        asked = router_service_pb2.CompleteRequest(
            completion_id=completion_id, caller=caller_to_proto(caller), request=request
        )
        with _CallersWords():
            return await self._remote.call(self._stub.Complete, asked, timeout=self._until(within))

    async def start(
        self,
        completion_id: str,
        caller: Caller,
        request: completion_pb2.CompletionRequest,
        chunk_subject: str,
        within: timedelta | None = None,
    ) -> router_service_pb2.StartCompletionResponse:
        """Answers when the first content is there."""
        asked = router_service_pb2.StartCompletionRequest(
            completion_id=completion_id, caller=caller_to_proto(caller), request=request, chunk_subject=chunk_subject
        )
        with _CallersWords():
            return await self._remote.call(self._stub.StartCompletion, asked, timeout=self._until(within))

    async def embed(
        self,
        completion_id: str,
        caller: Caller,
        request: embedding_pb2.EmbeddingRequest,
        within: timedelta | None = None,
    ) -> router_service_pb2.EmbedResponse:
        asked = router_service_pb2.EmbedRequest(
            completion_id=completion_id, caller=caller_to_proto(caller), request=request
        )
        with _CallersWords():
            return await self._remote.call(self._stub.Embed, asked, timeout=self._until(within))

    def _until(self, within: timedelta | None) -> timedelta:
        return self._completion_timeout if within is None else min(within, self._completion_timeout)

    async def cancel(self, completion_id: str, cause: str) -> None:
        asked = router_service_pb2.CancelCompletionRequest(completion_id=completion_id, cause=cause)
        await self._remote.call(self._stub.CancelCompletion, asked, timeout=self._timeout)

    async def models(self) -> list[router_pb2.Model]:
        asked = router_service_pb2.ListModelsRequest()
        answer = await self._remote.call(self._stub.ListModels, asked, timeout=self._timeout)
        return list(answer.models)

    async def model(self, name: str) -> router_pb2.Model:
        asked = router_service_pb2.GetModelRequest(name=name)
        answer = await self._remote.call(self._stub.GetModel, asked, timeout=self._timeout)
        model: router_pb2.Model = answer.model
        return model

    async def select(self, asked: router_service_pb2.SelectModelsRequest) -> router_service_pb2.SelectModelsResponse:
        return await self._remote.call(self._stub.SelectModels, asked, timeout=self._timeout)

    async def provider_health(self, *, history: bool) -> router_service_pb2.ListProviderHealthResponse:
        asked = router_service_pb2.ListProviderHealthRequest(include_history=history)
        return await self._remote.call(self._stub.ListProviderHealth, asked, timeout=self._timeout)


class Routes:
    """The router's routes, to be seen and changed."""

    def __init__(self, remote: Remote, timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._stub = route_service_pb2_grpc.RouteServiceStub(remote.channel)

    async def all(self, page_size: int, page_token: str) -> route_service_pb2.ListRoutesResponse:
        asked = route_service_pb2.ListRoutesRequest(page_size=page_size, page_token=page_token)
        return await self._remote.call(self._stub.ListRoutes, asked, timeout=self._timeout)

    async def one(self, name: str) -> route_pb2.Route:
        asked = route_service_pb2.GetRouteRequest(name=name)
        answer = await self._remote.call(self._stub.GetRoute, asked, timeout=self._timeout)
        route: route_pb2.Route = answer.route
        return route

    async def put(self, asked: route_service_pb2.PutRouteRequest) -> route_service_pb2.PutRouteResponse:
        with _CallersWords():
            return await self._remote.call(self._stub.PutRoute, asked, timeout=self._timeout)

    async def delete(self, asked: route_service_pb2.DeleteRouteRequest) -> int:
        with _CallersWords():
            answer = await self._remote.call(self._stub.DeleteRoute, asked, timeout=self._timeout)
            return int(answer.version)

    async def versions(self, name: str) -> list[route_pb2.RouteVersion]:
        asked = route_service_pb2.ListRouteVersionsRequest(name=name)
        answer = await self._remote.call(self._stub.ListRouteVersions, asked, timeout=self._timeout)
        return list(answer.versions)

    async def roll_back(self, asked: route_service_pb2.RollbackRouteRequest) -> route_pb2.Route:
        with _CallersWords():
            answer = await self._remote.call(self._stub.RollbackRoute, asked, timeout=self._timeout)
            route: route_pb2.Route = answer.route
            return route


class Accounts:
    """Knows whose key it is."""

    def __init__(self, remote: Remote, timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._stub = account_service_pb2_grpc.AccountServiceStub(remote.channel)

    async def key_of(self, key_sha256: bytes) -> account_pb2.Key:
        asked = account_service_pb2.AuthenticateKeyRequest(key_sha256=key_sha256)
        answer = await self._remote.call(self._stub.AuthenticateKey, asked, timeout=self._timeout)
        key: account_pb2.Key = answer.key
        return key

    async def create_key(self, asked: account_service_pb2.CreateKeyRequest) -> account_service_pb2.CreateKeyResponse:
        return await self._remote.call(self._stub.CreateKey, asked, timeout=self._timeout)

    async def list_keys(self, asked: account_service_pb2.ListKeysRequest) -> account_service_pb2.ListKeysResponse:
        return await self._remote.call(self._stub.ListKeys, asked, timeout=self._timeout)

    async def revoke_key(self, tenant_id: str, key_id: str) -> account_pb2.Key:
        asked = account_service_pb2.RevokeKeyRequest(tenant_id=tenant_id, key_id=key_id)
        answer = await self._remote.call(self._stub.RevokeKey, asked, timeout=self._timeout)
        key: account_pb2.Key = answer.key
        return key


class UsageMetering:
    """Keeps the ledger."""

    def __init__(self, remote: Remote, timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._stub = usage_service_pb2_grpc.UsageServiceStub(remote.channel)

    async def entries(
        self, asked: usage_service_pb2.ListUsageEntriesRequest
    ) -> usage_service_pb2.ListUsageEntriesResponse:
        return await self._remote.call(self._stub.ListUsageEntries, asked, timeout=self._timeout)

    async def summary(self, asked: usage_service_pb2.SummarizeUsageRequest) -> usage_service_pb2.SummarizeUsageResponse:
        return await self._remote.call(self._stub.SummarizeUsage, asked, timeout=self._timeout)
