"""Questions to protobuf, within what the key may see; figures from protobuf."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from omnix.analytics.v1 import analytics_pb2, analytics_service_pb2
from omnix_kit.convert import datetime_from, duration, timestamp
from omnix_kit.errors import CallerError, Reason

from omnix_gateway.analytics import schema
from omnix_gateway.chat.answer import decimal
from omnix_gateway.errors import invalid
from omnix_gateway.identity import Identity, Role

_DIMENSIONS: Final = {
    "model": analytics_pb2.DIMENSION_MODEL,
    "provider": analytics_pb2.DIMENSION_PROVIDER,
    "team": analytics_pb2.DIMENSION_TEAM,
    "user": analytics_pb2.DIMENSION_USER,
    "key": analytics_pb2.DIMENSION_KEY,
}
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_STATES: Final[dict[int, Literal["running", "done", "failed"]]] = {
    analytics_pb2.Rebuild.STATE_RUNNING: "running",
    analytics_pb2.Rebuild.STATE_DONE: "done",
    analytics_pb2.Rebuild.STATE_FAILED: "failed",
}
_MINUTE: Final = timedelta(minutes=1)
_USUAL_SPAN: Final = timedelta(hours=24)
_LONGEST_WINDOW: Final = timedelta(hours=1)


def series_to_proto(
    query: schema.SeriesQuery, identity: Identity, now: datetime
) -> analytics_service_pb2.QuerySeriesRequest:
    start, end = _span(query, now)
    bucket = _usual_bucket(end - start) if query.bucket is None else _length(query.bucket)
    asked = analytics_service_pb2.QuerySeriesRequest(
        filter=_filter(query, identity, start, end), bucket=duration(bucket), top=query.top
    )
    if query.group_by is not None:
        asked.group_by = _DIMENSIONS[query.group_by]
    return asked


def totals_to_proto(
    query: schema.TotalsQuery, identity: Identity, now: datetime
) -> analytics_service_pb2.QueryTotalsRequest:
    start, end = _span(query, now)
    asked = analytics_service_pb2.QueryTotalsRequest(filter=_filter(query, identity, start, end), top=query.top)
    if query.group_by is not None:
        asked.group_by = _DIMENSIONS[query.group_by]
    return asked


def live_to_proto(
    query: schema.LiveQuery, identity: Identity, now: datetime
) -> tuple[analytics_service_pb2.QuerySeriesRequest, analytics_service_pb2.QueryTotalsRequest]:
    """The window's minutes, the one that runs included, one by one and together."""
    window = _length(query.window)
    if window > _LONGEST_WINDOW:
        raise invalid("'window' is at most an hour.", "window")
    end = now.replace(second=0, microsecond=0) + _MINUTE
    wanted = _filter(query, identity, end - window, end)
    totals = analytics_service_pb2.QueryTotalsRequest(filter=wanted, top=query.top)
    if query.group_by is not None:
        totals.group_by = _DIMENSIONS[query.group_by]
    return analytics_service_pb2.QuerySeriesRequest(filter=wanted, bucket=duration(_MINUTE)), totals


def _length(text: str) -> timedelta:
    return int(text[:-1]) * _UNITS[text[-1]]


def _usual_bucket(span: timedelta) -> timedelta:
    if span <= timedelta(hours=2):
        return _MINUTE
    return timedelta(hours=1) if span <= timedelta(days=3) else timedelta(days=1)


def _span(query: schema.FiguresQuery, now: datetime) -> tuple[datetime, datetime]:
    try:
        end = now if query.end is None else query.end.astimezone(UTC)
        start = end - _USUAL_SPAN if query.start is None else query.start.astimezone(UTC)
    except OverflowError:
        raise invalid("The times must lie between the years 2000 and 2100.", "start") from None
    if end <= start:
        raise invalid("'end' must be later than 'start'.", "end")
    return start, end


def _filter(
    query: schema.FiguresQuery | schema.LiveQuery, identity: Identity, start: datetime, end: datetime
) -> analytics_service_pb2.AnalyticsFilter:
    """The tenant's for admins; for others what their key made, or their user where they ask for it."""
    key, user = query.key_id, query.user_id
    if identity.role is not Role.ADMIN:
        if user is not None and not (user and user == identity.user_id):
            raise CallerError("Only admins see the figures of other users.", reason=Reason.PERMISSION_DENIED)
        if key not in (None, identity.key_id):
            raise CallerError("Only admins see the figures of other keys.", reason=Reason.PERMISSION_DENIED)
        if user is None:
            key = identity.key_id
    return analytics_service_pb2.AnalyticsFilter(
        tenant_id=identity.tenant_id,
        model=query.model,
        provider=query.provider,
        team_id=query.team_id,
        user_id=user,
        key_id=key,
        start_time=timestamp(start),
        end_time=timestamp(end),
    )


def series_from_proto(
    answer: analytics_service_pb2.QuerySeriesResponse, bucket: timedelta, group_by: schema.Dimension | None
) -> schema.FiguresSeries:
    return schema.FiguresSeries(
        start=_time(answer.start_time),
        end=_time(answer.end_time),
        bucket_seconds=int(bucket.total_seconds()),
        group_by=group_by,
        series=[
            schema.Series(
                group=None if series.rest or group_by is None else series.group,
                rest=series.rest,
                points=[_point(point, bucket) for point in series.points],
            )
            for series in answer.series
        ],
        kept_from=_time(answer.kept_from_time) if answer.HasField("kept_from_time") else None,
        rebuilding=answer.rebuilding,
    )


def totals_from_proto(
    answer: analytics_service_pb2.QueryTotalsResponse, group_by: schema.Dimension | None
) -> schema.FiguresTotals:
    return schema.FiguresTotals(
        start=_time(answer.start_time),
        end=_time(answer.end_time),
        group_by=group_by,
        total=_figures(schema.Figures, answer.total, _length_of(answer)),
        groups=_groups(answer),
        kept_from=_time(answer.kept_from_time) if answer.HasField("kept_from_time") else None,
        rebuilding=answer.rebuilding,
    )


def live_from_proto(
    series: analytics_service_pb2.QuerySeriesResponse,
    totals: analytics_service_pb2.QueryTotalsResponse,
    group_by: schema.Dimension | None,
) -> schema.LiveFigures:
    return schema.LiveFigures(
        start=_time(totals.start_time),
        end=_time(totals.end_time),
        group_by=group_by,
        total=_figures(schema.Figures, totals.total, _length_of(totals)),
        groups=_groups(totals),
        points=[_point(point, _MINUTE) for each in series.series for point in each.points],
    )


def _length_of(answer: analytics_service_pb2.QueryTotalsResponse) -> timedelta:
    return datetime_from(answer.end_time) - datetime_from(answer.start_time)


def _groups(answer: analytics_service_pb2.QueryTotalsResponse) -> list[schema.GroupFigures]:
    length = _length_of(answer)
    return [
        _figures(schema.GroupFigures, group.figures, length, group=None if group.rest else group.group, rest=group.rest)
        for group in answer.groups
    ]


def _point(point: analytics_pb2.Point, bucket: timedelta) -> schema.Point:
    return _figures(schema.Point, point.figures, bucket, start=_time(point.start_time))


FiguresT = TypeVar("FiguresT", bound=schema.Figures)


def _figures(kind: type[FiguresT], figures: analytics_pb2.Figures, length: timedelta, **more: Any) -> FiguresT:
    return kind(
        attempts=figures.attempts,
        requests=figures.requests,
        requests_per_minute=round(figures.requests * _MINUTE / length, 3),
        succeeded=figures.succeeded,
        failed=figures.failed,
        cancelled=figures.cancelled,
        error_rate=round(figures.failed / figures.attempts, 6) if figures.attempts else 0.0,
        estimated=figures.estimated,
        unpriced=figures.unpriced,
        input_tokens=figures.input_tokens,
        output_tokens=figures.output_tokens,
        total_tokens=figures.input_tokens + figures.output_tokens,
        cached_input_tokens=figures.cached_input_tokens,
        reasoning_tokens=figures.reasoning_tokens,
        costs=[
            schema.Cost(currency=cost.currency, cost=decimal(cost.micros), cost_micros=cost.micros)
            for cost in figures.costs
        ],
        active_users=figures.active_users,
        latency=_timing(figures.latency),
        first_content=_timing(figures.first_content),
        **more,
    )


def _timing(timing: analytics_pb2.Timing) -> schema.Timing | None:
    if not timing.count:
        return None
    return schema.Timing(
        count=timing.count,
        average_ms=timing.average_us / 1000,
        p50_ms=timing.p50_us / 1000,
        p95_ms=timing.p95_us / 1000,
        p99_ms=timing.p99_us / 1000,
    )


def rebuild_to_proto(asked: schema.RebuildRequest, identity: Identity) -> analytics_service_pb2.StartRebuildRequest:
    request = analytics_service_pb2.StartRebuildRequest(
        tenant_id=identity.tenant_id, start_time=timestamp(asked.start.astimezone(UTC))
    )
    if asked.end is not None:
        request.end_time.CopyFrom(timestamp(asked.end.astimezone(UTC)))
    return request


def rebuild_query_to_proto(query: schema.RebuildQuery, identity: Identity) -> analytics_service_pb2.GetRebuildRequest:
    return analytics_service_pb2.GetRebuildRequest(tenant_id=identity.tenant_id, rebuild_id=query.id or "")


def rebuild_from_proto(rebuild: analytics_pb2.Rebuild) -> schema.Rebuild:
    return schema.Rebuild(
        id=rebuild.rebuild_id,
        state=_STATES.get(rebuild.state, "running"),
        start=_time(rebuild.start_time),
        end=_time(rebuild.end_time),
        reached=_time(rebuild.reached_time),
        entries_read=rebuild.entries_read,
        error=rebuild.error or None,
        create_time=_time(rebuild.create_time),
        update_time=_time(rebuild.update_time),
    )


def _time(moment: Timestamp) -> str:
    return datetime_from(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
