"""Reads folded stacks, the text a sampling profiler writes: frames joined by ``;``, a space, how often it was seen."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hotspots:
    """How many samples each function had: ``own`` at the top of the stack, ``within`` anywhere on it."""

    samples: int
    own: Counter[str]
    within: Counter[str]


def hotspots(lines: Iterable[str]) -> Hotspots:
    """Add stacks up by function; a function that calls itself is counted once a sample."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    samples = 0
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        if not stack:
            continue
        frames = stack.split(";")
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    return Hotspots(samples, own, within)
