"""Dashboards and alert rules speak of metrics and labels that there are, and each rule says what to do."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from scripts.dashboards import FOLDER, files
from scripts.metrics_page import METRICS, ROOT

RULES = ROOT / "infra" / "prometheus" / "alerts.yaml"
PROMETHEUS = ROOT / "infra" / "prometheus" / "prometheus.yaml"
PROMISES = {"no-lost-cent", "no-lost-token", "never-gives-up", "limits-hold", "processes"}

_OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""
_GIVEN = ("up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds")
"""The first is Prometheus' own, the others are the Python client's."""
_LABELS: Mapping[str, set[str]] = {
    **{name: {*metric.labels, "le"} for metric in METRICS for name in metric.series},
    **{name: set() for name in _GIVEN},
}
"""By series."""

_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right"}
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\S+?(?=[\s)]|$)")
_NAME = re.compile(r"(?<![\w$.])([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()")


def series_of(query: str) -> set[str]:
    """The names of series in a query."""
    bare = _RANGE.sub(" ", _GROUPING.sub(" ", _SELECTOR.sub(r"\1", query)))
    return set(_NAME.findall(bare)) - _WORDS


def wrong(query: str) -> list[str]:
    """Names and labels that are not there."""
    series = series_of(query)
    known = _OF_PROMETHEUS.union(*(_LABELS.get(name, set()) for name in series))
    found = [f"series {name}" for name in sorted(series) if name not in _LABELS]
    for name, matchers in _SELECTOR.findall(query):
        allowed = _LABELS.get(name, set()) | _OF_PROMETHEUS
        found += [f"label {label} of {name}" for label in _MATCHER.findall(matchers) if label not in allowed]
    for grouping in _GROUPING.findall(query):
        found += [f"label {label}" for label in re.split(r"[\s,]+", grouping.strip()) if label not in known]
    return found


def queries_of_dashboards() -> Iterator[tuple[str, str, str]]:
    """Dashboard, query and legend."""
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"], target["legendFormat"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(rate(omnix_http_requests_total[5m]))", []),
        ('sum by (le) (rate(omnix_first_content_seconds_bucket{job="a"}[5m])) > 1e3', []),
        ("omnix_usage_pending unless omnix_usage_pending offset 15m", []),
        ("sum(omnix_no_such_thing) > 0", ["series omnix_no_such_thing"]),
        ("omnix_http_requests{x='1'}", ["series omnix_http_requests", "label x of omnix_http_requests"]),
        ("sum by (colour) (omnix_ready)", ["label colour"]),
    ],
)
def test_what_is_not_there_is_found(query: str, expected: list[str]) -> None:
    assert wrong(query) == expected


def test_dashboards_are_current() -> None:
    written = {path: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == files(), "write them anew: python -m scripts.dashboards"


@pytest.mark.parametrize(
    ("query", "legend"), [pytest.param(query, legend, id=name) for name, query, legend in queries_of_dashboards()]
)
def test_dashboards_show_what_there_is(query: str, legend: str) -> None:
    assert wrong(query) == []
    labels = _OF_PROMETHEUS.union(*(_LABELS[name] for name in series_of(query)))
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labels


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert wrong(rule["expr"]) == []
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Omnix[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["labels"]["promise"] in PROMISES
    assert set(rule["annotations"]) == {"summary", "runbook"}
    labels = _OF_PROMETHEUS.union(*(_LABELS[name] for name in series_of(rule["expr"])))
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= labels


def test_every_promise_has_rules_each_with_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert {rule["labels"]["promise"] for rule in rules()} == PROMISES


def test_every_service_is_scraped() -> None:
    jobs = {job["job_name"] for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]}
    services = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert jobs == {f"omnix-{service}" for service in services}
