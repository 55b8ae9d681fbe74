"""The figures, their units, and the goals they are held against."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """A figure of one target; the value is its name in the JSON results."""

    CPU_UNARY_1 = "cpu_ms_per_unary_request_at_1"
    CPU_UNARY_32 = "cpu_ms_per_unary_request_at_32"
    REQUESTS_32 = "requests_per_second_at_32"
    LATENCY_P50 = "latency_ms_p50_at_1"
    LATENCY_P95 = "latency_ms_p95_at_1"
    LATENCY_P99 = "latency_ms_p99_at_1"
    CPU_BURST = "cpu_us_per_chunk_in_bursts"
    CPU_PACED = "cpu_us_per_chunk_paced"
    PACED_LATE_P99 = "paced_lateness_ms_p99"
    HELD_WHOLE = "held_streams_whole_percent"
    HELD_FAILED = "held_streams_failed"
    HELD_LATE_P50 = "held_lateness_ms_p50"
    HELD_LATE_P99 = "held_lateness_ms_p99"
    HELD_CPU = "held_cpu_us_per_chunk"
    HELD_CORES = "held_cores_used"
    STREAM_MEMORY = "memory_kb_per_stream"
    IDLE_CPU = "idle_cpu_percent"
    IDLE_PSS = "idle_memory_mb_pss"
    IDLE_RSS = "idle_memory_mb_rss"
    PROCESSES = "processes"
    COLD_START = "cold_start_seconds"


OF_PROCESSES = frozenset(
    {
        Metric.CPU_UNARY_1,
        Metric.CPU_UNARY_32,
        Metric.CPU_BURST,
        Metric.CPU_PACED,
        Metric.HELD_CPU,
        Metric.HELD_CORES,
        Metric.STREAM_MEMORY,
        Metric.IDLE_CPU,
        Metric.IDLE_PSS,
        Metric.IDLE_RSS,
        Metric.PROCESSES,
    }
)
"""Read off the gateway's processes; without a gateway there are none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    metric: Metric
    title: str
    ratio: bool = True
    """Whether a ratio between targets says something."""
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """What OmniX is to reach: a bound on its own figure, or a multiple of how well LiteLLM does."""

    metric: Metric
    bound: float
    against_litellm: bool = False
    at_least: bool = False


GOALS = (
    Goal(Metric.CPU_UNARY_1, 8, against_litellm=True),
    Goal(Metric.CPU_UNARY_32, 8, against_litellm=True),
    Goal(Metric.CPU_BURST, 25, against_litellm=True),
    Goal(Metric.CPU_PACED, 10, against_litellm=True),
    Goal(Metric.HELD_WHOLE, 100, at_least=True),
    Goal(Metric.HELD_LATE_P99, 250),
    Goal(Metric.STREAM_MEMORY, 60),
    Goal(Metric.COLD_START, 15),
    Goal(Metric.IDLE_CPU, 2),
    Goal(Metric.IDLE_PSS, 900),
)


def rows(*, held: int, paced: int, burst: int) -> tuple[Row, ...]:
    """The lines of the report in order; the arguments are the sizes of the loads they speak of."""
    many = f"{held:,} streams at 10 tokens/s"
    return (
        Row(Metric.CPU_UNARY_1, "CPU a unary request, one at a time (ms)"),
        Row(Metric.CPU_UNARY_32, "CPU a unary request, 32 at a time (ms)"),
        Row(Metric.REQUESTS_32, "requests/s, 32 at a time", more_is_better=True),
        Row(Metric.LATENCY_P50, "latency, one at a time, p50 (ms)"),
        Row(Metric.LATENCY_P95, "latency, one at a time, p95 (ms)"),
        Row(Metric.LATENCY_P99, "latency, one at a time, p99 (ms)"),
        Row(Metric.CPU_BURST, f"CPU a chunk, bursts of {burst} (µs)"),
        Row(Metric.CPU_PACED, f"CPU a chunk, {paced} streams at 20 tokens/s (µs)"),
        Row(Metric.PACED_LATE_P99, f"lateness, {paced} streams at 20 tokens/s, p99 (ms)", ratio=False),
        Row(Metric.HELD_WHOLE, f"{many}: answers that came whole (%)", ratio=False),
        Row(Metric.HELD_FAILED, f"{many}: answers that did not", ratio=False),
        Row(Metric.HELD_LATE_P50, f"{many}: lateness p50 (ms)", ratio=False),
        Row(Metric.HELD_LATE_P99, f"{many}: lateness p99 (ms)", ratio=False),
        Row(Metric.HELD_CPU, f"{many}: CPU a chunk (µs)"),
        Row(Metric.HELD_CORES, f"{many}: cores used by the gateway", ratio=False),
        Row(Metric.STREAM_MEMORY, f"{many}: memory a stream, at the peak (KB)", ratio=False),
        Row(Metric.IDLE_CPU, "idle CPU (% of one core)", ratio=False),
        Row(Metric.IDLE_PSS, "idle memory, shared pages once (MB)", ratio=False),
        Row(Metric.IDLE_RSS, "idle memory, shared pages in each process (MB)", ratio=False),
        Row(Metric.PROCESSES, "processes", ratio=False),
        Row(Metric.COLD_START, "cold start to the first answer (s)", ratio=False),
    )
