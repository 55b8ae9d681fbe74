"""Usage events, entries of the ledger, questions and answers between protobuf and the domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from omnix.analytics.v1 import analytics_pb2, analytics_service_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import datetime_from, timestamp
from omnix_kit.durable.errors import Unreadable
from omnix_kit.money import cost_micros
from omnix_kit.usage.convert import Checked, checked, events_from_wire

from omnix_analytics import users
from omnix_analytics.cells import Cell
from omnix_analytics.errors import invalid
from omnix_analytics.facts import Fact
from omnix_analytics.questions import Answer, Dimension, Filter, Group
from omnix_analytics.rebuilds import Rebuild, State
from omnix_analytics.sketch import Sketch
from omnix_analytics.spans import EPOCH, Span

_DIMENSIONS = {
    analytics_pb2.DIMENSION_MODEL: Dimension.MODEL,
    analytics_pb2.DIMENSION_PROVIDER: Dimension.PROVIDER,
    analytics_pb2.DIMENSION_TEAM: Dimension.TEAM,
    analytics_pb2.DIMENSION_USER: Dimension.USER,
    analytics_pb2.DIMENSION_KEY: Dimension.KEY,
}
_STATES = {
    State.RUNNING: analytics_pb2.Rebuild.STATE_RUNNING,
    State.DONE: analytics_pb2.Rebuild.STATE_DONE,
    State.FAILED: analytics_pb2.Rebuild.STATE_FAILED,
}
_FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_DAY = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """A fact, and the event that told it."""

    fact: Fact
    message: usage_pb2.UsageRecorded


def told_from_wire(payload: bytes, subject: str) -> list[Told | Unreadable]:
    """Read the events of one message, each for itself.

    :raises Poison: when the message as a whole cannot be read.
    """
    return [
        event if isinstance(event, Unreadable) else Told(_fact(event), event.message)
        for event in events_from_wire(payload, subject)
    ]


def fact_from_entry(entry: usage_pb2.UsageEntry) -> Fact:
    """Read what the ledger says of an attempt, at the ledger's cost."""
    event = checked(entry.event, entry.event.caller.tenant_id)
    return _fact(event, (entry.cost_micros if entry.HasField("cost_micros") else None, entry.currency))


def _fact(event: Checked, cost: tuple[int | None, str] | None = None) -> Fact:
    message = event.message
    caller = message.caller
    if cost is None:
        price = event.price
        cost = (None, "") if price is None else (cost_micros(event.tokens, price), price.currency)
    return Fact(
        attempt_id=message.attempt_id,
        tenant_id=caller.tenant_id,
        team_id=caller.team_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        provider=message.provider,
        model=message.model,
        outcome=event.outcome,
        certainty=event.certainty,
        is_request=message.attempt == 1 and not message.HasField("purpose"),
        end_ms=_milliseconds(event.end_time),
        latency_us=_microseconds(event.end_time) - _microseconds(event.start_time),
        first_content_us=max(0, message.first_content_us) if message.streamed else 0,
        input_tokens=event.tokens.input,
        output_tokens=event.tokens.output,
        cached_input_tokens=event.tokens.cached_input,
        reasoning_tokens=event.tokens.reasoning,
        cost_micros=cost[0],
        currency=cost[1],
    )


def _microseconds(time: datetime) -> int:
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _milliseconds(time: datetime) -> int:
    return _microseconds(time) // 1000


def filter_from_proto(message: analytics_service_pb2.AnalyticsFilter) -> Filter:
    return Filter(
        tenant_id=message.tenant_id,
        span=Span(
            time_from_proto(message.start_time, "filter.start_time"),
            time_from_proto(message.end_time, "filter.end_time"),
        ),
        model=message.model if message.HasField("model") else None,
        provider=message.provider if message.HasField("provider") else None,
        team=message.team_id if message.HasField("team_id") else None,
        user=message.user_id if message.HasField("user_id") else None,
        key=message.key_id if message.HasField("key_id") else None,
    )


def time_from_proto(message: Timestamp, name: str) -> datetime:
    try:
        time = datetime_from(message)
    except (ValueError, OverflowError):
        time = EPOCH
    if not _FIRST_DAY <= time <= _LAST_DAY:
        raise invalid(name, f"{name} is missing, or not a time between the years 2000 and 2100.")
    return time


def bucket_from_proto(request: analytics_service_pb2.QuerySeriesRequest) -> timedelta:
    try:
        return request.bucket.ToTimedelta()
    except (ValueError, OverflowError):
        raise invalid("bucket", "bucket is not a duration.") from None


def group_by_from_proto(
    request: analytics_service_pb2.QuerySeriesRequest | analytics_service_pb2.QueryTotalsRequest,
) -> Dimension | None:
    if not request.HasField("group_by"):
        return None
    found = _DIMENSIONS.get(request.group_by)
    if found is None:
        raise invalid("group_by", "group_by is unspecified or unknown.")
    return found


def series_to_proto(answer: Answer) -> analytics_service_pb2.QuerySeriesResponse:
    response = analytics_service_pb2.QuerySeriesResponse(
        series=[_series(group) for group in answer.groups],
        start_time=timestamp(answer.span.start),
        end_time=timestamp(answer.span.end),
        rebuilding=answer.rebuilding,
    )
    if answer.kept_from is not None:
        response.kept_from_time.CopyFrom(timestamp(answer.kept_from))
    return response


def _series(group: Group) -> analytics_service_pb2.Series:
    points = [
        analytics_pb2.Point(start_time=timestamp(start), figures=figures_to_proto(cell))
        for start, cell in sorted(group.points.items())
    ]
    return analytics_service_pb2.Series(group=group.name, rest=group.is_rest, points=points)


def totals_to_proto(answer: Answer, *, grouped: bool) -> analytics_service_pb2.QueryTotalsResponse:
    cells = [_only(group) for group in answer.groups]
    groups = [
        analytics_service_pb2.Group(group=group.name, rest=group.is_rest, figures=figures_to_proto(cell))
        for group, cell in zip(answer.groups, cells, strict=True)
    ]
    response = analytics_service_pb2.QueryTotalsResponse(
        total=figures_to_proto(_sum(cells)),
        groups=groups if grouped else [],
        start_time=timestamp(answer.span.start),
        end_time=timestamp(answer.span.end),
        rebuilding=answer.rebuilding,
    )
    if answer.kept_from is not None:
        response.kept_from_time.CopyFrom(timestamp(answer.kept_from))
    return response


def _only(group: Group) -> Cell:
    [cell] = group.points.values()
    return cell


def _sum(cells: Sequence[Cell]) -> Cell:
    total = Cell()
    for cell in cells:
        total.merge(cell)
    return total


def figures_to_proto(cell: Cell) -> analytics_pb2.Figures:
    return analytics_pb2.Figures(
        attempts=cell.attempts,
        requests=cell.requests,
        succeeded=cell.succeeded,
        failed=cell.failed,
        cancelled=cell.cancelled,
        estimated=cell.estimated,
        unpriced=cell.unpriced,
        input_tokens=cell.input_tokens,
        output_tokens=cell.output_tokens,
        cached_input_tokens=cell.cached_input_tokens,
        reasoning_tokens=cell.reasoning_tokens,
        costs=[analytics_pb2.Cost(currency=currency, micros=micros) for currency, micros in sorted(cell.costs.items())],
        active_users=users.count(cell.active),
        latency=_timing(cell.latency, cell.latency_us),
        first_content=_timing(cell.first_content, cell.first_content_us),
    )


def _timing(sketch: Sketch, sum_us: int) -> analytics_pb2.Timing:
    count = sketch.total
    if not count:
        return analytics_pb2.Timing()
    p50, p95, p99 = sketch.quantiles((0.5, 0.95, 0.99))
    return analytics_pb2.Timing(count=count, average_us=sum_us // count, p50_us=p50, p95_us=p95, p99_us=p99)


def rebuild_to_proto(rebuild: Rebuild) -> analytics_pb2.Rebuild:
    return analytics_pb2.Rebuild(
        rebuild_id=rebuild.id,
        tenant_id=rebuild.tenant_id,
        start_time=timestamp(rebuild.start_time),
        end_time=timestamp(rebuild.end_time),
        state=_STATES[rebuild.state],
        entries_read=rebuild.entries_read,
        reached_time=timestamp(rebuild.reached_time),
        error=rebuild.error,
        create_time=timestamp(rebuild.create_time),
        update_time=timestamp(rebuild.update_time),
    )


def changed_to_wire(tenant_id: str, facts: Sequence[Fact]) -> bytes:
    """Tell that these were counted."""
    first = min(fact.end_ms for fact in facts)
    changed = analytics_pb2.FiguresChanged(tenant_id=tenant_id, events=len(facts))
    changed.from_time.FromMilliseconds(first)
    return changed.SerializeToString()
