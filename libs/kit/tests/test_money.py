from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.money import Price, Tokens, cost_micros

# 2.50 USD in, 10 USD out, 1.25 USD cached, for a million tokens.
PRICE = Price("USD", datetime(2024, 8, 6, tzinfo=UTC), input=2_500_000, output=10_000_000, cached_input=1_250_000)


@pytest.mark.parametrize(
    ("tokens", "micros"),
    [
        (Tokens(), 0),
        (Tokens(input=1_000_000), 2_500_000),
        (Tokens(input=1000, output=500), 7_500),
        (Tokens(input=1000, cached_input=400), 2_000),
        (Tokens(input=1), 3),  # 2.5 is rounded half up
        (Tokens(output=500, reasoning=300), 5_000),  # without a price of its own, reasoning is output
        (Tokens(input=10, cached_input=25), 13),  # a detail above its total counts as the total
    ],
)
def test_cost_is_price_times_tokens_rounded_once(tokens: Tokens, micros: int) -> None:
    assert cost_micros(tokens, PRICE) == micros


def test_parts_with_prices_of_their_own_are_not_counted_twice() -> None:
    price = replace(PRICE, cache_write=3_125_000, reasoning=20_000_000)
    tokens = Tokens(input=100, cached_input=20, cache_write_input=30, output=40, reasoning=10)
    assert cost_micros(tokens, price) == 50 * 2.5 + 20 * 1.25 + 30 * 3.125 + 30 * 10 + 10 * 20 + 0.25


@given(st.lists(st.integers(0, 10**9), min_size=5, max_size=5))
def test_cost_is_never_negative(counts: list[int]) -> None:
    assert cost_micros(Tokens(*counts), PRICE) >= 0
