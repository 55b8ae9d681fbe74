"""Every adapter of the suite in turns, each over its vendor's format: what its process costs, and what all do."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import msgspec

from bench.observe import Observation, observe
from bench.processes import BenchError
from bench.scenarios import BURST, FULL, MANY, PACED, Scenario, Sizes
from bench.targets import TARGETS, Upstream

BASE = "openai"
"""The provider whose adapter the others are held against."""
LIMIT = 2.0
"""How many times as much as the base's a chunk may cost in another adapter's own process."""

ADAPTERS = {
    BASE: "openai/gpt-4o",
    "bedrock": "bedrock/claude-haiku-4-5",
    "gemini": "gemini/gemini-3.5-flash",
    "huggingface": "huggingface/meta-llama/Llama-3.3-70B-Instruct",
}
"""By provider, the model that is asked; each takes the load's system message and temperature."""

LOADS = (MANY, BURST, PACED)
ROUNDS = 4
SIZES = replace(FULL, many_requests=300, burst_streams=40, burst_seconds=5, paced_tokens=50, paced_ramp=0.5)
"""Short, so that what disturbs the machine meets all adapters alike; processes' own clocks are fine enough."""
_SETTLE = 0.5
STEPS = 1 + len(ADAPTERS) * (1 + ROUNDS * len(LOADS))


class Whose(StrEnum):
    """The processes whose CPU is told."""

    ADAPTER = "the adapter's process"
    SUITE = "all processes"


class MeasuredAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """What the loads on one provider's model gave."""

    provider: str
    model: str
    rounds: list[dict[str, Observation]] = []
    """Each round's observations, by load."""

    def cost(self, load: str, whose: Whose) -> float | None:
        """CPU seconds a chunk of a stream, or a unary request: the least of the rounds, since others only add to it.

        ``None`` where nothing was read.
        """
        seen = [round_[load] for round_ in self.rounds if load in round_]
        return min((cost for each in seen if (cost := self._cost(each, whose)) is not None), default=None)

    def _cost(self, seen: Observation, whose: Whose) -> float | None:
        used: float | None = seen.gateway_cpu_seconds
        if whose is Whose.ADAPTER:
            used = seen.services_cpu_seconds.get(f"adapter-{self.provider}")
        units = seen.result.tokens if seen.spec.stream else seen.result.whole
        return used / units if used and units else None


class Adapters(msgspec.Struct, frozen=True, kw_only=True):
    """What all adapters gave."""

    sizes: Sizes
    measured: list[MeasuredAdapter]
    trouble: str | None = None
    """Why it was not measured to the end."""


def measure(upstream: Upstream, directory: Path, progress: Callable[[str], None]) -> Adapters:
    """Start the suite with its files in ``directory`` and put each load on the adapters in turns.

    What was read is kept when something breaks; the reason is told.
    """
    rounds: dict[str, list[dict[str, Observation]]] = {provider: [] for provider in ADAPTERS}
    trouble = None
    directory.mkdir()
    progress("adapters: start")
    try:
        with TARGETS["omnix"].running(upstream, directory) as running:

            def asked(model: str, load: Scenario, settle: float = _SETTLE) -> Observation:
                return observe(
                    running, upstream, load.spec(replace(running.endpoint, model=model), SIZES), settle=settle
                )

            for provider, model in ADAPTERS.items():
                progress(f"{provider}: warm up")
                for load in (MANY, BURST, BURST):
                    asked(model, load, settle=0)
            for number in range(ROUNDS):
                for seen in rounds.values():
                    seen.append({})
                for load in LOADS:
                    for provider in list(ADAPTERS)[:: -1 if number % 2 else 1]:
                        progress(f"{provider}: {load.name}")
                        rounds[provider][-1][load.name] = asked(ADAPTERS[provider], load)
    except BenchError as exc:
        trouble = str(exc)
    return Adapters(
        sizes=SIZES,
        measured=[
            MeasuredAdapter(provider=provider, model=ADAPTERS[provider], rounds=seen)
            for provider, seen in rounds.items()
        ],
        trouble=trouble,
    )
