"""What an attempt costs. Money is integer millionths of a currency, never a float."""

from dataclasses import dataclass
from datetime import datetime

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's units cost from a day on, in millionths of the currency for a million tokens.

    ``None`` means that the unit costs what other units of its direction cost.
    """

    currency: str
    effective_time: datetime
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one attempt, by the rules of ``omnix.completion.v1.Usage``: the details are parts of the totals."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write_input: int = 0
    reasoning: int = 0


def cost_micros(tokens: Tokens, price: Price) -> int:
    """Price times tokens, rounded half up once, at the end.

    Details that exceed their total, which vendors have been seen to report, never make another part negative.
    """
    cached = min(tokens.cached_input, tokens.input)
    written = min(tokens.cache_write_input, tokens.input - cached)
    reasoning = min(tokens.reasoning, tokens.output)
    total = (
        (tokens.input - cached - written) * price.input
        + cached * _or(price.cached_input, price.input)
        + written * _or(price.cache_write, price.input)
        + (tokens.output - reasoning) * price.output
        + reasoning * _or(price.reasoning, price.output)
    )
    return (total + _MILLION // 2) // _MILLION


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
