"""Which source of the catalogue wins. Pure.

The package's entry was checked by hand: it says what a model can do. An import knows later prices: its price holds from
its day on, unless the package has a later one. What only the import knows comes from there. The operator's own entry
replaces both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from omnix_kit.money import Price, Rates

from omnix_router.catalogue.models import Model, price_at

_RATES = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "long_cache_write",
    "reasoning",
    "audio_input",
    "audio_output",
)


def layered(
    package: Mapping[str, Model], imported: Mapping[str, Model], operator: Mapping[str, Model]
) -> Mapping[str, Model]:
    """All models by id."""
    known = {
        model.id: model if (other := imported.get(model.id)) is None else _enriched(model, other)
        for model in package.values()
    }
    aliases = {f"{model.provider}/{alias}" for model in package.values() for alias in model.aliases}
    more = {key: model for key, model in imported.items() if key not in known and key not in aliases}
    return {**known, **more, **operator}


def differs(stated: Price, held: Price) -> bool:
    """Whether a price says anything else than another. What it does not state does not differ."""
    if stated.currency != held.currency or _rates_differ(stated.rates, held.rates):
        return True
    if any(
        told is not None and told != other
        for told, other in ((stated.batch_input, held.batch_input), (stated.batch_output, held.batch_output))
    ):
        return True
    if not stated.tiers:
        return False
    if [tier.above_input for tier in stated.tiers] != [tier.above_input for tier in held.tiers]:
        return True
    return any(_rates_differ(tier.rates, other.rates) for tier, other in zip(stated.tiers, held.tiers, strict=True))


def _rates_differ(stated: Rates, held: Rates) -> bool:
    return any((told := getattr(stated, name)) is not None and told != getattr(held, name) for name in _RATES)


def _enriched(model: Model, other: Model) -> Model:
    return replace(
        model,
        context_window=model.context_window or other.context_window,
        max_output_tokens=model.max_output_tokens or other.max_output_tokens,
        capabilities=model.capabilities or other.capabilities,
        retires=model.retires or other.retires,
        prices=_prices(model.prices, other.prices),
    )


def _prices(own: tuple[Price, ...], imported: Iterable[Price]) -> tuple[Price, ...]:
    """Each imported price that tells something new on its day, among the package's own."""
    merged = list(own)
    for price in imported:
        held = price_at(merged, price.effective_time)
        if held is not None and not differs(price, held):
            continue
        merged = [other for other in merged if other.effective_time != price.effective_time]
        merged.append(price if held is None else _completed(price, held))
        merged.sort(key=lambda one: one.effective_time)
    return tuple(merged)


def _completed(price: Price, held: Price) -> Price:
    """Where a detail changed and the rest did not, what the import does not state holds on."""
    if (price.rates.input, price.rates.output) != (held.rates.input, held.rates.output):
        return price
    stated = {name: rate for name in _RATES if (rate := getattr(price.rates, name)) is not None}
    return replace(
        price,
        rates=replace(held.rates, **stated),
        tiers=price.tiers or held.tiers,
        batch_input=held.batch_input if price.batch_input is None else price.batch_input,
        batch_output=held.batch_output if price.batch_output is None else price.batch_output,
    )
