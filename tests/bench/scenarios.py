"""The loads, their sizes, and the figures each gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from bench.messages import LoadSpec
from bench.metrics import Metric
from bench.observe import Idle, Observation
from bench.targets import Endpoint


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is asked; counts and seconds bound each load together, whichever is reached first."""

    one_requests: int = 500
    one_seconds: float = 15
    many_requests: int = 20_000
    many_seconds: float = 10
    unary_tokens: int = 64
    burst_streams: int = 400
    burst_tokens: int = 500
    burst_seconds: float = 10
    paced_streams: int = 30
    """LiteLLM holds this many at 20 tokens/s on one core; beyond, its figure would be that of an overloaded server."""
    paced_tokens: int = 240
    paced_ramp: float = 2
    held_streams: int = 1000
    held_tokens: int = 300
    held_ramp: float = 10
    idle_seconds: float = 20


FULL = Sizes()
QUICK = replace(
    FULL,
    one_requests=150,
    one_seconds=4,
    many_seconds=3,
    burst_streams=60,
    burst_seconds=4,
    paced_tokens=100,
    held_tokens=120,
    held_ramp=6,
    idle_seconds=5,
)

Figures = Mapping[Metric, float]
_Reading = Mapping[Metric, float | None]
"""``None`` where the load gave nothing to read: no answer, no token."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load and the figures read from it."""

    name: str
    spec: Callable[[Endpoint, Sizes], LoadSpec]
    reading: Callable[[Observation], _Reading]
    watch_memory: bool = False

    def figures(self, seen: Observation) -> Figures:
        return {metric: value for metric, value in self.reading(seen).items() if value is not None}


def _spec(endpoint: Endpoint, **load: object) -> LoadSpec:
    where = {"host": endpoint.host, "port": endpoint.port, "path": endpoint.path, "headers": dict(endpoint.headers)}
    return msgspec.convert({**where, "model": endpoint.model, **load}, LoadSpec)


def warm_up(endpoint: Endpoint) -> tuple[LoadSpec, ...]:
    """Fills connection pools, caches and compiled code before anything is read."""
    return (
        _spec(endpoint, stream=False, tokens=50, concurrency=8, requests=1000, seconds=5),
        _spec(endpoint, stream=True, tokens=50, concurrency=8, requests=100, seconds=5),
    )


def _one(endpoint: Endpoint, sizes: Sizes) -> LoadSpec:
    return _spec(
        endpoint,
        stream=False,
        tokens=sizes.unary_tokens,
        concurrency=1,
        requests=sizes.one_requests,
        seconds=sizes.one_seconds,
    )


def _many(endpoint: Endpoint, sizes: Sizes) -> LoadSpec:
    return _spec(
        endpoint,
        stream=False,
        tokens=sizes.unary_tokens,
        concurrency=32,
        requests=sizes.many_requests,
        seconds=sizes.many_seconds,
    )


def _burst(endpoint: Endpoint, sizes: Sizes) -> LoadSpec:
    return _spec(
        endpoint,
        stream=True,
        tokens=sizes.burst_tokens,
        concurrency=4,
        requests=sizes.burst_streams,
        seconds=sizes.burst_seconds,
    )


def _paced(endpoint: Endpoint, sizes: Sizes) -> LoadSpec:
    return _spec(
        endpoint,
        stream=True,
        tokens=sizes.paced_tokens,
        pace=20,
        clock=True,
        concurrency=sizes.paced_streams,
        requests=sizes.paced_streams,
        seconds=10,
        ramp=sizes.paced_ramp,
        timeout=sizes.paced_tokens / 20 + 20,
    )


def _held(endpoint: Endpoint, sizes: Sizes) -> LoadSpec:
    return _spec(
        endpoint,
        stream=True,
        tokens=sizes.held_tokens,
        pace=10,
        clock=True,
        concurrency=sizes.held_streams,
        requests=sizes.held_streams,
        seconds=sizes.held_ramp + 10,
        ramp=sizes.held_ramp,
        timeout=sizes.held_tokens / 10 + 20,
    )


def _per_request(seen: Observation) -> float | None:
    return seen.gateway_cpu_seconds * 1e3 / seen.result.whole if seen.result.whole else None


def _per_chunk(seen: Observation) -> float | None:
    return seen.gateway_cpu_seconds * 1e6 / seen.result.tokens if seen.result.tokens else None


def _one_reading(seen: Observation) -> _Reading:
    latency = seen.result.latency
    return {
        Metric.CPU_UNARY_1: _per_request(seen),
        Metric.LATENCY_P50: latency.p50 if latency.count else None,
        Metric.LATENCY_P95: latency.p95 if latency.count else None,
        Metric.LATENCY_P99: latency.p99 if latency.count else None,
    }


def _many_reading(seen: Observation) -> _Reading:
    return {
        Metric.CPU_UNARY_32: _per_request(seen),
        Metric.REQUESTS_32: seen.result.whole / seen.result.wall_seconds,
    }


def _burst_reading(seen: Observation) -> _Reading:
    return {Metric.CPU_BURST: _per_chunk(seen)}


def _paced_reading(seen: Observation) -> _Reading:
    late = seen.result.lateness
    return {Metric.CPU_PACED: _per_chunk(seen), Metric.PACED_LATE_P99: late.p99 if late.count else None}


def _held_reading(seen: Observation) -> _Reading:
    streams, late = seen.spec.concurrency, seen.result.lateness
    return {
        Metric.HELD_WHOLE: 100 * seen.result.whole / streams,
        Metric.HELD_FAILED: streams - seen.result.whole,
        Metric.HELD_LATE_P50: late.p50 if late.count else None,
        Metric.HELD_LATE_P99: late.p99 if late.count else None,
        Metric.HELD_CPU: _per_chunk(seen),
        Metric.HELD_CORES: seen.gateway_cpu_seconds / seen.seconds,
        Metric.STREAM_MEMORY: (max(seen.pss_samples, default=0) - seen.pss_before) / streams / 1e3,
    }


def idle_figures(idle: Idle) -> Figures:
    """What the suite costs while nobody asks."""
    return {
        Metric.IDLE_CPU: 100 * idle.gateway_cpu_seconds / idle.seconds,
        Metric.IDLE_PSS: idle.pss / 1e6,
        Metric.IDLE_RSS: idle.rss / 1e6,
        Metric.PROCESSES: idle.processes,
    }


ONE = Scenario("unary, one at a time", _one, _one_reading)
MANY = Scenario("unary, 32 at a time", _many, _many_reading)
BURST = Scenario("bursts", _burst, _burst_reading)
PACED = Scenario("paced streams", _paced, _paced_reading)
HELD = Scenario("streams held", _held, _held_reading, watch_memory=True)
SCENARIOS = (ONE, MANY, BURST, PACED, HELD)
