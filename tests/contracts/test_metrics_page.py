"""The page of metrics says what the code declares, and the names follow Prometheus."""

import re

import pytest

from scripts.metrics_page import METRICS, PAGE, Metric, page

_NAME = re.compile(r"omnix_[a-z]+(_[a-z]+)*")
_NOT_BASE_UNITS = {"ms", "milliseconds", "us", "microseconds", "minutes", "hours", "kb", "mb", "kilobytes", "percent"}
_COUNTS_THINGS = {"omnix_analytics_rollups_read"}
"""Histograms of numbers, which have no unit."""


def test_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m scripts.metrics_page"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_prometheus(metric: Metric) -> None:
    assert _NAME.fullmatch(metric.name)
    assert not set(metric.name.split("_")) & _NOT_BASE_UNITS
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    if metric.kind == "histogram" and metric.name not in _COUNTS_THINGS:
        assert metric.name.endswith(("_seconds", "_bytes"))
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_label_tells_one_series_for_each_request(metric: Metric) -> None:
    assert not set(metric.labels) & {"completion_id", "attempt_id", "request_id", "tenant_id", "user_id", "key_id"}
