"""gRPC in: convert, call one function, convert."""

import grpc
from omnix.usage.v1 import usage_service_pb2 as pb
from omnix.usage.v1 import usage_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_usage_metering.convert import filter_from_proto, line_to_proto, total_to_proto
from omnix_usage_metering.ledger import Ledger


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ListUsageEntries(
        self, request: pb.ListUsageEntriesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListUsageEntriesResponse:
        wanted = filter_from_proto(request.filter)
        lines, token = await self._ledger.page(wanted, request.page_size, request.page_token)
        return pb.ListUsageEntriesResponse(entries=[line_to_proto(line) for line in lines], next_page_token=token or "")

    async def SummarizeUsage(
        self, request: pb.SummarizeUsageRequest, context: grpc.aio.ServicerContext
    ) -> pb.SummarizeUsageResponse:
        totals = await self._ledger.totals(filter_from_proto(request.filter))
        return pb.SummarizeUsageResponse(totals=[total_to_proto(total) for total in totals])


def register(ledger: Ledger) -> Register:
    return lambda server: usage_service_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(ledger), server)
