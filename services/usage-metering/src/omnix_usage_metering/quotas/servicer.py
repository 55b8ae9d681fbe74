"""gRPC in: convert, call one function, convert."""

from collections.abc import Callable
from datetime import datetime

import grpc
from omnix.usage.v1 import quota_service_pb2 as pb
from omnix.usage.v1 import quota_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_usage_metering.quotas.convert import (
    ask_from_proto,
    caller_from_proto,
    grant_to_proto,
    limit_from_proto,
    limit_to_proto,
    use_to_proto,
)
from omnix_usage_metering.quotas.quotas import Quotas


class QuotaServicer(quota_service_pb2_grpc.QuotaServiceServicer):
    def __init__(self, quotas: Quotas, clock: Callable[[], datetime]) -> None:
        self._quotas = quotas
        self._clock = clock

    async def PutLimit(self, request: pb.PutLimitRequest, context: grpc.aio.ServicerContext) -> pb.PutLimitResponse:
        limit, created = await self._quotas.put(limit_from_proto(request.limit, self._clock()))
        return pb.PutLimitResponse(limit=limit_to_proto(limit), created=created)

    async def GetLimit(self, request: pb.GetLimitRequest, context: grpc.aio.ServicerContext) -> pb.GetLimitResponse:
        return pb.GetLimitResponse(limit=limit_to_proto(await self._quotas.get(request.tenant_id, request.limit_id)))

    async def ListLimits(
        self, request: pb.ListLimitsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListLimitsResponse:
        limits = await self._quotas.of_tenant(request.tenant_id)
        return pb.ListLimitsResponse(limits=[limit_to_proto(limit) for limit in limits])

    async def DeleteLimit(
        self, request: pb.DeleteLimitRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteLimitResponse:
        await self._quotas.delete(request.tenant_id, request.limit_id)
        return pb.DeleteLimitResponse()

    async def GetLimitUsage(
        self, request: pb.GetLimitUsageRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetLimitUsageResponse:
        uses = await self._quotas.usage_of(caller_from_proto(request.caller))
        return pb.GetLimitUsageResponse(usages=[use_to_proto(use) for use in uses])

    async def LeaseQuota(
        self, request: pb.LeaseQuotaRequest, context: grpc.aio.ServicerContext
    ) -> pb.LeaseQuotaResponse:
        leases = await self._quotas.lease(request.gateway_id, [ask_from_proto(ask) for ask in request.asks])
        return pb.LeaseQuotaResponse(grants=[grant_to_proto(each) for each in leases])


def register(quotas: Quotas, clock: Callable[[], datetime]) -> Register:
    return lambda server: quota_service_pb2_grpc.add_QuotaServiceServicer_to_server(
        QuotaServicer(quotas, clock), server
    )
