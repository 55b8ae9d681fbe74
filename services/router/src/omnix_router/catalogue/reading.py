"""Catalogue files: one per vendor in the package, and the operator's own on top.

Prices are written as people read them, in decimal units of the currency for a million tokens, and become integer
micro-units without passing through a float.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from omnix_kit.errors import ConfigurationError
from omnix_kit.money import Price, Rates

from omnix_router.catalogue.models import Catalogue, Model

_MICROS = 1_000_000
_MAX_BYTES = 4 * 1024 * 1024
_CAPABILITIES = frozenset({"text", "image", "audio", "file", "tools", "json", "json_schema", "reasoning", "streaming"})


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Price(_Entry):
    since: date
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    currency: str = "USD"


class _Model(_Entry):
    model: str
    provider: str = ""
    title: str = ""
    aliases: list[str] = []
    snapshots: list[str] = []
    context_window: int = 0
    max_output_tokens: int = 0
    capabilities: list[str] = []
    prices: list[_Price] = []
    released: date | None = None
    retires: date | None = None


class _File(_Entry):
    models: list[_Model]
    provider: str = ""
    as_of: date | None = None
    sources: list[str] = []


def load(extra: Path | None) -> Catalogue:
    """Read the package's files, then ``extra``, whose entries replace those of the same name.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    models: dict[str, Model] = {}
    for file in sorted(
        resources.files("omnix_router").joinpath("catalogue", "vendors").iterdir(), key=lambda f: f.name
    ):
        if file.name.endswith(".toml"):
            models |= _by_id(file.name, parse(file.name, file.read_text("utf-8")))
    if extra is not None:
        name = f"OMNIX_CATALOGUE_FILE: {extra}"
        models |= _by_id(name, parse(name, _text(extra)))
    return Catalogue(models)


def parse(name: str, text: str) -> list[Model]:
    """Read one file; ``name`` tells its format by its ending and stands in errors.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    try:
        raw: Any
        if name.endswith(".json"):
            raw = json.loads(text, parse_float=Decimal)
        else:
            raw = tomllib.loads(text, parse_float=Decimal)
        file = msgspec.convert(raw, _File)
        return [model for index, entry in enumerate(file.models) for model in _models(file, entry, f"models[{index}]")]
    except (msgspec.ValidationError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{name}: {exc}") from exc


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: {path} has more than {_MAX_BYTES} bytes")
        return path.read_text("utf-8")
    except OSError as exc:
        raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: {path} is not UTF-8") from exc


def _by_id(file: str, models: Iterable[Model]) -> Mapping[str, Model]:
    found: dict[str, Model] = {}
    for model in models:
        if model.id in found:
            raise ConfigurationError(f"{file}: {model.id} is there twice")
        found[model.id] = model
    return found


def _models(file: _File, entry: _Model, key: str) -> list[Model]:
    """The model itself, and one more for each dated snapshot, which the vendor knows by its own name."""
    provider = entry.provider or file.provider
    if not provider or "/" in provider:
        raise ValueError(f"{key}.provider: must be given and hold no slash")
    if not entry.model or entry.model != entry.model.strip():
        raise ValueError(f"{key}.model: must be the vendor's name")
    if unknown := sorted(set(entry.capabilities) - _CAPABILITIES):
        raise ValueError(f"{key}.capabilities: {', '.join(unknown)} is none of {', '.join(sorted(_CAPABILITIES))}")
    if entry.context_window < 0 or entry.max_output_tokens < 0:
        raise ValueError(f"{key}: context_window and max_output_tokens must not be negative")
    model = Model(
        provider=provider,
        name=entry.model,
        title=entry.title or entry.model,
        aliases=tuple(entry.aliases),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        capabilities=tuple(entry.capabilities),
        prices=tuple(
            sorted(
                (_price(price, f"{key}.prices[{index}]") for index, price in enumerate(entry.prices)),
                key=lambda price: price.effective_time,
            )
        ),
        released=_midnight(entry.released),
        retires=_midnight(entry.retires),
    )
    return [model, *(_snapshot(model, name) for name in entry.snapshots)]


def _snapshot(model: Model, name: str) -> Model:
    return Model(
        provider=model.provider,
        name=name,
        title=name,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        capabilities=model.capabilities,
        prices=model.prices,
        released=model.released,
        retires=model.retires,
    )


def _price(price: _Price, key: str) -> Price:
    def optional(field: str) -> int | None:
        value: Decimal | None = getattr(price, field)
        return None if value is None else micros(value, f"{key}.{field}")

    since = _midnight(price.since)
    assert since is not None  # noqa: S101 - for the type checker
    return Price(
        currency=price.currency,
        effective_time=since,
        rates=Rates(
            input=micros(price.input, f"{key}.input"),
            output=micros(price.output, f"{key}.output"),
            cached_input=optional("cached_input"),
            cache_write=optional("cache_write"),
            reasoning=optional("reasoning"),
        ),
    )


def micros(amount: Decimal, key: str) -> int:
    """Integer micro-units of a decimal amount, exactly.

    :raises ValueError: when the amount has a part smaller than a micro-unit, is negative or is absurd.
    """
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:
        raise ValueError(f"{key}: {amount} is not a price for a million tokens")
    scaled = amount * _MICROS
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{key}: {amount} has more than six decimal places")
    return int(scaled)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
