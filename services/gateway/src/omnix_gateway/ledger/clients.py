"""Usage-metering, as far as it keeps what tenants pay."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from omnix.usage.v1 import (
    pricing_pb2,
    pricing_service_pb2,
    pricing_service_pb2_grpc,
    statement_pb2,
    statement_service_pb2,
    statement_service_pb2_grpc,
)
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, error_for
from omnix_kit.rpc import Remote

from omnix_gateway.chat.convert import caller_to_proto

_WORDS: Final = {
    "rule.markup_basis_points": "markup_percent",
    "rule.model_pattern": "model",
    "rule.rule_id": "rule_id",
    "credit.credit_id": "id",
    "credit.amount_micros": "amount",
}
_PREFIXES: Final = ("rule.", "credit.", "filter.")
_RERATE_WITHIN: Final = timedelta(seconds=60)
_STATEMENT_WITHIN: Final = timedelta(minutes=2)
"""Months are added up entry by entry."""


class Pricing:
    def __init__(self, remote: Remote, timeout: timedelta) -> None:
        self._remote = remote
        self._timeout = timeout
        self._stub = pricing_service_pb2_grpc.PricingServiceStub(remote.channel)

    async def put(self, asked: pricing_service_pb2.PutPriceRuleRequest) -> pricing_service_pb2.PutPriceRuleResponse:
        with _callers_words():
            return await self._remote.call(self._stub.PutPriceRule, asked, timeout=self._timeout)

    async def rule(self, tenant_id: str, rule_id: str) -> pricing_pb2.PriceRule:
        asked = pricing_service_pb2.GetPriceRuleRequest(tenant_id=tenant_id, rule_id=rule_id)
        answer = await self._remote.call(self._stub.GetPriceRule, asked, timeout=self._timeout)
        rule: pricing_pb2.PriceRule = answer.rule
        return rule

    async def rules(self, tenant_id: str) -> list[pricing_pb2.PriceRule]:
        asked = pricing_service_pb2.ListPriceRulesRequest(tenant_id=tenant_id)
        answer = await self._remote.call(self._stub.ListPriceRules, asked, timeout=self._timeout)
        return list(answer.rules)

    async def delete(self, tenant_id: str, rule_id: str) -> None:
        asked = pricing_service_pb2.DeletePriceRuleRequest(tenant_id=tenant_id, rule_id=rule_id)
        await self._remote.call(self._stub.DeletePriceRule, asked, timeout=self._timeout)

    async def give(self, asked: pricing_service_pb2.CreateCreditRequest) -> pricing_service_pb2.CreateCreditResponse:
        with _callers_words():
            return await self._remote.call(self._stub.CreateCredit, asked, timeout=self._timeout)

    async def credits(self, tenant_id: str) -> list[pricing_pb2.Credit]:
        asked = pricing_service_pb2.ListCreditsRequest(tenant_id=tenant_id)
        answer = await self._remote.call(self._stub.ListCredits, asked, timeout=self._timeout)
        return list(answer.credits)

    async def rerate(self, asked: pricing_service_pb2.RerateUsageRequest) -> pricing_service_pb2.RerateUsageResponse:
        with _callers_words():
            return await self._remote.call(self._stub.RerateUsage, asked, timeout=_RERATE_WITHIN)


class Statements:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._stub = statement_service_pb2_grpc.StatementServiceStub(remote.channel)

    async def of(self, tenant_id: str, month: str) -> statement_pb2.Statement:
        asked = statement_service_pb2.GetStatementRequest(tenant_id=tenant_id, month=month)
        answer = await self._remote.call(self._stub.GetStatement, asked, timeout=_STATEMENT_WITHIN)
        statement: statement_pb2.Statement = answer.statement
        return statement

    async def close(self, caller: Caller, month: str) -> statement_pb2.Statement:
        asked = statement_service_pb2.CloseStatementRequest(
            tenant_id=caller.tenant_id, month=month, caller=caller_to_proto(caller)
        )
        answer = await self._remote.call(self._stub.CloseStatement, asked, timeout=_STATEMENT_WITHIN)
        statement: statement_pb2.Statement = answer.statement
        return statement


@contextmanager
def _callers_words() -> Iterator[None]:
    """Parameters in errors are named as callers wrote them."""
    try:
        yield
    except OmnixError as exc:
        if exc.param is None:
            raise
        named = _WORDS.get(exc.param, exc.param)
        for prefix in _PREFIXES:
            named = named.removeprefix(prefix)
        raise error_for(
            exc.reason, exc.message.replace(exc.param, named), param=named, retry_after=exc.retry_after
        ) from exc
