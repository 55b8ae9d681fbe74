"""What may stand in a catalogue file, and the models that it means. Pure."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import msgspec

from omnix_router.catalogue.models import Model, Quality, ReasoningControl
from omnix_router.catalogue.pricing import PriceEntry, midnight, prices_of
from omnix_router.catalogue.reasoning import ReasoningEntry, reasoning_of

CAPABILITIES = frozenset(
    {
        "text",
        "image",
        "audio",
        "video",
        "file",
        "system",
        "tools",
        "json",
        "json_schema",
        "reasoning",
        "streaming",
        "embeddings",
        "cache",
        "logprobs",
        "assistant_prefix",
    }
)
MAX_TOKENS = 1_000_000_000
MAX_DIMENSIONS = 65_536
MAX_QUALITY = 100


class QualityEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A figure of the index that the file's sources name, and the day on which it was read."""

    score: Decimal
    as_of: date


class ModelEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One model, and those of its snapshots."""

    model: str
    provider: str = ""
    title: str = ""
    aliases: list[str] = []
    snapshots: list[str] = []
    context_window: int = 0
    max_output_tokens: int = 0
    capabilities: list[str] = []
    reasoning: ReasoningEntry | None = None
    dimensions: list[int] = []
    prices: list[PriceEntry] = []
    released: date | None = None
    retires: date | None = None
    quality: QualityEntry | None = None


class Import(msgspec.Struct, forbid_unknown_fields=True):
    """Where the whole file was imported from, last of all."""

    time: datetime
    source: str
    """An address or a path."""
    models: int
    """How many models there were in it."""
    etag: str = ""
    gone: list[str] = []
    """Models of earlier imports that were not in it. They stay, so that old usage can be rated again."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A whole file."""

    models: list[ModelEntry]
    provider: str = ""
    as_of: date | None = None
    sources: list[str] = []
    imported: Import | None = None
    """Of files that an import wrote."""


def models_of(file: File) -> list[Model]:
    """Every model of the file, in its order.

    :raises ValueError: naming the key and what is wrong.
    """
    return [model for index, entry in enumerate(file.models) for model in _models(file, entry, f"models[{index}]")]


def _models(file: File, entry: ModelEntry, key: str) -> list[Model]:
    """The model itself, and one more for each snapshot, which the vendor knows by its own name."""
    provider = entry.provider or file.provider
    if not provider or "/" in provider:
        raise ValueError(f"{key}.provider: must be given and hold no slash")
    for name in (entry.model, *entry.aliases, *entry.snapshots):
        if not name or name != name.strip():
            raise ValueError(f"{key}.model: {name!r} is not a vendor's name, nor an alias or a snapshot of one")
    if unknown := sorted(set(entry.capabilities) - CAPABILITIES):
        raise ValueError(f"{key}.capabilities: {', '.join(unknown)} is none of {', '.join(sorted(CAPABILITIES))}")
    for limit in ("context_window", "max_output_tokens"):
        if not 0 <= getattr(entry, limit) <= MAX_TOKENS:
            raise ValueError(f"{key}.{limit}: must not be negative, nor more than {MAX_TOKENS}")
    if entry.dimensions and "embeddings" not in entry.capabilities:
        raise ValueError(f"{key}.dimensions: only a model with the capability embeddings has some")
    if any(not 0 < length <= MAX_DIMENSIONS for length in entry.dimensions):
        raise ValueError(f"{key}.dimensions: must be from 1 to {MAX_DIMENSIONS}")
    if entry.quality is not None and not _is_quality(entry.quality.score):
        raise ValueError(f"{key}.quality.score: must be from 0 to {MAX_QUALITY}")
    reasoning = reasoning_of(entry.reasoning, frozenset(entry.capabilities), f"{key}.reasoning")
    model = _model(provider, entry, reasoning, f"{key}.prices")
    return [model, *(replace(model, name=name, title=name, aliases=()) for name in entry.snapshots)]


def _model(provider: str, entry: ModelEntry, reasoning: ReasoningControl | None, prices: str) -> Model:
    return Model(
        provider=provider,
        name=entry.model,
        title=entry.title or entry.model,
        aliases=tuple(entry.aliases),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        capabilities=tuple(entry.capabilities),
        reasoning=reasoning,
        dimensions=tuple(entry.dimensions),
        prices=prices_of(entry.prices, prices),
        released=_midnight(entry.released),
        retires=_midnight(entry.retires),
        quality=_quality(entry.quality),
    )


def _is_quality(score: Decimal) -> bool:
    return score.is_finite() and 0 <= score <= MAX_QUALITY


def _quality(entry: QualityEntry | None) -> Quality | None:
    return None if entry is None else Quality(float(entry.score), midnight(entry.as_of))


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else midnight(day)
