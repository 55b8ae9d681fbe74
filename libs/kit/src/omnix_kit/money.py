"""What an attempt costs. Money is integer millionths of a currency, never a float."""

from dataclasses import dataclass
from datetime import datetime

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """What units cost, in millionths of the currency for a million tokens.

    ``None`` means that the unit costs what other units of its direction cost; for a longer-lived cache, what other
    cache writes cost.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    long_cache_write: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates that hold for the whole attempt when its input tokens, cached ones included, are more than this."""

    above_input: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's units cost from a day on, in millionths of the currency for a million tokens.

    Batch rates are what the vendor asks for its batch processing.
    """

    currency: str
    effective_time: datetime
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """By rising threshold; the last one that the prompt exceeds holds."""
    batch_input: int | None = None
    batch_output: int | None = None

    def rates_for(self, input_tokens: int) -> Rates:
        rates = self.rates
        for tier in self.tiers:
            if input_tokens > tier.above_input:
                rates = tier.rates
        return rates


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one attempt, by the rules of ``omnix.completion.v1.Usage``: the details are parts of the totals."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write_input: int = 0
    reasoning: int = 0
    long_cache_write_input: int = 0
    """Part of ``cache_write_input``."""
    audio_input: int = 0
    audio_output: int = 0


def cost_micros(tokens: Tokens, price: Price) -> int:
    """Price times tokens, rounded half up once, at the end.

    Details that exceed their total, which vendors have been seen to report, never make another part negative.
    """
    rates = price.rates_for(tokens.input)
    cached = min(tokens.cached_input, tokens.input)
    written = min(tokens.cache_write_input, tokens.input - cached)
    long_written = min(tokens.long_cache_write_input, written)
    heard = min(tokens.audio_input, tokens.input - cached - written)
    reasoning = min(tokens.reasoning, tokens.output)
    spoken = min(tokens.audio_output, tokens.output - reasoning)
    cache_write = _or(rates.cache_write, rates.input)
    total = (
        (tokens.input - cached - written - heard) * rates.input
        + cached * _or(rates.cached_input, rates.input)
        + (written - long_written) * cache_write
        + long_written * _or(rates.long_cache_write, cache_write)
        + heard * _or(rates.audio_input, rates.input)
        + (tokens.output - reasoning - spoken) * rates.output
        + reasoning * _or(rates.reasoning, rates.output)
        + spoken * _or(rates.audio_output, rates.output)
    )
    return (total + _MILLION // 2) // _MILLION


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
