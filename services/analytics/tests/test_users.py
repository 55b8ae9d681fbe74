"""Active users: exact while they are few, near while they are many, the same in any order."""

import random

from hypothesis import given
from hypothesis import strategies as st
from omnix_analytics import users

NAMES = st.lists(st.text(max_size=3), max_size=40)


def set_of(names: list[str]) -> dict[int, int]:
    """As rollups are made: in parts that are added up."""
    found: dict[int, int] = {}
    for first in range(0, len(names), 2_000):
        part: dict[int, int] = {}
        for name in names[first : first + 2_000]:
            part[users.hash_of(name)] = part.get(users.hash_of(name), 0) + 1
        users.put(found, part)
    return found


@given(NAMES, NAMES)
def test_few_are_counted_exactly(one: list[str], other: list[str]) -> None:
    merged = set_of(one)
    users.put(merged, set_of(other))
    assert users.count(merged) == len({*one, *other})
    assert merged == set_of([*other, *one])


@given(NAMES, NAMES)
def test_who_is_taken_out_as_often_as_he_came_is_gone(stay: list[str], go: list[str]) -> None:
    left: dict[int, int] = {}
    users.put(left, {user: -times for user, times in set_of(go).items()})
    users.put(left, set_of([*stay, *go]))
    assert left == set_of(stay)


def test_many_are_counted_within_a_tenth_and_in_bounded_space() -> None:
    seeded = random.Random(5)
    for many in (2_000, 20_000, 100_000):
        names = [str(number) for number in range(many)]
        seeded.shuffle(names)
        found = set_of(names)
        assert len(found) == users.KEPT
        assert abs(users.count(found) - many) < many / 10
        halves = set_of(names[: many // 2])
        users.put(halves, set_of(names[many // 3 :]))
        assert users.count(halves) == users.count(found)


def test_who_was_forgotten_and_is_taken_out_leaves_nothing() -> None:
    found = {5: 1}
    users.put(found, {9: -1})
    users.settle(found)
    assert found == {5: 1}
