"""gRPC in: convert, call one function, convert."""

from collections.abc import Callable
from datetime import datetime

import grpc
from omnix.usage.v1 import pricing_service_pb2 as pb
from omnix.usage.v1 import pricing_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_usage_metering.pricing.convert import (
    batch_to_proto,
    credit_from_proto,
    credit_to_proto,
    rule_from_proto,
    rule_to_proto,
    wish_from_proto,
)
from omnix_usage_metering.pricing.pricing import Pricing
from omnix_usage_metering.pricing.rerating import Rerating


class PricingServicer(pricing_service_pb2_grpc.PricingServiceServicer):
    def __init__(self, pricing: Pricing, rerating: Rerating, clock: Callable[[], datetime]) -> None:
        self._pricing = pricing
        self._rerating = rerating
        self._clock = clock

    async def PutPriceRule(
        self, request: pb.PutPriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.PutPriceRuleResponse:
        rule, created = await self._pricing.put_rule(rule_from_proto(request.rule, self._clock()))
        return pb.PutPriceRuleResponse(rule=rule_to_proto(rule), created=created)

    async def GetPriceRule(
        self, request: pb.GetPriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetPriceRuleResponse:
        return pb.GetPriceRuleResponse(rule=rule_to_proto(await self._pricing.rule(request.tenant_id, request.rule_id)))

    async def ListPriceRules(
        self, request: pb.ListPriceRulesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListPriceRulesResponse:
        rules = await self._pricing.rules(request.tenant_id)
        return pb.ListPriceRulesResponse(rules=[rule_to_proto(rule) for rule in rules])

    async def DeletePriceRule(
        self, request: pb.DeletePriceRuleRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeletePriceRuleResponse:
        await self._pricing.delete_rule(request.tenant_id, request.rule_id)
        return pb.DeletePriceRuleResponse()

    async def CreateCredit(
        self, request: pb.CreateCreditRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateCreditResponse:
        credit, created = await self._pricing.give(credit_from_proto(request.credit, self._clock()))
        return pb.CreateCreditResponse(credit=credit_to_proto(credit), created=created)

    async def ListCredits(
        self, request: pb.ListCreditsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListCreditsResponse:
        credits = await self._pricing.credits(request.tenant_id)
        return pb.ListCreditsResponse(credits=[credit_to_proto(credit) for credit in credits])

    async def RerateUsage(
        self, request: pb.RerateUsageRequest, context: grpc.aio.ServicerContext
    ) -> pb.RerateUsageResponse:
        batch = await self._rerating.batch(wish_from_proto(request), request.page_size, request.page_token)
        return batch_to_proto(batch)


def register(pricing: Pricing, rerating: Rerating, clock: Callable[[], datetime]) -> Register:
    return lambda server: pricing_service_pb2_grpc.add_PricingServiceServicer_to_server(
        PricingServicer(pricing, rerating, clock), server
    )
