"""gRPC in: convert, call one function, convert."""

import grpc
from omnix.usage.v1 import statement_service_pb2 as pb
from omnix.usage.v1 import statement_service_pb2_grpc
from omnix_kit.caller import Caller
from omnix_kit.rpc import Register

from omnix_usage_metering.statements.convert import statement_to_proto
from omnix_usage_metering.statements.statements import Statements


class StatementServicer(statement_service_pb2_grpc.StatementServiceServicer):
    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def GetStatement(
        self, request: pb.GetStatementRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetStatementResponse:
        found = await self._statements.of(request.tenant_id, request.month)
        return pb.GetStatementResponse(statement=statement_to_proto(found))

    async def CloseStatement(
        self, request: pb.CloseStatementRequest, context: grpc.aio.ServicerContext
    ) -> pb.CloseStatementResponse:
        author = Caller(request.tenant_id, user_id=request.caller.user_id, key_id=request.caller.key_id)
        closed = await self._statements.close(request.tenant_id, request.month, author)
        return pb.CloseStatementResponse(statement=statement_to_proto(closed))


def register(statements: Statements) -> Register:
    return lambda server: statement_service_pb2_grpc.add_StatementServiceServicer_to_server(
        StatementServicer(statements), server
    )
