"""Analytics, over gRPC."""

from datetime import timedelta

from omnix.analytics.v1 import analytics_pb2, analytics_service_pb2, analytics_service_pb2_grpc
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.rpc import Remote


class Analytics:
    """Adds figures up. The gateway does without: where it has no address, every call is refused."""

    def __init__(self, remote: Remote | None, timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._stub = None if remote is None else analytics_service_pb2_grpc.AnalyticsServiceStub(remote.channel)

    async def series(
        self, asked: analytics_service_pb2.QuerySeriesRequest
    ) -> analytics_service_pb2.QuerySeriesResponse:
        remote, stub = self._there()
        return await remote.call(stub.QuerySeries, asked, timeout=self._timeout)

    async def totals(
        self, asked: analytics_service_pb2.QueryTotalsRequest
    ) -> analytics_service_pb2.QueryTotalsResponse:
        remote, stub = self._there()
        return await remote.call(stub.QueryTotals, asked, timeout=self._timeout)

    async def rebuild(self, asked: analytics_service_pb2.StartRebuildRequest) -> analytics_pb2.Rebuild:
        remote, stub = self._there()
        rebuild: analytics_pb2.Rebuild = (await remote.call(stub.StartRebuild, asked, timeout=self._timeout)).rebuild
        return rebuild

    async def rebuild_of(self, asked: analytics_service_pb2.GetRebuildRequest) -> analytics_pb2.Rebuild:
        remote, stub = self._there()
        rebuild: analytics_pb2.Rebuild = (await remote.call(stub.GetRebuild, asked, timeout=self._timeout)).rebuild
        return rebuild

    def _there(self) -> tuple[Remote, analytics_service_pb2_grpc.AnalyticsServiceStub]:
        if self._remote is None or self._stub is None:
            raise PlatformError(
                "This deployment has no analytics.", reason=Reason.UNAVAILABLE, retry_after=timedelta(minutes=1)
            )
        return self._remote, self._stub
