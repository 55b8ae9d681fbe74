"""Rules, credits and ratings between protobuf and the domain."""

from collections.abc import Iterable
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from omnix.common.v1 import caller_pb2
from omnix.usage.v1 import pricing_pb2 as pb
from omnix.usage.v1 import pricing_service_pb2 as service
from omnix.usage.v1 import usage_pb2
from omnix_kit.caller import Caller
from omnix_kit.convert import datetime_from, price_from_proto, price_to_proto, timestamp
from omnix_kit.money import Price

from omnix_usage_metering.convert import filter_from_proto
from omnix_usage_metering.errors import invalid
from omnix_usage_metering.pricing.credits import Credit
from omnix_usage_metering.pricing.rerating import Batch, Wish
from omnix_usage_metering.pricing.rules import Markup, Rule, check_price

_MOST_PRICES = 5000


def rule_from_proto(message: pb.PriceRule, now: datetime) -> Rule:
    """:raises CallerError: for what is missing or cannot be."""
    return Rule(
        rule_id=message.rule_id,
        tenant_id=message.tenant_id,
        model_pattern=message.model_pattern,
        effective_time=_time(message.effective_time, "rule.effective_time"),
        end_time=_time(message.end_time, "rule.end_time") if message.HasField("end_time") else None,
        amount=_amount(message),
        version=0,
        create_time=now,
        update_time=now,
    )


def _amount(message: pb.PriceRule) -> Markup | Price:
    match message.WhichOneof("amount"):
        case "markup_basis_points":
            return Markup(message.markup_basis_points)
        case "fixed_price":
            price = usage_pb2.Price()
            price.CopyFrom(message.fixed_price)
            price.effective_time.CopyFrom(message.effective_time)  # the rule's day is the price's
            return price_from_proto(price)
        case _:
            raise invalid("rule.amount", "rule.markup_basis_points or rule.fixed_price is required.")


def rule_to_proto(rule: Rule) -> pb.PriceRule:
    made = pb.PriceRule(
        rule_id=rule.rule_id,
        tenant_id=rule.tenant_id,
        model_pattern=rule.model_pattern,
        effective_time=timestamp(rule.effective_time),
        end_time=None if rule.end_time is None else timestamp(rule.end_time),
        version=rule.version,
        create_time=timestamp(rule.create_time),
        update_time=timestamp(rule.update_time),
    )
    match rule.amount:
        case Markup(basis_points):
            made.markup_basis_points = basis_points
        case Price() as price:
            made.fixed_price.CopyFrom(price_to_proto(price))
            made.fixed_price.ClearField("effective_time")
    return made


def credit_from_proto(message: pb.Credit, now: datetime) -> Credit:
    return Credit(
        credit_id=message.credit_id,
        tenant_id=message.tenant_id,
        amount_micros=message.amount_micros,
        currency=message.currency,
        effective_time=_time(message.effective_time, "credit.effective_time"),
        note=message.note,
        create_time=now,
    )


def credit_to_proto(credit: Credit) -> pb.Credit:
    return pb.Credit(
        credit_id=credit.credit_id,
        tenant_id=credit.tenant_id,
        amount_micros=credit.amount_micros,
        currency=credit.currency,
        effective_time=timestamp(credit.effective_time),
        note=credit.note,
        create_time=timestamp(credit.create_time),
    )


def wish_from_proto(message: service.RerateUsageRequest) -> Wish:
    return Wish(
        wanted=filter_from_proto(message.filter),
        prices=_prices(message.prices),
        author=_caller(message.caller),
        is_dry=message.validate_only,
    )


def _prices(given: Iterable[pb.ModelPrice]) -> dict[tuple[str, str], Price]:
    prices: dict[tuple[str, str], Price] = {}
    for number, each in enumerate(given):
        param, name = f"prices.{number}", (each.provider, each.model)
        if number >= _MOST_PRICES:
            raise invalid("prices", f"There are more than {_MOST_PRICES} prices.")
        if not each.provider or not each.model or name in prices:
            raise invalid(param, f"{param} names no model, or one that has a price here already.")
        _time(each.price.effective_time, f"{param}.price.effective_time")
        price = prices[name] = price_from_proto(each.price)
        check_price(price, f"{param}.price")
    return prices


def _caller(message: caller_pb2.Caller) -> Caller:
    return Caller(message.tenant_id, message.team_id, message.user_id, message.key_id)


def batch_to_proto(batch: Batch) -> service.RerateUsageResponse:
    return service.RerateUsageResponse(
        looked_at=batch.looked_at,
        changed=batch.changed,
        totals=[
            pb.RerateTotal(
                currency=currency,
                former_cost_micros=difference.former_cost_micros,
                cost_micros=difference.cost_micros,
                former_billed_micros=difference.former_billed_micros,
                billed_micros=difference.billed_micros,
            )
            for currency, difference in sorted(batch.differences.items())
        ],
        next_page_token=batch.next_page_token or "",
    )


def _time(message: Timestamp, param: str) -> datetime:
    """To the millisecond, as it is stored."""
    try:
        found = datetime_from(message)
    except (ValueError, OverflowError):
        raise invalid(param, f"{param} is not a time between the years 1 and 9999.") from None
    if not message.seconds:
        raise invalid(param, f"{param} is missing.")
    return found.replace(microsecond=found.microsecond // 1000 * 1000)
