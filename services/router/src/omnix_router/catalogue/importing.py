"""What an import changes, and when it is refused. Pure: time is an argument.

An import never rewrites the past: a price that differs from the last one holds from the day of the import on, beside
those before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import msgspec
from omnix_kit.money import Price

from omnix_router.catalogue.entries import File, Import, ModelEntry, models_of
from omnix_router.catalogue.layers import differs
from omnix_router.catalogue.models import Catalogue, price_at
from omnix_router.catalogue.pricemap import PriceMap
from omnix_router.catalogue.pricing import PriceEntry

_ABSURD = 100
"""By how much a price may rise or fall at once."""
_MAX_TOLD = 5

Key = tuple[str, str]


class ImportRefused(Exception):
    """Prices in it cannot be right; the message is for people. Who knows better can force it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What an import does to what was known, by ``provider/model``."""

    new: tuple[str, ...] = ()
    priced: tuple[tuple[str, Price | None, Price], ...] = ()
    """Models that were known, the price that holds, and the one that will."""
    gone: tuple[str, ...] = ()
    """Models of the import before that are not in this one. They are kept."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Entries that make no sense, and why."""
    models: int = 0
    """How many there are in it."""


def merged(
    before: File | None, known: Catalogue, found: PriceMap, origin: Import, *, force: bool = False
) -> tuple[File, Changes]:
    """The catalogue file after an import, and what is different.

    :param before: the file that the last import wrote.
    :param known: everything that is known now.
    :param origin: whence and when; its numbers are filled in here.
    :raises ImportRefused: when it shrank by half, a price became zero or jumped, unless forced.
    """
    day = origin.time.date()
    if not force:
        _refuse_implausible(before, known, found, origin.time)
    earlier = {_key(entry): entry for entry in (before.models if before else [])}
    entries = {
        key: _continued(entry, earlier.get(key), day, _freed(known, key, origin.time) and key in found.free)
        for key, entry in found.models.items()
    }
    missing = sorted(f"{provider}/{name}" for provider, name in earlier.keys() - found.models.keys())
    changes = Changes(
        new=tuple(sorted(f"{p}/{n}" for p, n in found.models if (p, n) not in earlier and known.find(p, n) is None)),
        priced=tuple(_priced(known, entries, found, origin.time)),
        gone=tuple(
            name for name in missing if before is None or before.imported is None or name not in before.imported.gone
        ),
        left_out=found.left_out,
        models=len(found.models),
    )
    file = File(
        models=[entry for _, entry in sorted({**earlier, **entries}.items())],
        as_of=day,
        sources=[origin.source],
        imported=msgspec.structs.replace(origin, models=len(found.models), gone=missing),
    )
    return file, changes


def _refuse_implausible(before: File | None, known: Catalogue, found: PriceMap, now: datetime) -> None:
    if before is not None and before.imported is not None and len(found.models) * 2 <= before.imported.models:
        raise ImportRefused(
            f"it shrank from {before.imported.models} models to {len(found.models)}; one that lost half is not believed"
        )
    zeroed, jumped, unpriced, formerly = [], [], 0, 0
    for (provider, name), entry in found.models.items():
        model = known.find(provider, name)
        held = None if model is None else price_at(model.prices, now)
        if held is None:
            continue
        formerly += 1
        if (provider, name) in found.free:
            zeroed += [f"{provider}/{name}"] if held.rates.input or held.rates.output else []
            continue
        if not entry.prices:
            unpriced += 1
            continue
        pairs = ((held.rates.input, entry.prices[0].input), (held.rates.output, entry.prices[0].output))
        if any(old and not new for old, new in pairs):
            zeroed.append(f"{provider}/{name}")
        elif any(old and not Decimal(old) / _ABSURD < new * 1_000_000 < old * _ABSURD for old, new in pairs):
            jumped.append(f"{provider}/{name}")
    if zeroed:
        raise ImportRefused(f"prices became zero: {_some(zeroed)}")
    if jumped:
        raise ImportRefused(f"prices changed a hundredfold or more: {_some(jumped)}")
    if unpriced * 2 > formerly:
        raise ImportRefused(f"{unpriced} of {formerly} models that had a price have none in it")


def _continued(entry: ModelEntry, earlier: ModelEntry | None, day: date, freed: bool) -> ModelEntry:
    """The entry with the prices that it had before, and its own when it is another."""
    prices = sorted(earlier.prices if earlier else [], key=lambda price: price.since)
    own = [PriceEntry(since=day, input=Decimal(0), output=Decimal(0))] if freed else entry.prices
    for price in own:
        if not prices or msgspec.structs.replace(prices[-1], since=price.since) != price:
            since = max(price.since, prices[-1].since) if prices else price.since
            prices = [other for other in prices if other.since != since]
            prices.append(msgspec.structs.replace(price, since=since))
    return msgspec.structs.replace(entry, prices=prices)


def _freed(known: Catalogue, key: Key, now: datetime) -> bool:
    """Whether a price of zero, which is not believed of an unknown model, ends a price that was known."""
    model = known.find(*key)
    held = None if model is None else price_at(model.prices, now)
    return held is not None and bool(held.rates.input or held.rates.output)


def _priced(
    known: Catalogue, entries: Mapping[Key, ModelEntry], found: PriceMap, now: datetime
) -> Iterator[tuple[str, Price | None, Price]]:
    for provider, name in sorted(found.models):
        model = known.find(provider, name)
        if model is None:
            continue
        [read] = models_of(File(models=[entries[provider, name]]))
        held, after = price_at(model.prices, now), price_at(read.prices, now)
        if after is not None and (held is None or differs(after, held)):
            yield f"{provider}/{name}", held, after


def _key(entry: ModelEntry) -> Key:
    return entry.provider, entry.model


def _some(names: Iterable[str]) -> str:
    told = list(names)
    rest = len(told) - _MAX_TOLD
    return ", ".join(told[:_MAX_TOLD]) + (f" and {rest} more" if rest > 0 else "")
