from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.money import Price, Rates, Tier, Tokens, cost_micros

# 2.50 USD in, 10 USD out, 1.25 USD cached, for a million tokens.
RATES = Rates(input=2_500_000, output=10_000_000, cached_input=1_250_000)
PRICE = Price("USD", datetime(2024, 8, 6, tzinfo=UTC), RATES)


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
    price = replace(PRICE, rates=replace(RATES, cache_write=3_125_000, reasoning=20_000_000))
    tokens = Tokens(input=100, cached_input=20, cache_write_input=30, output=40, reasoning=10)
    assert cost_micros(tokens, price) == 50 * 2.5 + 20 * 1.25 + 30 * 3.125 + 30 * 10 + 10 * 20 + 0.25


def test_longer_cache_and_sound_have_rates_of_their_own() -> None:
    rates = replace(
        RATES, cache_write=3_125_000, long_cache_write=5_000_000, audio_input=40_000_000, audio_output=80_000_000
    )
    tokens = Tokens(
        input=100, cache_write_input=30, long_cache_write_input=10, audio_input=20, output=40, audio_output=30
    )
    expected = 50 * 2.5 + 20 * 3.125 + 10 * 5 + 20 * 40 + 10 * 10 + 30 * 80
    assert cost_micros(tokens, replace(PRICE, rates=rates)) == expected + 0.5


def test_long_prompt_is_billed_whole_by_the_tier_it_exceeds() -> None:
    tiers = (
        Tier(200_000, replace(RATES, input=5_000_000, cached_input=None)),
        Tier(400_000, Rates(input=10_000_000, output=20_000_000)),
    )
    price = replace(PRICE, tiers=tiers)
    assert cost_micros(Tokens(input=200_000, cached_input=100_000, output=10), price) == 375_100
    assert cost_micros(Tokens(input=200_001, cached_input=100_000, output=10), price) == 1_000_105
    assert cost_micros(Tokens(input=400_001, output=10), price) == 4_000_210


@given(st.lists(st.integers(0, 10**9), min_size=8, max_size=8))
def test_cost_is_never_negative_and_never_less_than_the_cheapest_rate(counts: list[int]) -> None:
    tokens = Tokens(*counts)
    assert cost_micros(tokens, PRICE) >= (tokens.input * 1_250_000 + tokens.output * 10_000_000) // 1_000_000
