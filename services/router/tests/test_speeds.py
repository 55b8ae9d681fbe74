from hypothesis import given
from hypothesis import strategies as st
from omnix_router.speeds import FAILURE, MOST_TARGETS, SAMPLES, WINDOW, Speeds

WHILE = WINDOW.total_seconds()


def test_target_that_was_not_heard_is_unknown() -> None:
    assert Speeds().of("p/a", 0.0) is None


def test_median_of_recent_attempts_is_told() -> None:
    speeds = Speeds()
    for seconds in (0.3, 9.0, 0.1, 0.2, 0.4):
        speeds.succeeded("p/a", seconds, 10.0)
    assert speeds.at(20.0)("p/a") == 0.3
    assert speeds.of("p/b", 20.0) is None


def test_attempts_of_long_ago_are_forgotten() -> None:
    speeds = Speeds()
    speeds.succeeded("p/a", 5.0, 0.0)
    speeds.succeeded("p/a", 1.0, 100.0)
    assert speeds.of("p/a", WHILE - 1) == 1.0
    assert speeds.of("p/a", WHILE + 1) == 1.0
    assert speeds.of("p/a", WHILE + 100) is None


def test_failure_is_never_quick_and_one_alone_changes_little() -> None:
    speeds = Speeds()
    speeds.failed("p/a", 0.001, 0.0)
    assert speeds.of("p/a", 0.0) == FAILURE.total_seconds()
    for _ in range(2):
        speeds.succeeded("p/a", 0.5, 0.0)
    assert speeds.of("p/a", 0.0) == 0.5
    speeds.failed("p/b", 60.0, 0.0)
    assert speeds.of("p/b", 0.0) == 60.0


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=60))
def test_what_is_told_was_measured_among_the_youngest(measured: list[float]) -> None:
    speeds = Speeds()
    for seconds in measured:
        speeds.succeeded("p/a", seconds, 0.0)
    youngest = sorted(measured[-SAMPLES:])
    assert speeds.of("p/a", 0.0) == youngest[(len(youngest) - 1) // 2]


def test_targets_are_bounded_and_the_longest_unheard_goes_first() -> None:
    speeds = Speeds()
    for number in range(MOST_TARGETS):
        speeds.succeeded(f"p/{number}", 1.0, float(number) / MOST_TARGETS)
    speeds.succeeded("p/0", 2.0, 2.0)
    speeds.succeeded("p/new", 3.0, 3.0)
    assert [speeds.of(f"p/{name}", 3.0) for name in (0, 1, 2, "new")] == [1.0, None, 1.0, 3.0]
