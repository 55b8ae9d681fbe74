"""What the package ships is complete and plausible."""

import tomllib
from collections import Counter
from datetime import UTC, date, datetime
from importlib import resources

import pytest
from omnix_kit.money import Price, Rates
from omnix_router.catalogue.models import Catalogue, Control, Effort, Mode, Model, price_at
from omnix_router.catalogue.reading import load

CHECKED = datetime(2026, 11, 22, tzinfo=UTC)
VENDORS = resources.files("omnix_router").joinpath("catalogue", "vendors")
FILES = sorted(file.name for file in VENDORS.iterdir() if file.name.endswith(".toml"))
CATALOGUE = load(None)
MODELS = [pytest.param(model, id=model.id) for model in CATALOGUE.models.values()]
CHAT = [pytest.param(model, id=model.id) for model in CATALOGUE.models.values() if not model.embeds]
EMBEDDING = [pytest.param(model, id=model.id) for model in CATALOGUE.models.values() if model.embeds]


def current(catalogue: Catalogue) -> list[Model]:
    """Models that are not retired, counting what differs in its name only once."""
    found: dict[tuple[str, str], Model] = {}
    for model in catalogue.models.values():
        if model.retires is None or model.retires > CHECKED:
            found.setdefault((model.provider, model.title), model)
    return list(found.values())


def test_catalogue_covers_four_vendors_with_chat_and_embeddings() -> None:
    kinds = Counter((model.provider, model.embeds) for model in current(CATALOGUE))
    assert sum(kinds.values()) >= 60
    for provider in ("openai", "bedrock", "gemini", "huggingface"):
        assert kinds[provider, False] >= 10
        assert kinds[provider, True] >= 2


@pytest.mark.parametrize("name", FILES)
def test_file_says_its_date_and_its_sources_by_address(name: str) -> None:
    raw = tomllib.loads(VENDORS.joinpath(name).read_text("utf-8"))
    assert raw["as_of"] == date(2026, 11, 22)
    assert raw["provider"] == name.removesuffix(".toml")
    assert raw["sources"]
    assert all(source.startswith("https://") for source in raw["sources"])


@pytest.mark.parametrize("model", CHAT)
def test_chat_model_has_limits_and_capabilities(model: Model) -> None:
    assert 0 < model.max_output_tokens <= model.context_window
    assert {"text", "streaming"} <= set(model.capabilities)
    assert model.dimensions == ()
    assert model.title


@pytest.mark.parametrize("model", EMBEDDING)
def test_embedding_model_has_a_window_and_no_output(model: Model) -> None:
    assert model.context_window > 0
    assert model.max_output_tokens == 0
    assert list(model.dimensions) == sorted(model.dimensions, reverse=True)
    assert not {"streaming", "tools", "reasoning"} & set(model.capabilities)
    for price in model.prices:
        assert price.rates.output == 0


@pytest.mark.parametrize("model", MODELS)
def test_capabilities_are_told_once_and_in_one_order(model: Model) -> None:
    order = (
        "text image audio video file system tools json json_schema reasoning streaming embeddings cache logprobs "
        "assistant_prefix"
    )
    assert list(model.capabilities) == [word for word in order.split() if word in model.capabilities]


def test_models_that_refuse_the_beginning_of_their_answer_do_not_count_as_continuing_it() -> None:
    found = {model.id for model in CATALOGUE.models.values() if model.continues_prefix}
    assert {
        "bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/amazon.nova-pro-v1:0",
        "gemini/gemini-2.5-flash",
        "gemini/gemini-3.1-pro-preview",
    } <= found
    refusing = ("-4-6", "-4-7", "-4-8", "claude-opus-5", "claude-sonnet-5", "fable", "mythos", "nova-2", "gemini-3.")
    assert not [name for name in found if any(word in name for word in refusing) and "gemini-3.1" not in name]
    assert {name.partition("/")[0] for name in found} == {"bedrock", "gemini"}


@pytest.mark.parametrize("model", MODELS)
def test_prices_are_plausible(model: Model) -> None:
    if not model.prices:
        assert model.provider == "huggingface"
        return
    assert price_at(model.prices, CHECKED) is not None or model.released is None
    for price in model.prices:
        assert price.currency == "USD"
        plausible(price.rates, embeds=model.embeds)
        for tier in price.tiers:
            plausible(tier.rates, embeds=model.embeds)
            assert price.rates.input < tier.rates.input <= 5 * price.rates.input
            assert price.rates.output < tier.rates.output <= 5 * price.rates.output
            assert tier.above_input < model.context_window or "claude-sonnet-4" in model.name
        cheaper_in_batch(price)


def plausible(rates: Rates, *, embeds: bool) -> None:
    free = rates.input == rates.output == 0
    assert free or rates.input > 0
    assert rates.input <= 100_000_000
    if not embeds:
        assert rates.input <= rates.output <= 40 * rates.input
    assert free or rates.cached_input is None or 0 < rates.cached_input < rates.input
    assert rates.cache_write is None or rates.input < rates.cache_write <= 2 * rates.input
    assert rates.long_cache_write is None or (rates.cache_write or 0) < rates.long_cache_write <= 2 * rates.input
    assert rates.reasoning is None or rates.reasoning >= rates.output


def cheaper_in_batch(price: Price) -> None:
    if price.batch_input is not None:
        assert price.rates.input // 4 <= price.batch_input < price.rates.input
    if price.batch_output is not None:
        assert price.rates.output // 4 <= price.batch_output < price.rates.output


def test_alias_means_one_model_and_is_no_model_itself() -> None:
    names = Counter(name for model in CATALOGUE.models.values() for name in model.aliases)
    assert [name for name, count in names.items() if count > 1] == []
    for model in CATALOGUE.models.values():
        for alias in model.aliases:
            assert CATALOGUE.short_names[alias] == (model,)
            assert f"{model.provider}/{alias}" not in CATALOGUE.models


def test_name_of_a_model_means_one_provider() -> None:
    assert [name for name, models in CATALOGUE.short_names.items() if len(models) > 1] == []


@pytest.mark.parametrize("model", CHAT)
def test_modes_lie_inside_what_the_model_takes(model: Model) -> None:
    control = model.reasoning
    if control is None:
        assert model.reasons
        return
    assert (control.control is Control.NONE) is not model.reasons
    match control.control:
        case Control.EFFORT:
            assert set(control.modes) == set(Mode)
            assert set(control.modes.values()) <= set(control.efforts)
            assert control.can_disable is (Effort.NONE in control.efforts)
        case Control.BUDGET:
            assert set(control.modes) == set(Mode)
            # What is left of the answer's limit must hold an answer.
            assert all(int(budget) < model.max_output_tokens for budget in control.modes.values())
            assert control.max_budget < model.max_output_tokens
        case Control.SWITCH:
            assert control.can_disable
        case Control.NONE | Control.FIXED:
            assert control.modes == {}


def test_titan_takes_neither_system_prompts_nor_tools() -> None:
    found = [model for model in CATALOGUE.models.values() if model.name.startswith("amazon.titan-text")]
    assert len(found) == 3
    assert all(not {"system", "tools"} & set(model.capabilities) for model in found)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gemini/gemini-pro", "gemini/gemini-3.1-pro-preview"),
        ("gemini/gemini-pro-vision", "gemini/gemini-3.1-pro-preview"),
        ("openai/gpt-5.6", "openai/gpt-5.6-sol"),
        ("bedrock/claude-opus-5-5", "bedrock/global.anthropic.claude-opus-5-5"),
        ("bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0", "bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0"),
        ("bedrock/amazon.titan-embed-text-v1", "bedrock/amazon.titan-embed-text-v1"),
    ],
)
def test_known_names_are_found(name: str, meant: str) -> None:
    found = CATALOGUE.find(*name.split("/", 1))
    assert found is not None
    assert found.id == meant


def test_profile_of_one_geography_costs_a_tenth_more() -> None:
    world = price_at(CATALOGUE.models["bedrock/global.anthropic.claude-opus-5-5"].prices, CHECKED)
    europe = price_at(CATALOGUE.models["bedrock/eu.anthropic.claude-opus-5-5"].prices, CHECKED)
    assert world is not None
    assert europe is not None
    assert (world.rates.input, europe.rates.input) == (4_000_000, 4_400_000)


def test_introductory_price_ends_on_its_day() -> None:
    prices = CATALOGUE.models["gemini/gemini-4-argon"].prices
    assert [(price.effective_time.date(), price.rates.output) for price in prices] == [
        (date(2026, 10, 13), 10_000_000),
        (date(2026, 12, 1), 20_000_000),
    ]


def test_quality_is_known_of_many_models_of_every_vendor_and_dated() -> None:
    known = Counter(model.provider for model in current(CATALOGUE) if model.quality is not None)
    for provider in ("openai", "bedrock", "gemini", "huggingface"):
        assert known[provider] >= 9
    for model in CATALOGUE.models.values():
        if model.quality is not None:
            assert 40 < model.quality.score < 90
            assert model.quality.as_of <= CHECKED
            assert not model.embeds
