"""Percentiles by nearest rank, so that every figure reported is one that was measured."""

import math
from collections.abc import Iterable, Sequence

from bench.messages import Spread


def percentile(ordered: Sequence[float], share: float) -> float:
    """``share`` of the values are at or below the result; ``ordered`` is sorted and not empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(seconds: Iterable[float]) -> Spread:
    """Summarise times given in seconds; no time at all gives zeros and a count of 0."""
    ordered = sorted(seconds)
    if not ordered:
        return Spread(count=0, p50=0.0, p95=0.0, p99=0.0, most=0.0)
    return Spread(
        count=len(ordered),
        p50=percentile(ordered, 0.50) * 1e3,
        p95=percentile(ordered, 0.95) * 1e3,
        p99=percentile(ordered, 0.99) * 1e3,
        most=ordered[-1] * 1e3,
    )
