"""When a circuit opens, by the table of `circuits`, and how long it stays so."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.errors import Reason
from omnix_router.health.circuits import Bearing, Breaker, Outage, Rules, Tally, bearing_of

RULES = Rules()
SECOND = timedelta(seconds=1)
NOW = 1_800_000_000.0

BEARINGS = {
    Reason.PROVIDER_UNAVAILABLE: Bearing.FAILURE,
    Reason.PROVIDER_OVERLOADED: Bearing.FAILURE,
    Reason.PROVIDER_TIMEOUT: Bearing.FAILURE,
    Reason.PROVIDER_CUT: Bearing.FAILURE,
    Reason.PROVIDER_MALFORMED: Bearing.FAILURE,
    Reason.PROVIDER_AUTH_FAILED: Bearing.FAILURE,
    Reason.PROVIDER_QUOTA_EXHAUSTED: Bearing.FAILURE,
    Reason.RATE_LIMITED: Bearing.LIMIT,
}


@pytest.mark.parametrize("reason", Reason)
def test_only_what_speaks_of_the_target_counts(reason: Reason) -> None:
    assert bearing_of(reason, SECOND) is BEARINGS.get(reason, Bearing.NOTHING)


def test_429_that_does_not_say_for_how_long_says_nothing() -> None:
    assert bearing_of(Reason.RATE_LIMITED, None) is Bearing.NOTHING
    assert bearing_of(Reason.PROVIDER_OVERLOADED, None) is Bearing.FAILURE


@pytest.mark.parametrize(
    ("bearing", "retry_after", "expected"),
    [
        (Bearing.FAILURE, None, 30),
        (Bearing.FAILURE, 2, 30),
        (Bearing.FAILURE, 90, 90),
        (Bearing.FAILURE, 86_400, 300),
        (Bearing.LIMIT, 0.2, 1),
        (Bearing.LIMIT, 7, 7),
        (Bearing.LIMIT, 86_400, 300),
    ],
)
def test_cooldown_follows_retry_after_within_bounds(
    bearing: Bearing, retry_after: float | None, expected: float
) -> None:
    asked = None if retry_after is None else timedelta(seconds=retry_after)
    assert RULES.cooldown_after(bearing, asked) == expected


F, L, N, S = Bearing.FAILURE, Bearing.LIMIT, Bearing.NOTHING, None


def opens_at(outcomes: list[Bearing | None], pause: float = 0.001) -> tuple[int, str] | None:
    """After which outcome the circuit opens, from 1, and why; None stands for a success."""
    breaker, now = Breaker(RULES), NOW
    for number, outcome in enumerate(outcomes, 1):
        now += pause
        if outcome is None:
            breaker.succeeded(now)
        elif why := breaker.failed(outcome, now - pause / 2, now):
            return number, why
    return None


def test_five_failures_in_a_row_open() -> None:
    assert opens_at([F] * 9) == (5, "5 failures in a row")
    assert opens_at([F] * 9, pause=3600) == (5, "5 failures in a row")


def test_success_begins_the_row_anew_and_what_says_nothing_does_not() -> None:
    assert opens_at([F, F, F, F, S, F, F, F, F]) is None
    assert opens_at([F, N, F, N, F, N, F, N, N, F]) == (10, "5 failures in a row")
    assert opens_at([N] * 100) is None


def test_limits_count_in_a_row_and_not_as_a_share() -> None:
    assert opens_at([L] * 5) == (5, "5 failures in a row")
    assert opens_at([S, L, L, L] * 20) is None


def test_half_of_twenty_calls_within_ten_seconds_open() -> None:
    assert opens_at([S, F] * 20, pause=0.1) == (20, "10 of 20 calls failed within 10 s")
    assert opens_at([S, F] * 20, pause=2) is None
    assert opens_at([S, S, F] * 50, pause=0.1) is None


def test_attempts_from_before_the_last_change_do_not_count() -> None:
    breaker = Breaker(RULES)
    breaker.begin_anew(NOW)
    assert [breaker.failed(F, NOW - 1, NOW + 1) for _ in range(50)] == [None] * 50
    assert [breaker.failed(F, NOW + 1, NOW + 2) is None for _ in range(5)] == [True] * 4 + [False]


@given(
    outcomes=st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=200),
    window=st.sampled_from([10.0, 300.0]),
)
def test_tally_is_that_of_the_window_to_within_a_slot(outcomes: list[tuple[bool, float]], window: float) -> None:
    tally, now, seen = Tally(window, 10), NOW, []
    for failed, pause in outcomes:
        now += pause
        tally.add(failed, now)
        seen.append((now, failed))
    calls, failures = tally.total(now)
    surely = [failed for time, failed in seen if time > now - window * 0.9]
    possibly = [failed for time, failed in seen if time > now - window]
    assert len(surely) <= calls <= len(possibly)
    assert sum(surely) <= failures <= sum(possibly)


@given(until=st.integers(-10_000, 10_000), now=st.integers(-10_000, 10_000))
def test_no_clock_bars_a_target_for_longer_than_the_longest_wait(until: int, now: int) -> None:
    outage = Outage("p", "m", NOW, NOW, NOW + until, Reason.PROVIDER_CUT, None, "")
    bars = outage.bars(NOW + now, RULES)
    assert bars is (now < until <= now + RULES.longest)
    assert not (bars and outage.is_forgotten(NOW + now))


def test_streams_that_break_off_count_though_each_had_its_first_content() -> None:
    breaker = Breaker(RULES)
    found = []
    for each in range(5):
        breaker.succeeded(NOW + each)
        found.append(breaker.failed(F, NOW + each, NOW + each + 0.5, broke_off=True))
    assert found == [None] * 4 + ["5 streams in a row broke off"]


def test_whole_stream_begins_the_row_of_broken_ones_anew() -> None:
    breaker = Breaker(RULES)
    for each in range(12):
        breaker.succeeded(NOW + each * 20)
        assert breaker.failed(F, NOW + each * 20, NOW + each * 20 + 1, broke_off=True) is None
        if each % 4 == 3:
            breaker.ended_whole()


def test_stream_that_breaks_off_is_one_call_in_the_share() -> None:
    breaker = Breaker(Rules(in_a_row=1000, share=0.75))
    found = []
    for each in range(20):
        breaker.succeeded(NOW + each * 0.01)
        if each >= 5:
            found.append(breaker.failed(F, NOW, NOW + each * 0.01, broke_off=True))
    assert found == [None] * 14 + ["15 of 20 calls failed within 10 s"]
