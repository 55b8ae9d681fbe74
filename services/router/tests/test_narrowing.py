from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_router.narrowing import NO_PREFERENCES, Preferences, allowed, preferred


@dataclass(frozen=True)
class Of:
    provider: str


ALL = [Of(name) for name in "abcab"]


def narrowed(preferences: Preferences) -> str:
    return "".join(target.provider for target in preferred(allowed(ALL, preferences), preferences))


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        (NO_PREFERENCES, "abcab"),
        (Preferences(order=("c", "b")), "cbbaa"),
        (Preferences(order=("c", "x")), "cabab"),
        (Preferences(order=("c", "b"), fallbacks=False), "cbb"),
        (Preferences(only=frozenset("ab")), "abab"),
        (Preferences(ignore=frozenset("a")), "bcb"),
        (Preferences(only=frozenset("ab"), ignore=frozenset("a")), "bb"),
        (Preferences(order=("b",), only=frozenset("ab")), "bbaa"),
        (Preferences(only=frozenset("x")), ""),
        (Preferences(order=("c",), only=frozenset("a"), fallbacks=False), ""),
    ],
)
def test_preferences_narrow_and_reorder(preferences: Preferences, expected: str) -> None:
    assert narrowed(preferences) == expected


NAMES = st.frozensets(st.sampled_from("abcx"))


@given(st.lists(st.sampled_from("abcx"), unique=True), NAMES, NAMES, st.booleans())
def test_nothing_forbidden_is_ever_left(
    order: list[str], only: frozenset[str], ignore: frozenset[str], more: bool
) -> None:
    left = narrowed(Preferences(tuple(order), only, ignore, None, more))
    assert not set(left) & ignore
    assert not only or set(left) <= only
    assert more or not order or set(left) <= set(order)
