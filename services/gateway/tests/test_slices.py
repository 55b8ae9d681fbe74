"""What a gateway may use of a limit, step by step."""

from omnix_gateway.limits.limit import Kind, Limit, Subject
from omnix_gateway.limits.slices import Ask, Grant, Slice, Taken


def slice_of(kind: Kind = Kind.TOKENS_PER_MINUTE, amount: int = 1000, *, is_hard: bool = True) -> Slice:
    return Slice(Limit("l", "t", Subject.TENANT, "", "", kind, amount, is_hard, 1), "")


def grant(granted: int, *, window: int = 7, available: int = 0, exhausted: bool = False) -> Grant:
    return Grant(window, granted, available, exhausted, lifetime=15, reset=30, version=1)


def filled(kind: Kind = Kind.TOKENS_PER_MINUTE, granted: int = 100) -> Slice:
    slice = slice_of(kind)
    slice.granted(slice.ask(), grant(granted), 0)
    return slice


def test_first_use_must_be_asked_for_and_then_nobody_is() -> None:
    slice = slice_of()
    assert slice.take(10, 0) is Taken.LACKING
    slice.needs(10)
    asked = slice.ask()
    assert asked == Ask(window=0, spent=0, reserved=0, need=10, want=60)
    slice.granted(asked, grant(60), 0)
    assert [slice.take(10, 1) for _ in range(7)] == [Taken.YES] * 6 + [Taken.LACKING]
    assert slice.ask() == Ask(window=7, spent=0, reserved=60, need=0, want=120)


def test_what_is_taken_while_the_question_is_under_way_counts_against_the_answer() -> None:
    slice = filled(granted=100)
    assert slice.take(30, 0) is Taken.YES
    asked = slice.ask()
    assert slice.take(50, 0) is Taken.YES
    slice.settle(30, slice.generation, 25)
    slice.granted(asked, grant(60), 0)
    # 30 were told and 60 granted beside them: of these 90, 75 are used or reserved now.
    assert (slice.left, slice.spent, slice.reserved) == (15, 25, 50)


def test_refusal_is_believed_for_a_moment_by_those_that_want_as_much() -> None:
    slice = filled(granted=5)
    slice.needs(50)
    slice.granted(slice.ask(), grant(0, available=20), 10)
    assert slice.take(60, 10.1) is Taken.REFUSED
    assert slice.take(10, 10.1) is Taken.LACKING
    assert slice.take(60, 10.3) is Taken.LACKING


def test_lease_ends_with_its_time_and_a_new_window_begins_anew() -> None:
    slice = filled()
    slice.take(40, 0)
    generation = slice.generation
    assert slice.take(1, 15) is Taken.LACKING
    slice.granted(slice.ask(), grant(50, window=8), 60)
    assert (slice.left, slice.spent, slice.reserved) == (50, 0, 0)
    slice.settle(40, generation, 45)  # five that nobody reckoned with
    assert (slice.left, slice.spent, slice.reserved) == (45, 5, 0)
    slice.untake(40, generation)
    assert (slice.left, slice.spent) == (45, 5)


def test_used_up_budget_is_not_spent_by_what_is_given_back() -> None:
    slice = filled(Kind.COST_PER_DAY)
    slice.take(100, 0)
    slice.granted(slice.ask(), grant(0, exhausted=True), 1)
    slice.settle(100, slice.generation, 20)
    assert slice.take(1, 2) is Taken.LACKING


def test_slice_is_idle_only_when_everything_was_told_and_given_back() -> None:
    slice = filled(granted=10)
    slice.take(10, 0)
    slice.granted(slice.ask(), grant(0), 1)
    slice.settle(10, slice.generation, 30)
    while not slice.is_idle():
        slice.granted(slice.ask(), grant(0), 2)
    assert slice.ask().spent == 30
    idle = filled(granted=10)
    assert not idle.is_idle()
    asked = idle.ask()
    assert asked.want == 0
    idle.granted(asked, grant(0), 1)
    assert idle.is_idle()


def test_soft_limit_takes_whatever_is_wanted() -> None:
    slice = slice_of(amount=1, is_hard=False)
    assert [slice.take(5, 0) for _ in range(3)] == [Taken.YES] * 3
    assert slice.ask().reserved == 15
