"""Percentiles within the error that is stated, whatever adds up in whichever order."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from omnix_analytics.sketch import LONGEST_US, RELATIVE_ERROR, SHORTEST_US, Sketch

TIMES = st.lists(st.integers(SHORTEST_US, LONGEST_US), min_size=1, max_size=200)
SHARES = (0.01, 0.5, 0.95, 0.99, 1.0)


def sketch_of(times: Sequence[int]) -> Sketch:
    sketch = Sketch()
    for time in times:
        sketch.add(time)
    return sketch


@given(TIMES)
def test_percentiles_are_within_the_stated_error(times: list[int]) -> None:
    ranked = sorted(times)
    for share, told in zip(SHARES, sketch_of(times).quantiles(SHARES), strict=True):
        exact = ranked[max(1, math.ceil(share * len(ranked) - 1e-9)) - 1]
        assert abs(told - exact) <= RELATIVE_ERROR * exact + 1  # and half a microsecond for rounding


@given(TIMES, TIMES)
def test_sketches_add_up_in_any_order(one: list[int], other: list[int]) -> None:
    together = sketch_of([*one, *other])
    assert together.total == len(one) + len(other)
    for first, second in ((one, other), (other, one)):
        merged = sketch_of(first)
        merged.merge(sketch_of(second))
        assert merged == together


@given(TIMES, TIMES)
def test_what_was_added_can_be_taken_out_again_even_ahead(stays: list[int], goes: list[int]) -> None:
    sketch = Sketch()
    for time in goes:
        sketch.add(time, -1)
    sketch.merge(sketch_of([*stays, *goes]))
    assert sketch == sketch_of(stays)


@given(TIMES, TIMES)
def test_merging_leaves_the_other_as_it_was(one: list[int], other: list[int]) -> None:
    source, target = sketch_of(one), Sketch()
    before = list(source.counts)
    target.merge(source)
    for time in other:
        target.add(time)
    assert source.counts == before


def test_nothing_has_no_percentiles_and_extremes_are_clamped() -> None:
    assert Sketch().quantiles(SHARES) == [0] * len(SHARES)
    assert sketch_of([0, -5, 1]) == sketch_of([SHORTEST_US] * 3)
    assert sketch_of([10**15]) == sketch_of([LONGEST_US])
