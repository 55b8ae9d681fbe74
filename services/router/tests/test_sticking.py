from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_router.conditions import Facts
from omnix_router.sticking import By, Sticky, key_of, rendezvous

IDS = [f"p/{name}" for name in "abcde"]
KEYS = [f"t\0conversation-{number}" for number in range(2000)]


@pytest.mark.parametrize(
    ("sticky", "facts", "key"),
    [
        (None, Facts("t", "ann", "c1"), ""),
        (Sticky(By.USER), Facts("t", "ann", "c1"), "t\0ann"),
        (Sticky(By.USER), Facts("t", "", "c1"), ""),
        (Sticky(By.CONVERSATION), Facts("t", "ann", "c1", metadata={"conversation_id": "m1"}), "t\0c1"),
        (Sticky(By.CONVERSATION), Facts("t", "ann", metadata={"conversation_id": "m1"}), "t\0m1"),
        (Sticky(By.CONVERSATION), Facts("t", "ann"), "t\0ann"),
        (Sticky(By.CONVERSATION), Facts("t"), ""),
        (Sticky(By.METADATA, "thread"), Facts("t", "ann", "c1", metadata={"thread": "x"}), "t\0x"),
        (Sticky(By.METADATA, "thread"), Facts("t", "ann", "c1"), ""),
    ],
)
def test_key_is_what_the_route_asks_for(sticky: Sticky | None, facts: Facts, key: str) -> None:
    assert key_of(sticky, facts) == key


def test_weights_are_the_shares_of_keys() -> None:
    met = Counter(rendezvous(key, ["p/a", "p/b"], [3, 1])[0] for key in KEYS)
    assert 0.72 < met[0] / len(KEYS) < 0.78


def test_order_is_the_same_everywhere_and_always() -> None:
    assert rendezvous("t\0user", IDS, [1] * 5) == [0, 4, 3, 1, 2]


def test_target_that_is_added_moves_its_share_alone() -> None:
    before = {key: IDS[rendezvous(key, IDS[:4], [1] * 4)[0]] for key in KEYS}
    after = {key: IDS[rendezvous(key, IDS, [1] * 5)[0]] for key in KEYS}
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"p/e"}
    assert 0.16 < len(moved) / len(KEYS) < 0.24


@given(st.text(), st.lists(st.integers(1, 1_000_000), min_size=1, max_size=6), st.data())
def test_taking_one_away_leaves_the_order_of_the_others(key: str, weights: list[int], data: st.DataObject) -> None:
    ids = [f"p/{number}" for number in range(len(weights))]
    ordered = [ids[index] for index in rendezvous(key, ids, weights)]
    assert sorted(ordered) == sorted(ids)
    gone = data.draw(st.integers(0, len(ids) - 1))
    left = [one for index, one in enumerate(ids) if index != gone]
    again = [left[index] for index in rendezvous(key, left, [w for i, w in enumerate(weights) if i != gone])]
    assert again == [one for one in ordered if one != ids[gone]]
