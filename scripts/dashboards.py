"""Writes Grafana's dashboards, `infra/grafana/dashboards/*.json`, from the tables below.

A panel is a title, a unit, and queries with their legends. A dashboard asks for its data source, so that it can be
imported anywhere.

`python -m scripts.dashboards` writes them; with `--check` it says whether they are current.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "infra" / "grafana" / "dashboards"
_WIDTH, _HEIGHT = 8, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    title: str
    queries: Sequence[tuple[str, str]]
    """Each with its legend."""
    unit: str = "short"
    """Grafana's word for it."""
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    name: str
    title: str
    panels: Sequence[Panel]


def _rate(metric: str, by: str = "", matching: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{matching}[$__rate_interval]))"


def _increase(metric: str, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (increase({metric}[$__range]))"


def _quantiles(metric: str, *quantiles: float) -> list[tuple[str, str]]:
    rates = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return [(f"histogram_quantile({quantile}, {rates})", f"p{quantile * 100:g}") for quantile in quantiles]


def _p99_by(metric: str, label: str) -> tuple[str, str]:
    rates = f"sum by (le, {label}) (rate({metric}_bucket[$__rate_interval]))"
    return f"histogram_quantile(0.99, {rates})", f"{{{{{label}}}}}"


DASHBOARDS = (
    Dashboard(
        "overview",
        "OmniX / Overview",
        (
            Panel(
                "Processes that are ready", [("sum(omnix_ready)", "ready"), ("count(omnix_ready)", "all")], kind="stat"
            ),
            Panel("Requests in hand", [("sum(omnix_http_requests_in_hand)", "")], kind="stat"),
            Panel("Open streams", [("sum(omnix_open_streams)", "")], kind="stat"),
            Panel("Requests", [(_rate("omnix_http_requests_total", "route"), "{{route}}")], "reqps"),
            Panel(
                "Errors of the server",
                [(_rate("omnix_http_requests_total", "status", '{status=~"5.."}'), "{{status}}")],
                "reqps",
            ),
            Panel(
                "Refusals",
                [
                    (_rate("omnix_http_requests_total", "status", '{status=~"4.."}'), "{{status}}"),
                    (_rate("omnix_http_refused_total"), "want of room"),
                ],
                "reqps",
            ),
            Panel("First content of streams", _quantiles("omnix_first_content_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Whole answers, 99 % within", [_p99_by("omnix_http_request_seconds", "route")], "s"),
            Panel("Cache", [(_rate("omnix_cache_total", "outcome"), "{{outcome}}")], "reqps"),
        ),
    ),
    Dashboard(
        "providers",
        "OmniX / Providers and their health",
        (
            Panel("Targets that are not called", [("max(omnix_router_circuits_not_closed)", "")], kind="stat"),
            Panel(
                "Adapters that answer",
                [("min by (adapter) (omnix_router_adapter_heard)", "{{adapter}}")],
                kind="stat",
            ),
            Panel("Extra calls left", [("min(omnix_router_retry_budget_left)", "")], kind="stat"),
            Panel(
                "Attempts",
                [(_rate("omnix_router_attempts_total", "provider, outcome"), "{{provider}} {{outcome}}")],
                "ops",
            ),
            Panel(
                "Failures by reason",
                [
                    (
                        _rate("omnix_router_attempts_total", "provider, reason", '{outcome="failed"}'),
                        "{{provider}} {{reason}}",
                    )
                ],
                "ops",
            ),
            Panel("First content, 99 % within", [_p99_by("omnix_router_first_content_seconds", "provider")], "s"),
            Panel(
                "Retries and failovers",
                [
                    (_rate("omnix_router_retries_total", "provider"), "{{provider}} again"),
                    (_rate("omnix_router_failovers_total", "provider"), "{{provider}} left"),
                    (_rate("omnix_router_retry_budget_refused_total"), "refused by the budget"),
                ],
                "ops",
            ),
            Panel(
                "Hedges",
                [
                    (_rate("omnix_router_hedges_total", "provider"), "{{provider}} too slow"),
                    (_rate("omnix_router_hedges_won_total", "provider"), "{{provider}} overtaken"),
                ],
                "ops",
            ),
            Panel(
                "Circuits opened and closed",
                [(_rate("omnix_router_circuit_changes_total", "provider, change"), "{{provider}} {{change}}")],
                "ops",
            ),
            Panel(
                "Credentials refused",
                [(_increase("omnix_router_credential_failures_total", "provider, reason"), "{{provider}} {{reason}}")],
            ),
            Panel("Attempts under way", [("sum by (job, kind) (omnix_attempts_running)", "{{job}} {{kind}}")]),
            Panel(
                "Shadow copies",
                [
                    (_rate("omnix_router_shadow_copies_sent_total", "provider"), "{{provider}} sent"),
                    (_rate("omnix_router_shadow_copies_failed_total", "provider"), "{{provider}} failed"),
                    (_rate("omnix_router_shadow_copies_skipped_total", "cause"), "skipped: {{cause}}"),
                ],
                "ops",
            ),
        ),
    ),
    Dashboard(
        "streams",
        "OmniX / Streams and recovery",
        (
            Panel(
                "Open streams",
                [("sum(omnix_open_streams)", "read"), ("sum(omnix_streams_unread)", "unread")],
                kind="stat",
            ),
            Panel("Gaps lost", [(_increase("omnix_stream_gaps_lost_total"), "")], kind="stat"),
            Panel("Recoveries given up", [(_increase("omnix_stream_recoveries_given_up_total"), "")], kind="stat"),
            Panel("Ends", [(_rate("omnix_stream_ends_total", "how"), "{{how}}")], "ops"),
            Panel(
                "Attempts that broke off",
                [(_rate("omnix_router_broken_attempts_total", "provider, reason"), "{{provider}} {{reason}}")],
                "ops",
            ),
            Panel(
                "Recoveries", [(_rate("omnix_router_recoveries_total", "kind, outcome"), "{{kind}} {{outcome}}")], "ops"
            ),
            Panel("How long recoveries take", _quantiles("omnix_router_recovery_seconds", 0.5, 0.99), "s"),
            Panel(
                "Gaps",
                [
                    (_rate("omnix_stream_gaps_filled_total"), "filled from the recording"),
                    (_rate("omnix_stream_gaps_lost_total"), "lost"),
                ],
                "ops",
            ),
            Panel(
                "Readers and senders",
                [
                    (_rate("omnix_stream_slow_readers_total"), "readers cut off"),
                    (_rate("omnix_stream_senders_lost_total"), "senders fell silent"),
                ],
                "ops",
            ),
            Panel(
                "Messages of chunks",
                [
                    (_rate("omnix_chunk_messages_total"), "published"),
                    (_rate("omnix_chunk_messages_repeated_total"), "again"),
                    (_rate("omnix_chunk_messages_forgotten_total"), "forgotten"),
                ],
                "ops",
            ),
            Panel("Answers that can be gone on with", [("sum(omnix_router_recoverable_answers)", "")]),
            Panel(
                "Answers that cannot", [(_rate("omnix_router_unrecoverable_answers_total", "why"), "{{why}}")], "ops"
            ),
        ),
    ),
    Dashboard(
        "money",
        "OmniX / Money and the ledger",
        (
            Panel(
                "Events that wait",
                [("max(omnix_usage_pending)", "ledger"), ("max(omnix_analytics_pending)", "figures")],
                kind="stat",
            ),
            Panel("Events on adapters' disks", [("sum(omnix_usage_spool_bytes)", "")], "bytes", kind="stat"),
            Panel(
                "Dead letters",
                [
                    ('sum(increase(omnix_usage_events_total{result="dead"}[$__range]))', "ledger"),
                    ('sum(increase(omnix_analytics_events_total{result="dead"}[$__range]))', "figures"),
                ],
                kind="stat",
            ),
            Panel(
                "Oldest event not dealt with",
                [("max by (durable) (omnix_durable_oldest_seconds)", "{{durable}}")],
                "s",
            ),
            Panel("Limits that refused", [(_rate("omnix_limits_refused_total", "kind"), "{{kind}}")], "ops"),
            Panel("Leases", [(_rate("omnix_limits_leases_total", "outcome"), "{{outcome}}")], "ops"),
            Panel("Events sent", [(_rate("omnix_usage_sent_total", "to"), "to the {{to}}")], "ops"),
            Panel("Events booked", [(_rate("omnix_usage_events_total", "result"), "{{result}}")], "ops"),
            Panel(
                "Events counted in figures", [(_rate("omnix_analytics_events_total", "result"), "{{result}}")], "ops"
            ),
            Panel(
                "Attempts not safe yet",
                [("sum by (instance) (omnix_usage_open)", "{{instance}}")],
            ),
            Panel("Attempts of dead processes", [(_rate("omnix_usage_interrupted_total", "job"), "{{job}}")], "ops"),
            Panel(
                "Given back to the stream",
                [
                    (_rate("omnix_usage_put_back_total", "cause"), "ledger: {{cause}}"),
                    (_rate("omnix_analytics_put_back_total", "cause"), "figures: {{cause}}"),
                ],
                "ops",
            ),
            Panel("Writing a batch to the ledger", _quantiles("omnix_usage_write_seconds", 0.5, 0.99), "s"),
            Panel("Counting a batch", _quantiles("omnix_analytics_write_seconds", 0.5, 0.99), "s"),
            Panel(
                "Answering a question of figures, 99 % within", [_p99_by("omnix_analytics_query_seconds", "kind")], "s"
            ),
        ),
    ),
    Dashboard(
        "processes",
        "OmniX / NATS and processes",
        (
            Panel("Not ready", [("omnix_ready == 0", "{{job}} {{instance}}")], kind="stat"),
            Panel("Lacking", [("omnix_lacking == 1", "{{job}}: {{need}}")], kind="stat"),
            Panel("NATS came back", [(_increase("omnix_nats_reconnects_total", "job"), "{{job}}")], kind="stat"),
            Panel("CPU", [(_rate("process_cpu_seconds_total", "job"), "{{job}}")], "percentunit"),
            Panel("Memory", [("sum by (job) (process_resident_memory_bytes)", "{{job}}")], "bytes"),
            Panel("Open files", [("max by (job) (process_open_fds / process_max_fds)", "{{job}}")], "percentunit"),
            Panel(
                "Messages that were too much",
                [(_rate("omnix_nats_dropped_total", "job, subject"), "{{job}} {{subject}}")],
                "ops",
            ),
            Panel(
                "gRPC calls answered",
                [(_rate("omnix_rpc_server_seconds_count", "job, code"), "{{job}} {{code}}")],
                "ops",
            ),
            Panel("gRPC calls answered, 99 % within", [_p99_by("omnix_rpc_server_seconds", "method")], "s"),
            Panel("gRPC calls made, 99 % within", [_p99_by("omnix_rpc_client_seconds", "method")], "s"),
            Panel("Keys looked up", [(_rate("omnix_key_cache_total", "outcome"), "{{outcome}}")], "ops"),
            Panel("Addresses fetched for callers", [(_rate("omnix_fetches_total", "how"), "{{how}}")], "ops"),
        ),
    ),
)


def document(dashboard: Dashboard) -> Mapping[str, object]:
    """As Grafana imports it."""
    return {
        "uid": f"omnix-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["omnix"],
        "editable": True,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}]},
        "panels": list(_panels(dashboard.panels)),
    }


def _panels(panels: Sequence[Panel]) -> Iterator[Mapping[str, object]]:
    for index, panel in enumerate(panels):
        yield {
            "id": index + 1,
            "type": panel.kind,
            "title": panel.title,
            "datasource": _SOURCE,
            "gridPos": {"x": index % 3 * _WIDTH, "y": index // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
                for number, (query, legend) in enumerate(panel.queries)
            ],
        }


def files() -> dict[Path, str]:
    """What is to be in the folder."""
    return {
        FOLDER / f"{dashboard.name}.json": json.dumps(document(dashboard), indent=2) + "\n" for dashboard in DASHBOARDS
    }


def main(arguments: Sequence[str]) -> int:
    wanted = files()
    if "--check" in arguments:
        if all(path.exists() and path.read_text() == text for path, text in wanted.items()):
            return 0
        sys.stderr.write(f"{FOLDER} is not current: python -m scripts.dashboards\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
