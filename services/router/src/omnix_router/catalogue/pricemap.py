"""The community price map, as LiteLLM publishes it, read as entries of a catalogue file. Pure.

One JSON object by model; prices are in dollars for a token. Its format is described by its own entry ``sample_spec``:
https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from omnix_router.catalogue.entries import MAX_TOKENS, ModelEntry
from omnix_router.catalogue.pricing import MAX_PRICE, PriceEntry, TierEntry

_PROVIDERS = {
    "openai": ("openai", "openai/"),
    "bedrock": ("bedrock", "bedrock/"),
    "bedrock_converse": ("bedrock", "bedrock/"),
    "gemini": ("gemini", "gemini/"),
    "vertex_ai": ("gemini", "vertex_ai/"),
    "vertex_ai-language-models": ("gemini", "vertex_ai/"),
    "vertex_ai-embedding-models": ("gemini", "vertex_ai/"),
    "huggingface": ("huggingface", "huggingface/"),
}
"""The map's provider: ours, and what the map puts before some names."""
_RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "long_cache_write": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "batch_input": "input_cost_per_token_batches",
    "batch_output": "output_cost_per_token_batches",
}
_ABOVE = re.compile(r"input_cost_per_token_above_(\d{1,6})k_tokens")
_ABILITIES = {
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "video": "supports_video_input",
    "file": "supports_pdf_input",
    "tools": "supports_function_calling",
    "json": "supports_response_schema",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "cache": "supports_prompt_caching",
    "assistant_prefix": "supports_assistant_prefill",
}
_UNSAID = ("json", "logprobs")
"""The map has no word for them alone, so the vendor is asked."""
_MILLION = 1_000_000
_SIX_PLACES = Decimal("0.000001")
_MAX_NAME = 256


class PriceMapError(Exception):
    """The map cannot be read at all; the message is for people."""


class _Wrong(Exception):
    """One entry says what it cannot; the message names the key."""


@dataclass(frozen=True, slots=True)
class PriceMap:
    """What the map says of models of our providers."""

    models: Mapping[tuple[str, str], ModelEntry]
    """By provider and name. Each has one price at most."""
    free: frozenset[tuple[str, str]]
    """Those whose price is stated as 0, which is taken for unknown."""
    left_out: Mapping[str, str]
    """Entries of our providers that make no sense, by their name in the map, and why."""


def read(text: str, day: date) -> PriceMap:
    """Read the whole map; prices hold from ``day`` on.

    :raises PriceMapError: when it is no such map. An entry that makes no sense is left out and told.
    """
    try:
        raw: Any = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError as exc:
        raise PriceMapError("is nested too deeply") from exc
    except ValueError as exc:
        raise PriceMapError(f"is not JSON: {exc}") from exc
    except ArithmeticError as exc:
        raise PriceMapError("holds a number with an exponent beyond any price") from exc
    if not isinstance(raw, dict):
        raise PriceMapError(f"is not an object by model, but {_kind(raw)}")
    models: dict[tuple[str, str], ModelEntry] = {}
    ranks: dict[tuple[str, str], int] = {}
    free: set[tuple[str, str]] = set()
    left_out: dict[str, str] = {}
    for key, entry in raw.items():
        if not isinstance(entry, dict) or (found := _whose(key, entry)) is None:
            continue
        provider, name, rank = found
        try:
            model = _model(provider, name, entry, day)
        except _Wrong as exc:
            left_out[key[:_MAX_NAME]] = str(exc)
            continue
        if rank >= ranks.get((provider, name), -1):
            models[provider, name], ranks[provider, name] = model, rank
            free.discard((provider, name))
            if not model.prices and entry.get(_RATES["input"]) == 0:
                free.add((provider, name))
    if not models:
        raise PriceMapError("holds no model of a known provider")
    return PriceMap(models, frozenset(free), left_out)


def _whose(key: str, entry: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Our provider, the vendor's name and how much the entry counts; None for what is none of ours.

    The map also lists fine-tuned models by a pattern, prices of single regions and of reserved capacity, and models of
    other makers on Vertex AI. Where it has a model twice, the entry of the Gemini API counts more than that of Vertex
    AI, and what is written without a prefix more than what has one.
    """
    provider, mode = entry.get("litellm_provider"), entry.get("mode")
    if not isinstance(provider, str) or provider not in _PROVIDERS or mode not in ("chat", "embedding"):
        return None
    ours, prefix = _PROVIDERS[provider]
    name = key.removeprefix(prefix)
    if not name or len(name) > _MAX_NAME or not name.isprintable() or name != name.strip() or name.startswith("ft:"):
        return None
    if "/" in name and ours != "huggingface":
        return None
    return ours, name, (provider == ours) * 2 + (name == key)


def _model(provider: str, name: str, entry: Mapping[str, Any], day: date) -> ModelEntry:
    price = _price(entry, day)
    if entry["mode"] == "embedding":
        sees = _is(entry, "supports_embedding_image_input")
        return ModelEntry(
            model=name,
            provider=provider,
            capabilities=["text", "image", "embeddings"] if sees else ["text", "embeddings"],
            context_window=_count(entry, "max_input_tokens", MAX_TOKENS),
            prices=price,
            retires=_day(entry, "deprecation_date"),
        )
    abilities = [ours for ours, theirs in _ABILITIES.items() if _is(entry, theirs)]
    if entry.get("supports_system_messages") is not False:
        abilities.append("system")
    if provider != "bedrock":  # whose adapter refuses them
        abilities += [unsaid for unsaid in _UNSAID if unsaid not in abilities]
    return ModelEntry(
        model=name,
        provider=provider,
        capabilities=["text", *abilities, "streaming"],
        context_window=_count(entry, "max_input_tokens", MAX_TOKENS),
        max_output_tokens=_count(entry, "max_output_tokens", MAX_TOKENS),
        prices=price,
        retires=_day(entry, "deprecation_date"),
    )


def _price(entry: Mapping[str, Any], day: date) -> list[PriceEntry]:
    """Empty when the map states no price, or says 0: it writes that for what it does not know, too."""
    rates = {name: _amount(entry, key) for name, key in _RATES.items()}
    given, made = rates["input"], rates["output"]
    if given is None or (made is None and entry["mode"] == "chat") or not (given or made):
        return []
    made = made or Decimal(0)
    # Nobody gives away a part of what has a price: such a 0 is unknown, too, and must not make tokens free.
    rates = {name: rate or None for name, rate in rates.items()}
    thresholds = sorted({int(found[1]) for key in entry if (found := _ABOVE.fullmatch(key)) and int(found[1])})
    return [
        PriceEntry(
            since=day,
            input=given,
            output=made,
            cached_input=rates["cached_input"],
            cache_write=rates["cache_write"],
            long_cache_write=rates["long_cache_write"],
            reasoning=_unless(rates["reasoning"], made),
            audio_input=_unless(rates["audio_input"], given),
            audio_output=_unless(rates["audio_output"], made),
            batch_input=rates["batch_input"],
            batch_output=rates["batch_output"],
            tiers=[_tier(entry, threshold, rates, given, made) for threshold in thresholds],
        )
    ]


def _tier(
    entry: Mapping[str, Any], threshold: int, rates: Mapping[str, Decimal | None], given: Decimal, made: Decimal
) -> TierEntry:
    """What the map does not state for the tier is as below it."""

    def above(rate: str) -> Decimal | None:
        return _amount(entry, f"{_RATES[rate]}_above_{threshold}k_tokens") or rates[rate]

    output = above("output") or made
    return TierEntry(
        above=threshold * 1000,
        input=above("input") or given,
        output=output,
        cached_input=above("cached_input"),
        cache_write=above("cache_write"),
        long_cache_write=above("long_cache_write"),
        reasoning=_unless(above("reasoning"), output),
    )


def _unless(amount: Decimal | None, other: Decimal) -> Decimal | None:
    """What costs the same as what it is part of needs no rate of its own."""
    return None if amount == other else amount


def _amount(entry: Mapping[str, Any], key: str) -> Decimal | None:
    """What is asked for a million, exact to the sixth place; floats that were calculated are off in the seventeenth."""
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Wrong(f"{key} is {_kind(value)} and not a number")
    if not 0 <= value <= MAX_PRICE:  # before it is multiplied: its exponent may be anything
        raise _Wrong(f"{key} is not a price for a token")
    amount = Decimal(value) * _MILLION
    if amount > MAX_PRICE:
        raise _Wrong(f"{key} is not a price for a token")
    try:
        rounded = amount.quantize(_SIX_PLACES)
    except InvalidOperation as exc:
        raise _Wrong(f"{key} is not a price for a token") from exc
    if value and not rounded:
        raise _Wrong(f"{key} is less than a millionth for a million tokens")
    return rounded.normalize() if rounded else Decimal(0)


def _count(entry: Mapping[str, Any], key: str, most: int) -> int:
    value = entry.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Wrong(f"{key} is {_kind(value)} and not a number")
    if not 0 <= value <= most or value != int(value):
        raise _Wrong(f"{key} is not a number of tokens")
    return int(value)


def _is(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise _Wrong(f"{key} is {_kind(value)} and neither true nor false")
    return value is True


def _day(entry: Mapping[str, Any], key: str) -> date | None:
    value = entry.get(key)
    if value is None or value == "":
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as exc:
        raise _Wrong(f"{key} is not a day such as 2027-01-31") from exc


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
