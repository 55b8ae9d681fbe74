"""The catalogue and its changes, as lines for people and as JSON. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from omnix_kit.money import Price, Rates

from omnix_router.catalogue.importing import Changes
from omnix_router.catalogue.models import Control, Model, ReasoningControl, price_at

_MILLION = 1_000_000
_NAMES = {
    "input": "input",
    "output": "output",
    "cached_input": "cached input",
    "cache_write": "cache write",
    "long_cache_write": "longer cache write",
    "reasoning": "reasoning",
    "audio_input": "audio input",
    "audio_output": "audio output",
}


def told(changes: Changes) -> Iterator[str]:
    """What an import did, one line for each model."""
    for name in changes.new:
        yield f"new      {name}"
    for name, before, after in changes.priced:
        if before is None:
            yield f"priced   {name}: {', '.join(_rates(after.rates))} {after.currency}"
        else:
            yield f"changed  {name}: {', '.join(_differences(before, after))}"
    for name in changes.gone:
        yield f"gone     {name}: kept as it was"
    for name, why in changes.left_out.items():
        yield f"left out {name}: {why}"
    yield (
        f"{changes.models} models: {len(changes.new)} new, {len(changes.priced)} with another price, "
        f"{len(changes.gone)} gone, {len(changes.left_out)} left out"
    )


def listed(models: Sequence[Model], now: datetime) -> Iterator[str]:
    """One line for each model, under a heading."""
    rows = [("model", "context", "answer", "in /1M", "out /1M", "")]
    for model in models:
        price = price_at(model.prices, now)
        rows.append(
            (
                model.id,
                f"{model.context_window:,}" if model.context_window else "",
                f"{model.max_output_tokens:,}" if model.max_output_tokens else "",
                "" if price is None else _amount(price.rates.input),
                "" if price is None else _amount(price.rates.output),
                "retired" if model.retires is not None and model.retires <= now else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *cells in rows:
        aligned = (cell.rjust(width) for cell, width in zip(cells[:-1], widths[1:-1], strict=True))
        yield f"{name.ljust(widths[0])}  {'  '.join(aligned)}  {cells[-1]}".rstrip()


def described(model: Model, now: datetime) -> Iterator[str]:
    """All that is known of one model."""
    yield model.id
    facts = {
        "title": model.title,
        "aliases": ", ".join(model.aliases),
        "context": f"{model.context_window:,}" if model.context_window else "",
        "answer": f"{model.max_output_tokens:,}" if model.max_output_tokens else "",
        "can": ", ".join(model.capabilities),
        "reasoning": "" if model.reasoning is None else _reasoning(model.reasoning),
        "dimensions": ", ".join(map(str, model.dimensions)),
        "quality": "" if model.quality is None else f"{model.quality.score:g} of 100 ({model.quality.as_of.date()})",
        "released": "" if model.released is None else str(model.released.date()),
        "retires": "" if model.retires is None else str(model.retires.date()),
    }
    yield from (f"  {name:<11}{value}" for name, value in facts.items() if value)
    held = price_at(model.prices, now)
    for price in model.prices:
        mark = " (now)" if price is held else ""
        yield f"  price      since {price.effective_time.date()}{mark}, {price.currency} for a million tokens:"
        yield f"             {', '.join(_rates(price.rates))}"
        for tier in price.tiers:
            yield f"             above {tier.above_input:,} tokens: {', '.join(_rates(tier.rates))}"
        if price.batch_input is not None:
            output = "" if price.batch_output is None else f", output {_amount(price.batch_output)}"
            yield f"             in a batch: input {_amount(price.batch_input)}{output}"
    if not model.prices:
        yield "  price      unknown"


def as_json(model: Model) -> dict[str, Any]:
    """The same for programs. Money is in micro-units of the currency for a million tokens."""
    reasoning = model.reasoning
    return {
        "id": model.id,
        "provider": model.provider,
        "model": model.name,
        "title": model.title,
        "aliases": list(model.aliases),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": list(model.capabilities),
        "reasoning": None
        if reasoning is None
        else {
            "control": reasoning.control,
            "efforts": list(reasoning.efforts),
            "min_budget": reasoning.min_budget,
            "max_budget": reasoning.max_budget,
            "can_disable": reasoning.can_disable,
            "modes": {str(mode): value for mode, value in reasoning.modes.items()},
        },
        "dimensions": list(model.dimensions),
        "quality": None
        if model.quality is None
        else {"score": model.quality.score, "as_of": str(model.quality.as_of.date())},
        "released": None if model.released is None else str(model.released.date()),
        "retires": None if model.retires is None else str(model.retires.date()),
        "prices": [
            {
                "since": str(price.effective_time.date()),
                "currency": price.currency,
                **_stated(price.rates),
                "batch_input": price.batch_input,
                "batch_output": price.batch_output,
                "tiers": [{"above": tier.above_input, **_stated(tier.rates)} for tier in price.tiers],
            }
            for price in model.prices
        ],
    }


def _reasoning(control: ReasoningControl) -> str:
    modes = ", ".join(f"{mode} = {value}" for mode, value in control.modes.items())
    match control.control:
        case Control.EFFORT:
            takes = f"effort {', '.join(control.efforts)}"
        case Control.BUDGET:
            takes = f"budget {control.min_budget:,} to {control.max_budget:,}{' or 0' if control.can_disable else ''}"
        case _:
            takes = str(control.control)
    return f"{takes}; {modes}" if modes else takes


def _differences(before: Price, after: Price) -> Iterator[str]:
    found = list(_between(before.rates, after.rates, ""))
    for old, new, name in (
        (before.batch_input, after.batch_input, "batch input"),
        (before.batch_output, after.batch_output, "batch output"),
    ):
        if new is not None and old != new:
            found.append(f"{name} {_maybe(old)} → {_amount(new)}")
    earlier = {tier.above_input: tier.rates for tier in before.tiers}
    for tier in after.tiers:
        above = f" above {tier.above_input:,}"
        if (rates := earlier.get(tier.above_input)) is None:
            found.append(f"{above.strip()}: {', '.join(_rates(tier.rates))}")
        else:
            found += _between(rates, tier.rates, above)
    if before.currency != after.currency:
        found.append(f"currency {before.currency} → {after.currency}")
    yield from found


def _between(before: Rates, after: Rates, where: str) -> Iterable[str]:
    for field, name in _NAMES.items():
        old, new = getattr(before, field), getattr(after, field)
        if new is not None and old != new:
            yield f"{name}{where} {_maybe(old)} → {_amount(new)}"


def _rates(rates: Rates) -> Iterable[str]:
    for field, name in _NAMES.items():
        if (rate := getattr(rates, field)) is not None:
            yield f"{name} {_amount(rate)}"


def _stated(rates: Rates) -> dict[str, int | None]:
    return {field: getattr(rates, field) for field in _NAMES}


def _maybe(micros: int | None) -> str:
    return "none" if micros is None else _amount(micros)


def _amount(micros: int) -> str:
    return f"{(Decimal(micros) / _MILLION).normalize():f}"
