"""The order of models by requirements: tables, and properties that hold for any catalogue."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.money import Price, Rates, Tier
from omnix_router.catalogue.models import Control, Effort, Mode, Model, Quality, ReasoningControl
from omnix_router.selection import (
    WEIGHTS,
    Candidate,
    Health,
    Kind,
    Lack,
    Requirements,
    distinct,
    select,
    targets,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
EFFORTS = ReasoningControl(Control.EFFORT, (Effort.LOW, Effort.HIGH), modes={Mode.FLASH: Effort.LOW})


def price(rate: int, currency: str = "USD", tiers: tuple[Tier, ...] = ()) -> Price:
    """Dollars for a million tokens, input and output alike."""
    return Price(currency, LONG_AGO, Rates(rate * 1_000_000, rate * 1_000_000), tiers)


def candidate(
    name: str = "a",
    provider: str = "openai",
    *,
    rate: int | None = 1,
    quality: float | None = 70,
    capabilities: tuple[str, ...] = ("text", "streaming"),
    sandbox: bool = False,
    health: Health | None = None,
    retires: datetime | None = None,
    reasoning: ReasoningControl | None = None,
) -> Candidate:
    model = Model(
        provider,
        name,
        context_window=100_000,
        max_output_tokens=8_000,
        capabilities=capabilities,
        reasoning=reasoning,
        retires=retires,
        quality=None if quality is None else Quality(quality, NOW),
    )
    return Candidate(model, None if rate is None else price(rate), sandbox, health or Health())


def names(*candidates: Candidate, requirements: Requirements | None = None) -> list[str]:
    return [choice.model.name for choice in select(requirements or Requirements(), candidates, NOW).order]


@pytest.mark.parametrize(
    ("lack", "requirements", "lacking"),
    [
        (Lack.TYPE, Requirements(), candidate(capabilities=("text", "embeddings"))),
        (Lack.TYPE, Requirements(kind=Kind.EMBEDDINGS), candidate()),
        (Lack.TYPE, Requirements(), candidate(capabilities=())),
        (Lack.PROVIDER, Requirements(providers=frozenset({"gemini"})), candidate()),
        (Lack.PROVIDER, Requirements(refused_providers=frozenset({"openai"})), candidate()),
        (Lack.RETIRED, Requirements(), candidate(retires=NOW)),
        (Lack.UNAVAILABLE, Requirements(), candidate(health=Health(available=False))),
        (Lack.CAPABILITIES, Requirements(capabilities=frozenset({"tools"})), candidate()),
        (Lack.CONTEXT, Requirements(context_tokens=100_001), candidate()),
        (Lack.OUTPUT, Requirements(max_output_tokens=8_001), candidate()),
        (Lack.MODE, Requirements(mode=Mode.THINK), candidate(reasoning=EFFORTS)),
        (Lack.MODE, Requirements(mode=Mode.FLASH), candidate()),
        (Lack.QUALITY, Requirements(quality_floor=70.1), candidate()),
        (Lack.QUALITY, Requirements(quality_floor=0), candidate(quality=None)),
        (Lack.COST, Requirements(max_cost_micros=1_499), candidate()),
        (Lack.COST, Requirements(max_cost_micros=1_000_000), candidate(rate=None)),
        (Lack.COST, Requirements(max_micros_per_million=999_999), candidate()),
        (
            Lack.LATENCY,
            Requirements(max_first_content=timedelta(seconds=1)),
            candidate(health=Health(first_content=timedelta(seconds=1.1))),
        ),
    ],
)
def test_model_is_left_out_for_what_it_lacks(lack: Lack, requirements: Requirements, lacking: Candidate) -> None:
    found = select(requirements, [lacking], NOW)
    assert found.order == ()
    assert found.rejected == {lack: 1}


@pytest.mark.parametrize(
    ("requirements", "fitting"),
    [
        (Requirements(kind=Kind.EMBEDDINGS), candidate(capabilities=("text", "embeddings"))),
        (Requirements(providers=frozenset({"openai"})), candidate()),
        (Requirements(), candidate(retires=NOW + timedelta(days=1))),
        (Requirements(capabilities=frozenset({"text", "streaming"})), candidate()),
        (Requirements(context_tokens=100_000, max_output_tokens=8_000), candidate()),
        (Requirements(mode=Mode.FLASH), candidate(reasoning=EFFORTS)),
        (Requirements(quality_floor=70), candidate()),
        (Requirements(max_cost_micros=1_500, max_micros_per_million=1_000_000), candidate()),
        (Requirements(max_first_content=timedelta(seconds=1)), candidate()),
        (Requirements(), candidate(rate=None, quality=None)),
    ],
)
def test_model_at_the_limit_fits(requirements: Requirements, fitting: Candidate) -> None:
    assert len(select(requirements, [fitting], NOW).order) == 1


def test_cheaper_model_of_like_quality_comes_first() -> None:
    assert names(candidate("dear", rate=2), candidate("cheap", rate=1)) == ["cheap", "dear"]


def test_better_model_of_like_cost_comes_first() -> None:
    assert names(candidate("good", quality=70), candidate("better", quality=71)) == ["better", "good"]


def test_unknown_price_comes_last() -> None:
    assert names(candidate("unknown", rate=None, quality=99), candidate("dear", rate=9)) == ["dear", "unknown"]


def test_free_model_leaves_the_others_in_their_order() -> None:
    dear, cheap = candidate("dear", rate=20, quality=85), candidate("cheap", rate=4, quality=75)
    assert names(dear, cheap, candidate("free", rate=0, quality=60)) == ["free", "cheap", "dear"]
    assert names(dear, cheap, candidate("toy", rate=0, quality=99, sandbox=True)) == ["cheap", "dear", "toy"]


def test_faster_model_comes_first_in_flash() -> None:
    slow = candidate("slow", rate=10, reasoning=EFFORTS, health=Health(first_content=timedelta(seconds=4)))
    fast = candidate("fast", rate=11, reasoning=EFFORTS, health=Health(first_content=timedelta(seconds=0.2)))
    assert names(slow, fast, requirements=Requirements(mode=Mode.FLASH)) == ["fast", "slow"]


def test_failing_model_falls_behind() -> None:
    failing = candidate("failing", health=Health(error_rate=0.5))
    assert names(failing, candidate("sound", rate=1)) == ["sound", "failing"]


def test_what_the_sandbox_answers_comes_after_what_is_real() -> None:
    assert names(candidate("toy", sandbox=True), candidate("real", rate=50, quality=None)) == ["real", "toy"]
    assert names(candidate("dear", sandbox=True, rate=2), candidate("cheap", sandbox=True)) == ["cheap", "dear"]


def test_cost_counts_the_tier_of_long_prompts() -> None:
    tiered = Candidate(candidate().model, price(1, tiers=(Tier(100, Rates(5_000_000, 5_000_000)),)))
    [short] = select(Requirements(input_tokens=100, output_tokens=0), [tiered], NOW).order
    [long] = select(Requirements(input_tokens=101, output_tokens=0), [tiered], NOW).order
    assert (short.cost_micros, long.cost_micros) == (100, 505)


def test_price_in_another_currency_is_unknown() -> None:
    [choice] = select(Requirements(), [Candidate(candidate().model, price(1, "EUR"))], NOW).order
    assert choice.cost_micros is None


def test_targets_begin_with_the_best_of_each_provider() -> None:
    order = select(
        Requirements(),
        [
            candidate("a1", "openai", rate=1),
            candidate("a2", "openai", rate=2),
            candidate("a3", "openai", rate=3),
            candidate("b1", "gemini", rate=4),
        ],
        NOW,
    ).order
    assert [choice.model.name for choice in targets(order, 3)] == ["a1", "b1", "a2"]
    assert [choice.model.name for choice in targets(order, 1)] == ["a1"]
    assert len(targets(order, 9)) == 4


def test_names_of_one_model_count_once() -> None:
    assert [one.model.name for one in distinct([candidate("a"), candidate("a-2026"), candidate("b", rate=2)])] == [
        "a",
        "b",
    ]


def test_weights_make_one() -> None:
    for weights in WEIGHTS.values():
        assert weights.cost + weights.quality + weights.speed == pytest.approx(1)


CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.text("abcd", min_size=1, max_size=4),
        st.sampled_from(["openai", "gemini", "bedrock"]),
        rate=st.none() | st.integers(0, 50),
        quality=st.none() | st.floats(0, 100),
        sandbox=st.booleans(),
        health=st.builds(
            Health,
            st.booleans(),
            st.none() | st.timedeltas(timedelta(0), timedelta(minutes=1)),
            st.floats(0, 1),
        ),
    ),
    max_size=12,
    unique_by=lambda one: one.model.id,
)
REQUIREMENTS = st.builds(
    Requirements,
    quality_floor=st.none() | st.floats(0, 100),
    max_cost_micros=st.none() | st.integers(0, 50_000),
    providers=st.sampled_from([frozenset(), frozenset({"openai"})]),
)


@given(REQUIREMENTS, CANDIDATES)
def test_every_model_is_either_chosen_or_counted(requirements: Requirements, candidates: list[Candidate]) -> None:
    found = select(requirements, candidates, NOW)
    assert len(found.order) + sum(found.rejected.values()) == len(candidates)
    for choice in found.order:
        assert choice.candidate.health.available
        assert 0 <= choice.score <= 100
        if requirements.quality_floor is not None:
            assert choice.model.quality is not None
            assert choice.model.quality.score >= requirements.quality_floor
        if requirements.max_cost_micros is not None:
            assert choice.cost_micros is not None
            assert choice.cost_micros <= requirements.max_cost_micros


@given(REQUIREMENTS, st.permutations(range(6)), st.data())
def test_order_does_not_depend_on_the_order_of_the_catalogue(
    requirements: Requirements, permutation: list[int], data: st.DataObject
) -> None:
    candidates = data.draw(CANDIDATES.filter(lambda some: len(some) <= len(permutation)))
    shuffled = [candidates[index] for index in permutation if index < len(candidates)]
    assert select(requirements, shuffled, NOW).order == select(requirements, candidates, NOW).order


@given(CANDIDATES, st.integers(1, 4))
def test_targets_are_of_the_order_and_once(candidates: list[Candidate], count: int) -> None:
    order = select(Requirements(), candidates, NOW).order
    chosen = targets(order, count)
    assert len(chosen) == min(count, len(order))
    assert len({choice.model.id for choice in chosen}) == len(chosen)
    assert chosen[:1] == list(order[:1])
