"""What tenants pay: protobuf to what the API tells, and back."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from omnix.router.v1 import router_pb2
from omnix.usage.v1 import pricing_pb2, pricing_service_pb2, statement_pb2, usage_pb2, usage_service_pb2
from omnix_kit.convert import timestamp

from omnix_gateway.chat.answer import decimal
from omnix_gateway.chat.convert import caller_to_proto
from omnix_gateway.convert import moment, price_from_proto
from omnix_gateway.errors import invalid
from omnix_gateway.identity import Identity
from omnix_gateway.ledger import schema, statements

_MILLION: Final = 1_000_000
_MOST: Final = 10**15


def rule_to_proto(
    rule_id: str, asked: schema.PriceRuleRequest, tenant_id: str
) -> pricing_service_pb2.PutPriceRuleRequest:
    if (asked.markup_percent is None) == (asked.fixed_price is None):
        raise invalid("A rule has either 'markup_percent' or 'fixed_price'.", "markup_percent")
    rule = pricing_pb2.PriceRule(
        rule_id=rule_id,
        tenant_id=tenant_id,
        model_pattern=asked.model or "",
        effective_time=timestamp(asked.effective_time),
        end_time=None if asked.end_time is None else timestamp(asked.end_time),
    )
    if asked.markup_percent is not None:
        rule.markup_basis_points = _whole(asked.markup_percent, 100, "markup_percent")
    if asked.fixed_price is not None:
        rule.fixed_price.CopyFrom(_price(asked.fixed_price, "fixed_price"))
    return pricing_service_pb2.PutPriceRuleRequest(rule=rule)


def rule_from_proto(rule: pricing_pb2.PriceRule) -> schema.PriceRule:
    is_fixed = rule.WhichOneof("amount") == "fixed_price"
    price = usage_pb2.Price()
    price.CopyFrom(rule.fixed_price)
    price.effective_time.CopyFrom(rule.effective_time)
    return schema.PriceRule(
        id=rule.rule_id,
        model=rule.model_pattern or None,
        effective_time=moment(rule.effective_time),
        end_time=moment(rule.end_time) if rule.HasField("end_time") else None,
        markup_percent=None if is_fixed else f"{Decimal(rule.markup_basis_points) / 100:.2f}",
        fixed_price=price_from_proto(price) if is_fixed else None,
        version=rule.version,
        created_at=rule.create_time.seconds,
        updated_at=rule.update_time.seconds,
    )


def credit_to_proto(asked: schema.CreditRequest, tenant_id: str) -> pricing_service_pb2.CreateCreditRequest:
    return pricing_service_pb2.CreateCreditRequest(
        credit=pricing_pb2.Credit(
            credit_id=asked.id,
            tenant_id=tenant_id,
            amount_micros=_whole(asked.amount, _MILLION, "amount"),
            currency=asked.currency,
            effective_time=timestamp(asked.effective_time),
            note=asked.note,
        )
    )


def credit_from_proto(credit: pricing_pb2.Credit) -> schema.Credit:
    return schema.Credit(
        id=credit.credit_id,
        amount=decimal(credit.amount_micros),
        amount_micros=credit.amount_micros,
        currency=credit.currency,
        effective_time=moment(credit.effective_time),
        note=credit.note,
        created_at=credit.create_time.seconds,
    )


def rerate_to_proto(
    asked: schema.RerateRequest, catalogue: Iterable[router_pb2.Model], identity: Identity
) -> pricing_service_pb2.RerateUsageRequest:
    """``catalogue`` has the models whose prices of now are taken, none where others are."""
    wanted = usage_service_pb2.UsageFilter(
        tenant_id=identity.tenant_id,
        provider=asked.provider or "",
        model=asked.model or "",
        start_time=timestamp(asked.start_time),
        end_time=None if asked.end_time is None else timestamp(asked.end_time),
    )
    prices = [
        pricing_pb2.ModelPrice(provider=each.provider, model=each.model, price=each.price)
        for each in catalogue
        if each.provider
        and each.HasField("price")
        and asked.provider in (None, each.provider)
        and asked.model in (None, each.model)
    ]
    if not isinstance(asked.prices, str):
        prices = [_model_price(given, f"prices.{number}") for number, given in enumerate(asked.prices)]
    return pricing_service_pb2.RerateUsageRequest(
        filter=wanted,
        prices=prices,
        caller=caller_to_proto(identity.caller),
        validate_only=asked.dry_run,
        page_size=asked.limit,
        page_token=asked.page_token or "",
    )


def rerating_from_proto(answer: pricing_service_pb2.RerateUsageResponse, *, is_dry: bool) -> schema.Rerating:
    return schema.Rerating(
        dry_run=is_dry,
        looked_at=answer.looked_at,
        changed=answer.changed,
        totals=[
            schema.RerateTotal(
                currency=total.currency,
                former_cost_micros=total.former_cost_micros,
                cost_micros=total.cost_micros,
                former_billed_micros=total.former_billed_micros,
                billed_micros=total.billed_micros,
            )
            for total in answer.totals
        ],
        has_more=bool(answer.next_page_token),
        next_page_token=answer.next_page_token or None,
    )


def statement_from_proto(statement: statement_pb2.Statement) -> statements.Statement:
    is_closed = statement.HasField("close_time")
    return statements.Statement(
        month=statement.month,
        status="closed" if is_closed else "open",
        close_time=moment(statement.close_time) if is_closed else None,
        closed_by=statement.closer.key_id or None,
        totals=[
            statements.StatementTotal(
                currency=total.currency,
                billed=decimal(total.billed_micros),
                billed_micros=total.billed_micros,
                adjustments=decimal(total.adjustment_micros),
                adjustment_micros=total.adjustment_micros,
                credits=decimal(total.credit_micros),
                credit_micros=total.credit_micros,
                due=decimal(total.due_micros),
                due_micros=total.due_micros,
            )
            for total in statement.totals
        ],
        models=_lines(statement.models),
        teams=_lines(statement.teams),
        keys=_lines(statement.keys),
        adjustments=[
            statements.StatementAdjustment(
                month=each.month,
                currency=each.currency,
                amount=decimal(each.amount_micros),
                amount_micros=each.amount_micros,
            )
            for each in statement.adjustments
        ],
    )


def _lines(lines: Iterable[statement_pb2.StatementLine]) -> list[statements.StatementLine]:
    return [
        statements.StatementLine(
            name=line.name or None,
            currency=line.currency or None,
            attempts=line.attempts,
            input_tokens=line.input_tokens,
            output_tokens=line.output_tokens,
            billed=decimal(line.billed_micros) if line.currency else None,
            billed_micros=line.billed_micros if line.currency else None,
        )
        for line in lines
    ]


def _model_price(given: schema.ModelPrice, param: str) -> pricing_pb2.ModelPrice:
    price = _price(given, param)
    price.effective_time.CopyFrom(timestamp(given.effective_time))
    return pricing_pb2.ModelPrice(provider=given.provider, model=given.model, price=price)


def _price(given: schema.GivenPrice, param: str) -> usage_pb2.Price:
    price = usage_pb2.Price(
        currency=given.currency,
        audio_input_micros_per_million=_rate(given.audio_input, f"{param}.audio_input"),
        audio_output_micros_per_million=_rate(given.audio_output, f"{param}.audio_output"),
    )
    _set_rates(price, given, param)
    for number, tier in enumerate(given.tiers):
        _set_rates(price.tiers.add(above_input_tokens=tier.above_input_tokens), tier, f"{param}.tiers.{number}")
    return price


def _set_rates(price: usage_pb2.Price | usage_pb2.PriceTier, given: schema.GivenRates, param: str) -> None:
    for name in ("input", "output", "cached_input", "cache_write", "long_cache_write", "reasoning"):
        if (rate := _rate(getattr(given, name), f"{param}.{name}")) is not None:
            setattr(price, f"{name}_micros_per_million", rate)


def _rate(amount: Decimal | None, param: str) -> int | None:
    if amount is None:
        return None
    if amount.is_nan() or amount < 0:
        raise invalid(f"'{param}' is less than nothing.", param)
    return _whole(amount, _MILLION, param)


def _whole(amount: Decimal, parts: int, param: str) -> int:
    """In whole parts; nothing is rounded that somebody is billed by."""
    if not amount.is_finite() or abs(amount) > _MOST or abs(amount) * parts > _MOST:
        raise invalid(f"'{param}' is too large, or is no number.", param)
    counted = amount * parts
    if counted != int(counted):
        raise invalid(f"'{param}' has more places than it may have.", param)
    return int(counted)
