from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from omnix_kit.errors import ConfigurationError
from omnix_kit.money import Price, Rates
from omnix_router.catalogue.models import price_at
from omnix_router.catalogue.pricing import micros
from omnix_router.catalogue.reading import load, parse

CHECKED = datetime(2026, 11, 22, tzinfo=UTC)


def test_shipped_prices_are_exact() -> None:
    model = load(None).find("openai", "gpt-4o-mini")
    assert model is not None
    assert price_at(model.prices, CHECKED) == Price(
        "USD",
        datetime(2024, 7, 18, tzinfo=UTC),
        Rates(input=150_000, output=600_000, cached_input=75_000),
        batch_input=75_000,
        batch_output=300_000,
    )


def test_price_in_force_changes_on_its_day() -> None:
    model = load(None).find("openai", "gpt-5.6")
    assert model is not None
    assert model.name == "gpt-5.6-sol"
    change = datetime(2026, 8, 21, tzinfo=UTC)
    before, after = price_at(model.prices, change - timedelta(microseconds=1)), price_at(model.prices, change)
    assert before is not None
    assert after is not None
    assert (before.rates.input, after.rates.input) == (5_000_000, 4_000_000)
    assert price_at(model.prices, datetime(2020, 1, 1, tzinfo=UTC)) is None


def test_snapshot_is_a_model_of_its_own() -> None:
    found = load(None).find("openai", "gpt-4o-2024-08-06")
    assert found is not None
    assert found.name == "gpt-4o-2024-08-06"
    assert found.context_window == 128_000


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("2.50", 2_500_000), ("0.075", 75_000), ("0.000001", 1), ("0", 0), ("0.1", 100_000), ("30", 30_000_000)],
)
def test_decimal_prices_become_micros_exactly(amount: str, expected: int) -> None:
    assert micros(Decimal(amount), "key") == expected


@pytest.mark.parametrize("amount", ["0.0000001", "-1", "NaN", "Infinity", "1000001"])
def test_absurd_prices_are_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="key"):
        micros(Decimal(amount), "key")


def test_operators_file_replaces_and_adds(tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_text(
        """{"models": [
          {"provider": "openai", "model": "gpt-4o", "prices": [{"since": "2025-01-01", "input": 1.1, "output": "2.2"}]},
          {"provider": "ollama", "model": "llama3", "aliases": ["llama"], "context_window": 8192}
        ]}"""
    )
    catalogue = load(file)
    own, llama = catalogue.models["openai/gpt-4o"], catalogue.find("ollama", "llama")
    assert own.prices == (Price("USD", datetime(2025, 1, 1, tzinfo=UTC), Rates(input=1_100_000, output=2_200_000)),)
    assert llama is not None
    assert (llama.name, llama.context_window, llama.prices) == ("llama3", 8192, ())
    assert "openai/gpt-4o-mini" in catalogue.models


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models = 3", "Expected `array`, got `int` - at `$.models`"),
        ('[[models]]\nmodel = "a"', "models[0].provider"),
        ('provider = "p"\n[[models]]\nmodel = "a"\ncolour = "red"', "unknown field `colour`"),
        ('provider = "p"\n[[models]]\nmodel = "a"\ncapabilities = ["magic"]', "models[0].capabilities: magic"),
        (
            'provider = "p"\n[[models]]\nmodel = "a"\nprices = [{ since = 2025-01-01, input = 0.0000001, output = 1 }]',
            "models[0].prices[0].input: 1E-7 has more than six decimal places",
        ),
        ('provider = "p"\n[[models]]\nmodel = "a"\ncontext_window = -1', "models[0]"),
        ("= nonsense", "Invalid"),
    ],
)
def test_bad_file_is_told_with_its_name_and_key(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("mine.toml", text)
    assert str(caught.value).startswith("mine.toml: ")
    assert told in str(caught.value)


def test_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="OMNIX_CATALOGUE_FILE: cannot read"):
        load(tmp_path / "absent.toml")
