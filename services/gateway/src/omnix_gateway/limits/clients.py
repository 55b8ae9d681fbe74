"""Usage-metering, as far as it keeps limits."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from omnix.usage.v1 import quota_pb2, quota_service_pb2, quota_service_pb2_grpc
from omnix_kit.errors import CallerError, Reason, error_for
from omnix_kit.rpc import Remote

from omnix_gateway.clients import Router
from omnix_gateway.limits.convert import asks_to_proto, grants_from_proto, limits_from_proto, rates_from_proto
from omnix_gateway.limits.limit import Limit
from omnix_gateway.limits.prices import Rate
from omnix_gateway.limits.slices import Ask, Grant, Slice

_CALLED: Final = {"model_pattern": "model", "limit_id": "id"}


class Quotas:
    """Keeps limits, and leases what is left of them.

    ``wait`` bounds what requests may have to wait for, ``timeout`` the other calls.
    """

    def __init__(self, remote: Remote, gateway_id: str, timeout: timedelta, wait: timedelta) -> None:
        self._remote = remote
        self._gateway_id = gateway_id
        self._timeout = timeout
        self._wait = wait
        self._stub = quota_service_pb2_grpc.QuotaServiceStub(remote.channel)

    async def limits_of(self, tenant_id: str) -> tuple[Limit, ...]:
        asked = quota_service_pb2.ListLimitsRequest(tenant_id=tenant_id)
        answer = await self._remote.call(self._stub.ListLimits, asked, timeout=self._wait, connect_timeout=self._wait)
        return limits_from_proto(answer.limits)

    async def lease(self, asks: Sequence[tuple[Slice, Ask]]) -> list[Grant]:
        asked = asks_to_proto(self._gateway_id, asks)
        answer = await self._remote.call(self._stub.LeaseQuota, asked, timeout=self._wait, connect_timeout=self._wait)
        grants = grants_from_proto(answer)
        if len(grants) != len(asks):
            raise error_for(Reason.INTERNAL, "Usage-metering answered with another number of leases.")
        return grants

    async def put(self, asked: quota_service_pb2.PutLimitRequest) -> quota_service_pb2.PutLimitResponse:
        try:
            return await self._remote.call(self._stub.PutLimit, asked, timeout=self._timeout)
        except CallerError as exc:
            param = (exc.param or "").removeprefix("limit.")
            param = _CALLED.get(param, param)
            message = exc.message.replace("limit.", "").replace("model_pattern", "model").replace("limit_id", "id")
            raise CallerError(message, reason=exc.reason, param=param or None) from exc

    async def get(self, tenant_id: str, limit_id: str) -> quota_pb2.Limit:
        asked = quota_service_pb2.GetLimitRequest(tenant_id=tenant_id, limit_id=limit_id)
        answer = await self._remote.call(self._stub.GetLimit, asked, timeout=self._timeout)
        limit: quota_pb2.Limit = answer.limit
        return limit

    async def all(self, tenant_id: str) -> list[quota_pb2.Limit]:
        asked = quota_service_pb2.ListLimitsRequest(tenant_id=tenant_id)
        return list((await self._remote.call(self._stub.ListLimits, asked, timeout=self._timeout)).limits)

    async def delete(self, tenant_id: str, limit_id: str) -> None:
        asked = quota_service_pb2.DeleteLimitRequest(tenant_id=tenant_id, limit_id=limit_id)
        await self._remote.call(self._stub.DeleteLimit, asked, timeout=self._timeout)

    async def usage(self, asked: quota_service_pb2.GetLimitUsageRequest) -> list[quota_pb2.LimitUsage]:
        return list((await self._remote.call(self._stub.GetLimitUsage, asked, timeout=self._timeout)).usages)


async def rates(router: Router) -> Mapping[str, Rate]:
    """What models and routes cost."""
    return rates_from_proto(await router.models())
