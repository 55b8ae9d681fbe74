"""How times are distributed, in buckets that grow: percentiles within a relative error, of any number of attempts.

As DDSketch does it: bucket ``i`` holds what is more than ``GROWTH ** (i - 1)`` milliseconds and at most
``GROWTH ** i``, and is answered by a value that lies within ``RELATIVE_ERROR`` of all it holds. Sketches add up
exactly, in any order, and what was added can be taken out again.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import add

from msgspec import Struct

RELATIVE_ERROR = 0.02
SHORTEST_US = 1_000
"""What is shorter counts as this."""
LONGEST_US = 86_400_000_000
"""What is longer, a day, counts as this."""
GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)

_LOG_GROWTH = math.log(GROWTH)
_VALUE_OF_BUCKET = 2 * SHORTEST_US / (GROWTH + 1)


class Sketch(Struct, array_like=True):
    """Counts of neighbouring buckets; neither the first nor the last is 0."""

    first: int = 0
    """The bucket of the first count."""
    counts: list[int] = []

    @property
    def total(self) -> int:
        return sum(self.counts)

    def add(self, microseconds: int, times: int = 1) -> None:
        """Count one time, or with -1 take one out that was counted."""
        self._put(bucket_of(microseconds), [times])

    def merge(self, other: "Sketch") -> None:
        if other.counts:
            self._put(other.first, other.counts)

    def quantiles(self, shares: Sequence[float]) -> list[int]:
        """For each share, a time that so many of the attempts took at most, in microseconds; 0 when there is none."""
        sums = list(accumulate(self.counts))
        if not sums:
            return [0] * len(shares)
        return [
            value_of(self.first + bisect_left(sums, max(1, math.ceil(share * sums[-1] - 1e-9)))) for share in shares
        ]

    def _put(self, first: int, counts: Sequence[int]) -> None:
        at = first - self.first
        if not self.counts:
            self.first, self.counts = first, list(counts)  # its own, which it may change
        elif len(counts) == 1 and 0 <= at < len(self.counts):
            self.counts[at] += counts[0]  # most of what is added up is one attempt
        else:
            begin = min(first, self.first)
            end = max(first + len(counts), self.first + len(self.counts))
            own = [0] * (self.first - begin) + self.counts + [0] * (end - self.first - len(self.counts))
            others = [*[0] * (first - begin), *counts, *[0] * (end - first - len(counts))]
            self.first, self.counts = begin, list(map(add, own, others))
        if not (self.counts[0] and self.counts[-1]):
            self._trim()

    def _trim(self) -> None:
        taken = [at for at, count in enumerate(self.counts) if count]
        if taken:
            self.counts = self.counts[taken[0] : taken[-1] + 1]
            self.first += taken[0]
        else:
            self.first, self.counts = 0, []


def bucket_of(microseconds: int) -> int:
    within = min(max(microseconds, SHORTEST_US), LONGEST_US)
    return math.ceil(math.log(within / SHORTEST_US) / _LOG_GROWTH - 1e-9)


def value_of(bucket: int) -> int:
    return max(SHORTEST_US, round(_VALUE_OF_BUCKET * GROWTH**bucket))
