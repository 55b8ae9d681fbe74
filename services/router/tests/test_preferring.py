from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_router.preferring import EXPLORED, NEAR, Choice, Policy, draw, order

CHANCES = st.floats(0, 1, exclude_max=True)
CHOICES = st.lists(
    st.builds(
        Choice,
        id=st.uuids().map(str),
        weight=st.integers(1, 1_000_000),
        cost=st.none() | st.integers(0, 10**12),
        seconds=st.none() | st.floats(0.001, 600),
    ),
    min_size=1,
    max_size=6,
)
USUAL = 0.5
"""A chance at which nothing is explored."""


def named(choices: list[Choice], policy: Policy, chance: float = USUAL, key: str = "") -> str:
    return "".join(choices[index].id for index in order(choices, policy, chance, key))


@given(CHOICES, st.sampled_from(Policy), CHANCES, st.sampled_from(["", "t\0user"]))
def test_every_order_names_every_choice_once(choices: list[Choice], policy: Policy, chance: float, key: str) -> None:
    assert sorted(order(choices, policy, chance, key)) == list(range(len(choices)))


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=8), CHANCES)
def test_drawing_names_everyone_once(weights: list[int], chance: float) -> None:
    assert sorted(draw(weights, chance)) == list(range(len(weights)))


def test_fallbacks_are_drawn_by_weight_too() -> None:
    count = 60_000
    drawn = Counter(tuple(draw([1, 2, 3], number / count)) for number in range(count))
    for first, second, third in permutations(range(3)):
        weights = [1, 2, 3]
        share = weights[first] / 6 * weights[second] / (6 - weights[first])
        assert drawn[first, second, third] / count == pytest.approx(share, abs=0.001)


def test_cheapest_is_first_and_what_has_no_price_last() -> None:
    choices = [Choice("a", cost=3), Choice("b"), Choice("c", cost=0), Choice("d", cost=2)]
    assert {named(choices, Policy.CHEAPEST, number / 50) for number in range(50)} == {"cdab"}


@given(CHOICES, CHANCES)
def test_nothing_cheaper_comes_later(choices: list[Choice], chance: float) -> None:
    costs = [choices[index].cost for index in order(choices, Policy.CHEAPEST, chance)]
    known = [cost for cost in costs if cost is not None]
    assert costs == [*sorted(known), *[None] * (len(costs) - len(known))]


def test_equal_prices_share_by_weight() -> None:
    choices = [Choice("a", 3, cost=1), Choice("b", 1, cost=1), Choice("c", 9, cost=2)]
    firsts = Counter(named(choices, Policy.CHEAPEST, number / 400) for number in range(400))
    assert firsts == {"abc": 300, "bac": 100}


def test_quickest_is_first_and_those_near_it_share() -> None:
    choices = [
        Choice("a", seconds=1.0),
        Choice("b", seconds=0.5),
        Choice("c", seconds=0.5 * NEAR),
        Choice("d", seconds=9),
    ]
    assert {named(choices, Policy.FASTEST, number / 50) for number in range(50)} == {"bcad", "cbad"}


def test_unknown_speed_stands_in_the_middle_and_is_explored_now_and_then() -> None:
    choices = [Choice("a", seconds=0.1), Choice("b"), Choice("c", seconds=0.9), Choice("d", seconds=0.3)]
    assert {named(choices, Policy.FASTEST, EXPLORED + number / 60) for number in range(50)} == {"adbc", "abdc"}
    assert {named(choices, Policy.FASTEST, EXPLORED * number / 50)[0] for number in range(50)} == {"b"}


def test_all_unknown_are_equal() -> None:
    firsts = Counter(named([Choice("a", 1), Choice("b", 3)], Policy.FASTEST, number / 400)[0] for number in range(400))
    assert firsts == {"a": 100, "b": 300}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        # Twice the price for less than half the time.
        ([Choice("a", cost=10, seconds=1.0), Choice("b", cost=20, seconds=0.3)], "ba"),
        # Twice the price for hardly any time.
        ([Choice("a", cost=10, seconds=1.0), Choice("b", cost=20, seconds=0.9)], "ab"),
        # What is free must still not be too slow.
        ([Choice("a", cost=0, seconds=300.0), Choice("b", cost=10, seconds=1.0)], "ba"),
        ([Choice("a", cost=0, seconds=3.0), Choice("b", cost=10, seconds=1.0)], "ab"),
        # Without a price nothing can be weighed.
        ([Choice("a", seconds=0.1), Choice("b", cost=10, seconds=9.0)], "ba"),
        # Without times the price decides.
        ([Choice("a", cost=20), Choice("b", cost=10)], "ba"),
    ],
)
def test_balance_is_price_times_seconds(choices: list[Choice], expected: str) -> None:
    assert named(choices, Policy.BALANCED) == expected


def test_key_decides_among_equals_and_chance_does_not() -> None:
    choices = [Choice("a", cost=1), Choice("b", cost=1), Choice("c", cost=0)]
    for policy in (Policy.WEIGHTED, Policy.CHEAPEST):
        for key in ("t\0u1", "t\0u2", "t\0u3"):
            assert len({named(choices, policy, number / 20, key) for number in range(20)}) == 1
    keyed = Counter(named(choices, Policy.CHEAPEST, USUAL, f"t\0{number}") for number in range(400))
    assert set(keyed) == {"cab", "cba"}
    assert min(keyed.values()) > 150
