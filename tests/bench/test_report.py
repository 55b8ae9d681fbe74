import datetime as dt

import pytest

from bench.folded import hotspots
from bench.metrics import Metric
from bench.report import markdown
from bench.scenarios import FULL
from bench.session import Machine, Measured, Report, Round
from bench.spread import spread


def _report(*targets: Measured) -> Report:
    return Report(
        started=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        seconds=60,
        quick=False,
        machine=Machine(processor="CPU", cores=2, memory_gb=8, system="Linux", python="3.11"),
        sizes=FULL,
        targets=list(targets),
    )


def _measured(name: str, *rounds: dict[Metric, float], trouble: str | None = None) -> Measured:
    return Measured(
        name=name, title=f"{name} 1", rounds=[Round(figures=figures) for figures in rounds], trouble=trouble
    )


def test_ratios_say_how_many_times_better_omnix_does() -> None:
    text = markdown(
        _report(
            _measured("omnix", {Metric.CPU_UNARY_1: 2.0, Metric.REQUESTS_32: 600}),
            _measured("litellm", {Metric.CPU_UNARY_1: 20.0, Metric.REQUESTS_32: 50}),
        )
    )

    assert "| CPU a unary request, one at a time (ms) | 2 | 20 | 10 × |" in text
    assert "| requests/s, 32 at a time | 600 | 50 | 12 × |" in text


def test_goals_are_reached_missed_or_not_measured() -> None:
    text = markdown(
        _report(
            _measured("omnix", {Metric.CPU_UNARY_1: 2.0, Metric.CPU_BURST: 40, Metric.IDLE_CPU: 2.5}),
            _measured("litellm", {Metric.CPU_UNARY_1: 20.0, Metric.CPU_BURST: 900}),
        )
    )

    assert "| CPU a unary request, one at a time (ms) | ≥ 8 × less than LiteLLM | 10 | reached |" in text
    assert "| CPU a chunk, bursts of 500 (µs) | ≥ 25 × less than LiteLLM | 22.5 | **missed** |" in text
    assert "| idle CPU (% of one core) | < 2 | 2.50 | **missed** |" in text
    assert "| cold start to the first answer (s) | < 15 | – | not measured |" in text


def test_figures_are_medians_of_the_rounds() -> None:
    measured = _measured("omnix", *({Metric.COLD_START: value} for value in (9.0, 1.0, 2.0)))

    assert measured.figures == {Metric.COLD_START: 2.0}


def test_a_target_that_could_not_be_measured_is_named_with_its_reason() -> None:
    assert "- portkey 1: skipped: Node is not on the PATH" in markdown(
        _report(_measured("portkey", trouble="Node is not on the PATH"))
    )


def test_percentiles_are_values_that_were_measured() -> None:
    result = spread(number / 1e3 for number in range(1, 101))

    assert (result.p50, result.p95, result.p99, result.most) == pytest.approx((50, 95, 99, 100))


def test_a_recursive_function_is_counted_once_a_sample() -> None:
    spots = hotspots(["main;walk;walk;leaf 3", "main;walk 1"])

    assert (spots.samples, spots.own, spots.within) == (
        4,
        {"leaf": 3, "walk": 1},
        {"main": 4, "walk": 4, "leaf": 3},
    )
