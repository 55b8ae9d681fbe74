from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.errors import Reason
from omnix_router.policies import Failure, GiveUp, Kind, Limits, RetryBudget, Try, decide, kind_of

LIMITS = Limits()
PAUSE = timedelta(milliseconds=250)
"""At half jitter."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Row:
    """A situation and what must follow; three targets of growing context unless said otherwise."""

    failures: list[Failure]
    expected: Try | GiveUp
    windows: tuple[int, ...] = (100, 200, 300)
    remaining: timedelta = MINUTE
    affordable: bool = True
    limits: Limits = field(default_factory=Limits)
    barred: frozenset[int] = frozenset()


def failed(target: int, reason: Reason, retry_after: float | None = None) -> Failure:
    return Failure(target, reason, None if retry_after is None else timedelta(seconds=retry_after))


REFUSED = Failure(0, Reason.UNSUPPORTED_PARAMETER, refused_prefix=True)
TOO_LONG = Failure(0, Reason.CONTEXT_TOO_LONG, refused_prefix=True)
MANY = Limits(attempts=5)
LIMITED, DOWN, SILENT = Reason.RATE_LIMITED, Reason.PROVIDER_UNAVAILABLE, Reason.PROVIDER_TIMEOUT

TABLE = {
    "429 with affordable delay waits and tries the same": Row([failed(0, LIMITED, 2)], Try(0, 2 * SECOND)),
    "429 with the longest affordable delay waits": Row([failed(0, LIMITED, 5)], Try(0, 5 * SECOND)),
    "429 again after the wait goes on": Row([failed(0, LIMITED, 2), failed(0, LIMITED, 2)], Try(1)),
    "429 with a long delay goes on": Row([failed(0, LIMITED, 5.1)], Try(1)),
    "429 with a delay past the deadline goes on": Row([failed(0, LIMITED, 3)], Try(1), remaining=2 * SECOND),
    "429 without delay pauses": Row([failed(0, LIMITED)], Try(0, PAUSE)),
    "429 at the second target with a delay waits too": Row(
        [failed(0, DOWN), failed(1, LIMITED, 1)], Try(1, SECOND), limits=Limits(attempts=5)
    ),
    "429 with a delay and no other target gives up at last": Row(
        [failed(0, LIMITED, 1), failed(0, LIMITED, 1)], GiveUp(), windows=(0,)
    ),
    "529 with affordable delay waits": Row([failed(0, Reason.PROVIDER_OVERLOADED, 1)], Try(0, SECOND)),
    "529 without delay pauses": Row([failed(0, Reason.PROVIDER_OVERLOADED)], Try(0, PAUSE)),
    "5xx pauses and tries the same": Row([failed(0, DOWN)], Try(0, PAUSE)),
    "5xx again goes on": Row([failed(0, DOWN), failed(0, DOWN)], Try(1)),
    "5xx at the next target is not the first such failure": Row(
        [failed(0, DOWN), failed(0, DOWN), failed(1, DOWN)], Try(2), limits=Limits(attempts=5)
    ),
    "5xx after a silence is the first such failure": Row([failed(0, SILENT), failed(1, DOWN)], Try(1, PAUSE)),
    "the beginning of an answer refused begins anew at once": Row([failed(0, DOWN), REFUSED], Try(0)),
    "the beginning refused by a barred target goes on": Row([failed(0, DOWN), REFUSED], Try(1), barred=frozenset({0})),
    "the beginning refused for its length says nothing of windows": Row(
        [failed(0, DOWN), TOO_LONG, failed(0, Reason.PROVIDER_DEPARTED)], Try(1), windows=(300, 100, 200), limits=MANY
    ),
    "the beginning refused is no try of the same": Row([REFUSED, failed(0, LIMITED, 2)], Try(0, 2 * SECOND)),
    "the beginning refused counts for no attempt": Row([failed(1, DOWN), failed(1, DOWN), REFUSED], Try(0)),
    "the answer begun anew is the last attempt": Row(
        [failed(1, DOWN), failed(1, DOWN), REFUSED, failed(0, SILENT)], GiveUp()
    ),
    "the beginning refused after the last attempt": Row(
        [failed(1, DOWN), failed(1, DOWN), failed(0, DOWN), REFUSED], GiveUp()
    ),
    "the beginning refused with no time left": Row([failed(1, DOWN), REFUSED], GiveUp(), remaining=timedelta(0)),
    "the beginning refused with no budget left": Row(
        [failed(1, DOWN), REFUSED], GiveUp(out_of_budget=True), affordable=False
    ),
    "departed goes on": Row([failed(0, DOWN), failed(0, Reason.PROVIDER_DEPARTED)], Try(1)),
    "reset before the first content": Row([failed(0, Reason.PROVIDER_CUT)], Try(0, PAUSE)),
    "malformed before the first content": Row([failed(0, Reason.PROVIDER_MALFORMED)], Try(0, PAUSE)),
    "adapter away counts as connect failure": Row([failed(0, Reason.UNAVAILABLE, 2)], Try(0, PAUSE)),
    "adapter stopping counts as connect failure": Row([failed(0, Reason.SHUTTING_DOWN)], Try(0, PAUSE)),
    "pause longer than the deadline goes on": Row([failed(0, DOWN)], Try(1), remaining=PAUSE),
    "silence goes on at once": Row([failed(0, SILENT)], Try(1)),
    "silence of the only target": Row([failed(0, SILENT)], GiveUp(), windows=(0,)),
    "the silent one is not tried again": Row(
        [failed(0, SILENT), failed(1, SILENT)], GiveUp(), windows=(0, 0), limits=Limits(attempts=9)
    ),
    "provider quota exhausted goes on": Row([failed(0, Reason.PROVIDER_QUOTA_EXHAUSTED)], Try(1)),
    "provider auth failure goes on": Row([failed(0, Reason.PROVIDER_AUTH_FAILED, 1)], Try(1)),
    "provider auth failure of the only target": Row([failed(0, Reason.PROVIDER_AUTH_FAILED)], GiveUp(), windows=(0,)),
    "context too long takes the first larger one": Row([failed(1, Reason.CONTEXT_TOO_LONG)], Try(2)),
    "context too long skips equal ones": Row([failed(0, Reason.CONTEXT_TOO_LONG)], Try(2), windows=(100, 100, 300)),
    "context too long skips unknown ones": Row([failed(0, Reason.CONTEXT_TOO_LONG)], GiveUp(), windows=(100, 0)),
    "context too long without a larger one": Row([failed(0, Reason.CONTEXT_TOO_LONG)], GiveUp(), windows=(3, 2, 1)),
    "context stays too long after another failure": Row(
        [failed(1, Reason.CONTEXT_TOO_LONG), failed(2, SILENT)], GiveUp()
    ),
    "model unknown to the provider goes on": Row([failed(0, Reason.MODEL_NOT_FOUND)], Try(1)),
    "defect goes on": Row([failed(0, Reason.INTERNAL)], Try(1)),
    "400 goes to the caller": Row([failed(0, Reason.INVALID_REQUEST)], GiveUp()),
    "unsupported parameter goes to the caller": Row([failed(0, Reason.UNSUPPORTED_PARAMETER)], GiveUp()),
    "content refused goes to the caller": Row([failed(0, Reason.CONTENT_REFUSED)], GiveUp()),
    "cancelled goes to the caller": Row([failed(0, Reason.CANCELLED)], GiveUp()),
    "deadline passed goes to the caller": Row([failed(0, Reason.DEADLINE_EXCEEDED)], GiveUp()),
    "third failure is the last": Row([failed(0, DOWN), failed(0, DOWN), failed(1, SILENT)], GiveUp()),
    "no time left": Row([failed(0, SILENT)], GiveUp(), remaining=timedelta(0)),
    "no budget left": Row([failed(0, SILENT)], GiveUp(out_of_budget=True), affordable=False),
    "barred target is not tried once more": Row([failed(0, DOWN)], Try(1), barred=frozenset({0})),
    "barred target is not waited for": Row([failed(0, LIMITED, 2)], Try(1), barred=frozenset({0})),
    "barred targets are passed over": Row([failed(0, SILENT)], Try(2), barred=frozenset({1})),
    "all others barred": Row([failed(0, DOWN)], GiveUp(), barred=frozenset({0, 1, 2})),
    "no budget needed": Row([failed(0, Reason.INVALID_REQUEST)], GiveUp(), affordable=False),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_table(row: Row) -> None:
    step = decide(
        row.failures,
        row.windows,
        remaining=row.remaining,
        affordable=row.affordable,
        jitter=0.5,
        limits=row.limits,
        barred=row.barred,
    )
    assert step == row.expected


def test_every_reason_has_a_kind_and_callers_faults_are_final() -> None:
    # A refused prefix is told by the attempt, not by the reason.
    assert {kind_of(reason) for reason in Reason} == set(Kind) - {Kind.ANEW}
    for reason in (Reason.INVALID_REQUEST, Reason.CONTENT_REFUSED, Reason.PAYLOAD_TOO_LARGE, Reason.QUOTA_EXHAUSTED):
        assert kind_of(reason) is Kind.FINAL


delays = st.none() | st.timedeltas(timedelta(0), timedelta(seconds=20))
outcomes = st.tuples(st.none() | st.sampled_from(Reason), delays, st.timedeltas(timedelta(0), timedelta(seconds=4)))


@given(
    completions=st.lists(st.lists(outcomes, min_size=12, max_size=12), min_size=1, max_size=60),
    windows=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    attempts=st.integers(1, 6),
    deadline=st.timedeltas(timedelta(milliseconds=1), timedelta(seconds=30)),
    jitter=st.floats(0, 1),
)
def test_whatever_fails_the_promises_hold(
    completions: list[list[tuple[Reason | None, timedelta | None, timedelta]]],
    windows: list[int],
    attempts: int,
    deadline: timedelta,
    jitter: float,
) -> None:
    limits, budget, extra = Limits(attempts=attempts), RetryBudget(), 0
    for number, outcome in enumerate(completions, 1):
        budget.first_call()
        clock, target, calls = timedelta(0), 0, 0
        failures: list[Failure] = []
        for reason, retry_after, took in outcome:
            calls += 1
            assert clock < deadline
            clock += took
            if reason is None:
                break
            failures.append(Failure(target, reason, retry_after))
            step = decide(
                failures,
                windows,
                remaining=deadline - clock,
                affordable=budget.left > 0,
                jitter=jitter,
                limits=limits,
            )
            if isinstance(step, GiveUp):
                break
            assert kind_of(reason) is not Kind.FINAL
            if step.target == target:
                assert kind_of(reason) in (Kind.LIMITED, Kind.PASSING)
                assert timedelta(0) <= step.pause <= timedelta(seconds=5)
            budget.extra_call()
            extra += 1
            clock += step.pause
            target = step.target
        assert calls <= attempts
        per_target = [sum(failure.target == index for failure in failures) for index in range(len(windows))]
        assert max(per_target, default=0) <= 2
        assert extra <= number / 5 + RetryBudget.FLOOR


@given(st.lists(st.booleans(), max_size=3000))
def test_extra_calls_stay_within_a_fifth_and_the_floor(wanted: list[bool]) -> None:
    budget, extra = RetryBudget(), 0
    for number, want in enumerate(wanted, 1):
        budget.first_call()
        while want and budget.left:
            budget.extra_call()
            extra += 1
        assert extra <= number / 5 + RetryBudget.FLOOR
        assert budget.left <= RetryBudget.CEILING


def test_first_failures_of_a_young_process_can_be_retried_and_an_empty_budget_refuses() -> None:
    budget = RetryBudget()
    assert budget.left == RetryBudget.FLOOR
    for _ in range(RetryBudget.FLOOR):
        budget.extra_call()
    with pytest.raises(ValueError, match="used up"):
        budget.extra_call()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=300))
def test_quiet_process_gets_its_retries_back_with_time_and_no_more(steps: list[tuple[bool, float]]) -> None:
    budget, extra, now = RetryBudget(), 0, 0.0
    for number, (want, pause) in enumerate(steps, 1):
        now += pause
        budget.first_call()
        budget.rest(now)
        while want and budget.left:
            budget.extra_call()
            extra += 1
        assert extra <= number / 5 + now / RetryBudget.QUIET + RetryBudget.FLOOR
    while budget.left:
        budget.extra_call()

    def left_at(moment: float) -> int:
        budget.rest(moment)
        return budget.left

    # What was saved may be anything short of a call.
    assert left_at(now + RetryBudget.QUIET + 1) in (1, 2)
    assert left_at(now + 1_000_000) == RetryBudget.FLOOR
