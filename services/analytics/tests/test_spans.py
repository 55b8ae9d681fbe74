"""Which rollups make up a span of time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from omnix_analytics.spans import DAY, HOUR, MINUTE, Resolution, Span, ceiling, coarsest, cover, floor

START = datetime(2026, 11, 1, tzinfo=UTC)
ALL = dict.fromkeys(Resolution, datetime(2000, 1, 1, tzinfo=UTC))
TIMES = st.integers(0, 40 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))


@given(TIMES, TIMES)
def test_parts_make_up_exactly_the_span_widened_to_minutes(one: datetime, other: datetime) -> None:
    span = Span(min(one, other), max(one, other))
    widened, parts = cover(span, ALL)
    assert widened == span.widened(MINUTE)
    at = widened.start
    for resolution, part in parts:
        assert part.start == at
        assert part.start < part.end
        assert part.widened(resolution.length) == part
        at = part.end
    assert at == widened.end
    finest = sum((part.end - part.start) // MINUTE for resolution, part in parts if resolution is Resolution.MINUTE)
    assert finest < 2 * 60


def test_ends_are_widened_where_finer_rollups_are_gone() -> None:
    kept = {**ALL, Resolution.MINUTE: START + 5 * DAY, Resolution.HOUR: START + 2 * DAY}
    span = Span(START + timedelta(hours=30, minutes=5, seconds=7), START + timedelta(days=6, minutes=90, seconds=1))
    widened, parts = cover(span, kept)
    assert widened == Span(START + DAY, START + timedelta(days=6, minutes=91))
    assert [resolution for resolution, _ in parts] == [Resolution.DAY, Resolution.HOUR, Resolution.MINUTE]
    widened, _ = cover(Span(START + timedelta(days=3, minutes=5), START + timedelta(days=3, minutes=70)), kept)
    assert widened == Span(START + 3 * DAY, START + 3 * DAY + 2 * HOUR)


def test_buckets_of_any_size_are_made_of_the_coarsest_rollups_that_fit() -> None:
    for minutes, expected in (
        (1, "minute"),
        (5, "minute"),
        (90, "minute"),
        (60, "hour"),
        (360, "hour"),
        (1500, "hour"),
    ):
        assert coarsest(timedelta(minutes=minutes)) == expected
    assert coarsest(DAY) == coarsest(7 * DAY) == "day"


def test_hours_and_days_are_the_clocks_and_weeks_begin_on_monday() -> None:
    time = datetime(2026, 11, 22, 13, 47, 12, tzinfo=UTC)
    assert floor(time, HOUR) == datetime(2026, 11, 22, 13, tzinfo=UTC)
    assert ceiling(time, HOUR) == datetime(2026, 11, 22, 14, tzinfo=UTC)
    assert floor(time, 5 * MINUTE) == datetime(2026, 11, 22, 13, 45, tzinfo=UTC)
    assert floor(time, DAY) == datetime(2026, 11, 22, tzinfo=UTC)
    assert floor(time, 7 * DAY) == datetime(2026, 11, 16, tzinfo=UTC)
    assert floor(time, 7 * DAY).weekday() == 0
