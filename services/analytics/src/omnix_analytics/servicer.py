"""gRPC in: convert, call one function, convert."""

from collections.abc import Callable
from datetime import datetime

import grpc
from omnix.analytics.v1 import analytics_service_pb2 as pb
from omnix.analytics.v1 import analytics_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_analytics.answering import Answering
from omnix_analytics.convert import (
    bucket_from_proto,
    filter_from_proto,
    group_by_from_proto,
    rebuild_to_proto,
    series_to_proto,
    time_from_proto,
    totals_to_proto,
)
from omnix_analytics.rebuilding import Rebuilder, Rebuilds
from omnix_analytics.spans import DAY, ceiling


class AnalyticsServicer(analytics_service_pb2_grpc.AnalyticsServiceServicer):
    def __init__(
        self, answering: Answering, rebuilder: Rebuilder, rebuilds: Rebuilds, clock: Callable[[], datetime]
    ) -> None:
        self._answering = answering
        self._rebuilder = rebuilder
        self._rebuilds = rebuilds
        self._clock = clock

    async def QuerySeries(
        self, request: pb.QuerySeriesRequest, context: grpc.aio.ServicerContext
    ) -> pb.QuerySeriesResponse:
        wanted, group_by = filter_from_proto(request.filter), group_by_from_proto(request)
        return series_to_proto(await self._answering.series(wanted, bucket_from_proto(request), group_by, request.top))

    async def QueryTotals(
        self, request: pb.QueryTotalsRequest, context: grpc.aio.ServicerContext
    ) -> pb.QueryTotalsResponse:
        wanted, group_by = filter_from_proto(request.filter), group_by_from_proto(request)
        answer = await self._answering.totals(wanted, group_by, request.top)
        return totals_to_proto(answer, grouped=group_by is not None)

    async def StartRebuild(
        self, request: pb.StartRebuildRequest, context: grpc.aio.ServicerContext
    ) -> pb.StartRebuildResponse:
        start = time_from_proto(request.start_time, "start_time")
        given = request.HasField("end_time")
        end = time_from_proto(request.end_time, "end_time") if given else ceiling(self._clock() + DAY, DAY)
        rebuild = await self._rebuilder.start(request.tenant_id, start, end)
        return pb.StartRebuildResponse(rebuild=rebuild_to_proto(rebuild))

    async def GetRebuild(
        self, request: pb.GetRebuildRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetRebuildResponse:
        rebuild = await self._rebuilds.one(request.tenant_id, request.rebuild_id)
        return pb.GetRebuildResponse(rebuild=rebuild_to_proto(rebuild))


def register(answering: Answering, rebuilder: Rebuilder, rebuilds: Rebuilds, clock: Callable[[], datetime]) -> Register:
    servicer = AnalyticsServicer(answering, rebuilder, rebuilds, clock)
    return lambda server: analytics_service_pb2_grpc.add_AnalyticsServiceServicer_to_server(servicer, server)
