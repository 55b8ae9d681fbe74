import datetime as dt
from collections.abc import Sequence

from bench.adapters import ADAPTERS, SIZES, Adapters, MeasuredAdapter
from bench.messages import LoadResult, LoadSpec, Spread
from bench.observe import Observation
from bench.report import markdown
from bench.scenarios import BURST, FULL, MANY
from bench.session import Machine, Report

_NONE = Spread(count=0, p50=0, p95=0, p99=0, most=0)
_STREAMED = 1000


def _observation(
    *, stream: bool, own: dict[str, float], suite: float, whole: int = 10, other: float = 0.0
) -> Observation:
    return Observation(
        spec=LoadSpec(
            host="",
            port=1,
            path="",
            headers={},
            model="",
            stream=stream,
            tokens=100,
            concurrency=1,
            requests=10,
            seconds=1,
        ),
        result=LoadResult(
            asked=10,
            whole=whole,
            failures={"timeout": 10 - whole} if whole < 10 else {},
            tokens=_STREAMED if stream else 64 * whole,
            events=0,
            wall_seconds=1,
            cpu_seconds=0,
            latency=_NONE,
            first_token=_NONE,
            lateness=_NONE,
            all_streaming_seconds=0,
        ),
        seconds=1,
        gateway_cpu_seconds=suite,
        upstream_cpu_seconds=0,
        other_cpu_seconds=other,
        services_cpu_seconds=own,
        pss_before=0,
        pss_samples=[],
    )


def _bursts(provider: str, microseconds: Sequence[float], suite: float = 40) -> MeasuredAdapter:
    """An adapter whose process took that much a chunk, round by round."""
    rounds = [
        {
            BURST.name: _observation(
                stream=True, own={f"adapter-{provider}": cost * _STREAMED / 1e6}, suite=suite * _STREAMED / 1e6
            )
        }
        for cost in microseconds
    ]
    return MeasuredAdapter(provider=provider, model=ADAPTERS[provider], rounds=rounds)


def _text(*measured: MeasuredAdapter, trouble: str | None = None) -> str:
    return markdown(
        Report(
            started=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            seconds=60,
            quick=False,
            machine=Machine(processor="CPU", cores=2, memory_gb=8, system="Linux", python="3.11"),
            sizes=FULL,
            targets=[],
            adapters=Adapters(sizes=SIZES, measured=list(measured), trouble=trouble),
        )
    )


def test_each_adapter_is_held_against_the_one_of_openai() -> None:
    text = _text(_bursts("openai", [8.4, 8.4], suite=40.4), _bursts("gemini", [12.6, 12.6], suite=50.5))

    assert "| CPU of OmniX's adapters | openai | gemini |" in text
    assert "| the adapter's process, a chunk, bursts of 500 (µs) | 8.40 | 12.6 (1.50 ×) |" in text
    assert "| all processes, a chunk, bursts of 500 (µs) | 40.4 | 50.5 (1.25 ×) |" in text


def test_a_chunk_that_costs_more_than_twice_as_much_is_marked() -> None:
    text = _text(_bursts("openai", [8.4]), _bursts("gemini", [15.12]), _bursts("bedrock", [21.42]))

    assert "| 8.40 | 15.1 (1.80 ×) | 21.4 (**2.55 ×, over 2**) |" in text


def test_only_the_adapters_own_chunks_are_limited() -> None:
    def unary(provider: str, seconds: float) -> MeasuredAdapter:
        seen = _observation(stream=False, own={f"adapter-{provider}": seconds}, suite=1)
        return MeasuredAdapter(provider=provider, model="", rounds=[{MANY.name: seen}])

    text = _text(unary("openai", 0.011), unary("bedrock", 0.033))

    assert "| the adapter's process, a unary request, 32 at a time (ms) | 1.10 | 3.30 (" in text
    assert "over" not in text


def test_the_least_of_the_rounds_counts() -> None:
    text = _text(_bursts("openai", [30, 8.4, 9]), _bursts("gemini", [12.6, 40, 36]))

    assert "| 8.40 | 12.6 (1.50 ×) |" in text


def test_what_was_not_measured_has_no_figure() -> None:
    silent = MeasuredAdapter(
        provider="gemini",
        model="gemini/flash",
        rounds=[{MANY.name: _observation(stream=False, own={"adapter-gemini": 0.1}, suite=1, whole=0)}],
    )
    restarted = MeasuredAdapter(
        provider="bedrock", model="", rounds=[{MANY.name: _observation(stream=False, own={}, suite=0.105)}]
    )

    text = _text(_bursts("openai", [10]), silent, restarted, trouble="the load process died")

    assert "| the adapter's process, a unary request, 32 at a time (ms) | – | – | – |" in text
    assert "| all processes, a unary request, 32 at a time (ms) | – | – | 10.5 |" in text
    assert "- adapters: stopped: the load process died" in text
    assert "- gemini/flash, unary, 32 at a time, round 1: 0 of 10 answers whole. 10 × timeout" in text


def test_a_disturbed_machine_is_told_once() -> None:
    disturbed = [_observation(stream=True, own={"adapter-openai": 0.1}, suite=1, other=used) for used in (0.5, 1.5, 0)]
    measured = MeasuredAdapter(provider="openai", model="", rounds=[{BURST.name: seen} for seen in disturbed])

    assert "- adapters: something else used 25% to 75% of the machine in 2 of 3 loads" in _text(measured)
