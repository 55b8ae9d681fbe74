"""Usage-metering's rules behind the gateway: kept in memory, and what was asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from omnix.usage.v1 import (
    pricing_pb2,
    pricing_service_pb2_grpc,
    statement_pb2,
    statement_service_pb2,
    statement_service_pb2_grpc,
)
from omnix.usage.v1 import pricing_service_pb2 as pb
from omnix_kit.errors import CallerError, Reason
from omnix_kit.health import Readiness
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings


@dataclass
class FakePricing(pricing_service_pb2_grpc.PricingServiceServicer):
    port: int = 0
    rules: dict[tuple[str, str], pricing_pb2.PriceRule] = field(default_factory=dict)
    credits: list[pricing_pb2.Credit] = field(default_factory=list)
    rerated: list[pb.RerateUsageRequest] = field(default_factory=list)
    rerating: pb.RerateUsageResponse = field(default_factory=pb.RerateUsageResponse)
    error: CallerError | None = None
    statements: "FakeStatements" = field(default_factory=lambda: FakeStatements())

    async def PutPriceRule(
        self, request: pb.PutPriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.PutPriceRuleResponse:
        if self.error is not None:
            raise self.error
        key = (request.rule.tenant_id, request.rule.rule_id)
        created = key not in self.rules
        self.rules[key] = request.rule
        return pb.PutPriceRuleResponse(rule=request.rule, created=created)

    async def GetPriceRule(
        self, request: pb.GetPriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetPriceRuleResponse:
        found = self.rules.get((request.tenant_id, request.rule_id))
        if found is None:
            raise CallerError("There is no such rule.", reason=Reason.NOT_FOUND)
        return pb.GetPriceRuleResponse(rule=found)

    async def ListPriceRules(
        self, request: pb.ListPriceRulesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListPriceRulesResponse:
        return pb.ListPriceRulesResponse(rules=list(self.rules.values()))

    async def DeletePriceRule(
        self, request: pb.DeletePriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeletePriceRuleResponse:
        del self.rules[request.tenant_id, request.rule_id]
        return pb.DeletePriceRuleResponse()

    async def CreateCredit(
        self, request: pb.CreateCreditRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateCreditResponse:
        self.credits.append(request.credit)
        return pb.CreateCreditResponse(credit=request.credit, created=True)

    async def ListCredits(
        self, request: pb.ListCreditsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListCreditsResponse:
        return pb.ListCreditsResponse(credits=self.credits)

    async def RerateUsage(
        self, request: pb.RerateUsageRequest, context: grpc.aio.ServicerContext
    ) -> pb.RerateUsageResponse:
        self.rerated.append(request)
        return self.rerating


@dataclass
class FakeStatements(statement_service_pb2_grpc.StatementServiceServicer):
    statement: statement_pb2.Statement = field(default_factory=statement_pb2.Statement)
    asked: list[statement_service_pb2.GetStatementRequest | statement_service_pb2.CloseStatementRequest] = field(
        default_factory=list
    )

    async def GetStatement(
        self, request: statement_service_pb2.GetStatementRequest, context: grpc.aio.ServicerContext
    ) -> statement_service_pb2.GetStatementResponse:
        self.asked.append(request)
        return statement_service_pb2.GetStatementResponse(statement=self.statement)

    async def CloseStatement(
        self, request: statement_service_pb2.CloseStatementRequest, context: grpc.aio.ServicerContext
    ) -> statement_service_pb2.CloseStatementResponse:
        self.asked.append(request)
        if self.statement.HasField("close_time"):
            raise CallerError("It has not ended.", reason=Reason.CONFLICT, param="month")
        self.statement.close_time.seconds = 1_793_491_200
        return statement_service_pb2.CloseStatementResponse(statement=self.statement)


@asynccontextmanager
async def pricing_service() -> AsyncIterator[FakePricing]:
    fake = FakePricing()
    settings = ServiceSettings(grace=0)  # type: ignore[arg-type]

    def register(server: grpc.aio.Server) -> None:
        statement_service_pb2_grpc.add_StatementServiceServicer_to_server(fake.statements, server)
        pricing_service_pb2_grpc.add_PricingServiceServicer_to_server(fake, server)

    async with grpc_server(settings, Readiness(), [], register) as port:
        fake.port = port
        yield fake
