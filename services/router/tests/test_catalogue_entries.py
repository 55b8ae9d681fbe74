from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from omnix_kit.errors import ConfigurationError
from omnix_kit.money import Price, Rates, Tier
from omnix_router.catalogue.models import Control, Effort, Mode, Model, Quality, ReasoningControl
from omnix_router.catalogue.reading import parse

Read = Callable[[str], Model]


@pytest.fixture
def read() -> Read:
    def one(text: str) -> Model:
        [model] = parse("mine.toml", f'provider = "p"\n[[models]]\nmodel = "a"\n{text}')
        return model

    return one


def reasoning(text: str) -> str:
    return f'capabilities = ["text", "reasoning"]\nreasoning = {{ {text} }}'


def price(text: str) -> str:
    return f"prices = [{{ since = 2025-01-01, input = 1, output = 2, {text} }}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'control = "effort", efforts = ["none", "low", "xhigh"], modes = { flash = "none", ultra-think = "xhigh" }',
            ReasoningControl(
                Control.EFFORT,
                efforts=(Effort.NONE, Effort.LOW, Effort.XHIGH),
                can_disable=True,
                modes={Mode.FLASH: Effort.NONE, Mode.ULTRA_THINK: Effort.XHIGH},
            ),
        ),
        (
            'control = "effort", efforts = ["low", "high"], modes = { think = "high" }',
            ReasoningControl(Control.EFFORT, efforts=(Effort.LOW, Effort.HIGH), modes={Mode.THINK: Effort.HIGH}),
        ),
        (
            'control = "budget", min_budget = 1024, max_budget = 32000, can_disable = true, '
            "modes = { flash = 0, think = 8192, ultra-think = 32000 }",
            ReasoningControl(
                Control.BUDGET,
                min_budget=1024,
                max_budget=32000,
                can_disable=True,
                modes={Mode.FLASH: 0, Mode.THINK: 8192, Mode.ULTRA_THINK: 32000},
            ),
        ),
        (
            'control = "switch", modes = { flash = false, think = true }',
            ReasoningControl(
                Control.SWITCH, can_disable=True, modes={Mode.FLASH: Effort.NONE, Mode.THINK: Effort.HIGH}
            ),
        ),
        ('control = "fixed"', ReasoningControl(Control.FIXED)),
    ],
)
def test_reasoning_control_is_read(read: Read, text: str, expected: ReasoningControl) -> None:
    assert read(reasoning(text)).reasoning == expected


def test_model_whose_told_capabilities_hold_no_reasoning_does_not_reason(read: Read) -> None:
    assert read('capabilities = ["text"]').reasoning == ReasoningControl(Control.NONE)
    assert read("").reasoning is None
    assert read('capabilities = ["text", "reasoning"]').reasoning is None


def test_price_has_a_rate_for_each_unit_and_tiers(read: Read) -> None:
    told = (
        "cached_input = 0.1, cache_write = 1.25, long_cache_write = 2, reasoning = 3, "
        "audio_input = 4, audio_output = 5, "
        "batch_input = 0.5, batch_output = 1, "
        "tiers = [{ above = 200_000, input = 2, output = 4, cached_input = 0.2, cache_write = 2.5 }]"
    )
    assert read(price(told)).prices == (
        Price(
            "USD",
            datetime(2025, 1, 1, tzinfo=UTC),
            Rates(1_000_000, 2_000_000, 100_000, 1_250_000, 3_000_000, 2_000_000, 4_000_000, 5_000_000),
            (Tier(200_000, Rates(2_000_000, 4_000_000, 200_000, 2_500_000)),),
            500_000,
            1_000_000,
        ),
    )


def test_embedding_model_has_dimensions(read: Read) -> None:
    model = read('capabilities = ["text", "embeddings"]\ndimensions = [1024, 512, 256]')
    assert model.embeds
    assert model.dimensions == (1024, 512, 256)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (reasoning('control = "none"'), "models[0].reasoning.control: none contradicts the capabilities"),
        ('capabilities = ["text"]\nreasoning = { control = "fixed" }', "models[0].reasoning.control: fixed"),
        (reasoning('control = "magic"'), "magic"),
        (reasoning('control = "fixed", modes = { think = true }'), "models[0].reasoning.modes: is not for control"),
        (reasoning('control = "switch", efforts = ["low"]'), "models[0].reasoning.efforts: is not for control switch"),
        (reasoning('control = "switch", modes = { flash = 0 }'), "models[0].reasoning.modes.flash: must be true or"),
        (reasoning('control = "effort"'), "models[0].reasoning.efforts: must name"),
        (reasoning('control = "effort", efforts = ["high", "low"]'), "models[0].reasoning.efforts: must name"),
        (reasoning('control = "effort", efforts = ["low", "low"]'), "models[0].reasoning.efforts: must name"),
        (
            reasoning('control = "effort", efforts = ["low"], modes = { flash = "none" }'),
            "models[0].reasoning.modes.flash: must be one of low",
        ),
        (
            reasoning('control = "effort", efforts = ["low", "high"], modes = { flash = "high", think = "low" }'),
            "models[0].reasoning.modes: must not fall",
        ),
        (reasoning('control = "effort", efforts = ["low"], modes = { deep = "low" }'), "deep"),
        (reasoning('control = "budget", max_budget = 5'), "models[0].reasoning: min_budget must be at least 1"),
        (reasoning('control = "budget", min_budget = 9, max_budget = 5'), "models[0].reasoning: min_budget"),
        (
            reasoning('control = "budget", min_budget = 5, max_budget = 9, modes = { flash = 0 }'),
            "models[0].reasoning.modes.flash: must be from 5 to 9",
        ),
        (
            reasoning('control = "budget", min_budget = 5, max_budget = 9, can_disable = true, modes = { think = 4 }'),
            "models[0].reasoning.modes.think: must be from 5 to 9 or 0",
        ),
        (
            reasoning('control = "budget", min_budget = 5, max_budget = 9, modes = { think = "low" }'),
            "models[0].reasoning.modes.think: must be a number of tokens",
        ),
        (price("tiers = [{ above = 0, input = 1, output = 2 }]"), "models[0].prices[0].tiers: above"),
        (
            price("tiers = [{ above = 5, input = 1, output = 2 }, { above = 5, input = 1, output = 2 }]"),
            "models[0].prices[0].tiers: above",
        ),
        (price("tiers = [{ above = 5, input = -1, output = 2 }]"), "models[0].prices[0].tiers[0].input: -1"),
        (price('currency = "dollars"'), "models[0].prices[0].currency"),
        (price("batch_output = 0.0000001"), "models[0].prices[0].batch_output"),
        (
            "prices = [{ since = 2025-01-01, input = 1, output = 2 }, { since = 2025-01-01, input = 2, output = 3 }]",
            "models[0].prices: two prices hold since 2025-01-01",
        ),
        ("dimensions = [5]", "models[0].dimensions: only"),
        ('capabilities = ["embeddings"]\ndimensions = [0]', "models[0].dimensions: must be"),
        ("max_output_tokens = -1", "models[0].max_output_tokens"),
        ('aliases = [" b"]', "models[0].model: ' b'"),
    ],
)
def test_what_a_model_cannot_take_is_an_error_of_the_file(read: Read, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert str(caught.value).startswith("mine.toml: ")
    assert told in str(caught.value)


def test_quality_has_its_day(read: Read) -> None:
    assert read("quality = { score = 75.3, as_of = 2026-11-22 }").quality == Quality(
        75.3, datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert read("").quality is None


@pytest.mark.parametrize("text", ["score = 100.1", "score = -1", "score = nan"])
def test_quality_out_of_range_is_named(read: Read, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mine.toml: models\[0\]\.quality\.score: must be from 0 to 100"):
        read(f"quality = {{ {text}, as_of = 2026-11-22 }}")
