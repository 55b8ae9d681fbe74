"""How quick targets were of late, as this router saw it in live traffic. Pure: time is an argument.

The median of a few recent attempts is kept and not an average, so that a single failure or a single long prompt does
not chase the traffic away. It is forgotten after a while, so that a target that became quick again is tried again.
"""

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

SAMPLES: Final = 20
"""Of each target, the youngest."""
WINDOW: Final = timedelta(minutes=5)
FAILURE: Final = timedelta(seconds=10)
"""What a failed attempt counts as, unless it took even longer: a refusal that comes quickly is not speed."""
MOST_TARGETS: Final = 1024
"""Callers name models as they like; of more targets, those that were heard longest ago are forgotten."""

Seconds = Callable[[str], float | None]
"""The seconds that a target takes, by its id; None where that is not known."""


def unknown(target: str) -> float | None:
    """Of a router that has not heard anything yet."""
    return None


_WINDOW = WINDOW.total_seconds()
_FAILURE = FAILURE.total_seconds()


class Speeds:
    """Of each target, how long it takes. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, float]]] = {}

    def succeeded(self, target: str, seconds: float, now: float) -> None:
        samples = self._samples.get(target)
        if samples is None:
            samples = self._begin(target)
        samples.append((now, seconds))

    def failed(self, target: str, seconds: float, now: float) -> None:
        self.succeeded(target, max(seconds, _FAILURE), now)

    def of(self, target: str, now: float) -> float | None:
        """The median; None for a target that was not heard lately."""
        samples = self._samples.get(target)
        if not samples:
            return None
        oldest = now - _WINDOW
        seconds = sorted([seconds for time, seconds in samples if time > oldest])
        if not seconds:
            return None
        # Of an even number the lower one: it was measured, the mean of two was not.
        return seconds[(len(seconds) - 1) // 2]

    def at(self, now: float) -> Seconds:
        """What is known now."""
        return lambda target: self.of(target, now)

    def _begin(self, target: str) -> deque[tuple[float, float]]:
        if len(self._samples) >= MOST_TARGETS:
            del self._samples[min(self._samples, key=lambda known: self._samples[known][-1][0])]
        samples = self._samples[target] = deque(maxlen=SAMPLES)
        return samples
