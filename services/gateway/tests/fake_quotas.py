"""A scripted quota service behind the gateway: it grants as it is told to, and keeps what it was asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from omnix.usage.v1 import quota_pb2 as pb
from omnix.usage.v1 import quota_service_pb2 as service_pb
from omnix.usage.v1 import quota_service_pb2_grpc
from omnix_kit.errors import CallerError, OmnixError, Reason
from omnix_kit.health import Readiness
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings


@dataclass
class FakeQuotas(quota_service_pb2_grpc.QuotaServiceServicer):
    """Every gateway gets all that is left."""

    limits: dict[str, pb.Limit] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)
    leases: list[service_pb.LeaseQuotaRequest] = field(default_factory=list)
    spent_by_others: dict[str, int] = field(default_factory=dict)
    error: OmnixError | None = None
    lifetime: float = 15
    reset: float = 30
    window: int = 7
    usages: list[pb.LimitUsage] = field(default_factory=list)
    address: str = ""

    def limit(self, **more: object) -> pb.Limit:
        made = pb.Limit(
            limit_id="l",
            tenant_id="default",
            subject=pb.LIMIT_SUBJECT_TENANT,
            kind=pb.LIMIT_KIND_REQUESTS_PER_MINUTE,
            amount=2,
            enforcement=pb.LIMIT_ENFORCEMENT_HARD,
            version=1,
        )
        made.MergeFrom(pb.Limit(**more))  # type: ignore[arg-type]
        self.limits[made.limit_id] = made
        return made

    def told(self, limit_id: str = "l") -> pb.LeaseAsk:
        """The last that was told of a limit."""
        return next(ask for lease in reversed(self.leases) for ask in lease.asks if ask.limit_id == limit_id)

    async def LeaseQuota(
        self, request: service_pb.LeaseQuotaRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.LeaseQuotaResponse:
        if self.error is not None:
            raise self.error
        self.leases.append(request)
        return service_pb.LeaseQuotaResponse(grants=[self._grant(ask) for ask in request.asks])

    def _grant(self, ask: pb.LeaseAsk) -> pb.LeaseGrant:
        limit = self.limits.get(ask.limit_id)
        if limit is None:
            return pb.LeaseGrant()
        is_hard = limit.enforcement == pb.LIMIT_ENFORCEMENT_HARD
        concurrent = limit.kind == pb.LIMIT_KIND_CONCURRENT_REQUESTS
        window = 1 if concurrent else self.window
        others = self.spent_by_others.get(ask.limit_id, 0)
        own = ask.spent if ask.window == window else 0
        left = limit.amount - others - own - (ask.reserved if ask.window == window else 0)
        granted = max(0, min(left, ask.want)) if left >= ask.need else 0
        grant = pb.LeaseGrant(
            window=window,
            granted=granted if is_hard else ask.want,
            available=max(0, left - granted),
            exhausted=others + own >= limit.amount,
            limit_version=limit.version,
        )
        grant.lifetime.FromMilliseconds(int(self.lifetime * 1000))
        if not concurrent:
            grant.reset_delay.FromMilliseconds(int(self.reset * 1000))
        return grant

    async def PutLimit(
        self, request: service_pb.PutLimitRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.PutLimitResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        created = request.limit.limit_id not in self.limits
        made = pb.Limit()
        made.CopyFrom(request.limit)
        made.version = 1 if created else self.limits[made.limit_id].version + 1
        made.create_time.seconds = made.update_time.seconds = 1_700_000_000
        self.limits[made.limit_id] = made
        return service_pb.PutLimitResponse(limit=made, created=created)

    async def GetLimit(
        self, request: service_pb.GetLimitRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.GetLimitResponse:
        if request.limit_id not in self.limits:
            raise CallerError("There is no such limit.", reason=Reason.NOT_FOUND)
        return service_pb.GetLimitResponse(limit=self.limits[request.limit_id])

    async def ListLimits(
        self, request: service_pb.ListLimitsRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ListLimitsResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        found = [limit for limit in self.limits.values() if limit.tenant_id == request.tenant_id]
        return service_pb.ListLimitsResponse(limits=found)

    async def DeleteLimit(
        self, request: service_pb.DeleteLimitRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.DeleteLimitResponse:
        if self.limits.pop(request.limit_id, None) is None:
            raise CallerError("There is no such limit.", reason=Reason.NOT_FOUND)
        return service_pb.DeleteLimitResponse()

    async def GetLimitUsage(
        self, request: service_pb.GetLimitUsageRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.GetLimitUsageResponse:
        self.asked.append(request)
        return service_pb.GetLimitUsageResponse(usages=self.usages)


@asynccontextmanager
async def fake_quotas() -> AsyncIterator[FakeQuotas]:
    """On a port of its own."""
    quotas = FakeQuotas()
    settings = ServiceSettings(grace=0)  # type: ignore[arg-type]
    async with grpc_server(
        settings,
        Readiness(),
        [],
        lambda server: quota_service_pb2_grpc.add_QuotaServiceServicer_to_server(quotas, server),
    ) as port:
        quotas.address = f"127.0.0.1:{port}"
        yield quotas
