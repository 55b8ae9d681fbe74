"""Writes `docs/metrics.md`: every Prometheus metric with its type, labels and buckets, as the code declares it.

python -m scripts.metrics_page           write the page
python -m scripts.metrics_page --check   say whether it is current
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import REGISTRY, Histogram
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "metrics.md"
_NOT_IMPORTED = ("__main__", "testing", "conformance", "fuzzing")
"""Modules that run something when they are imported, or that only tests have."""
GROUPS = (
    ("omnix_kit", "Every service", "What comes of fetching is told by services that fetch for callers."),
    ("omnix_provider", "Adapters", "Of all four, and of any other built with the library."),
    ("omnix_gateway", "gateway", ""),
    ("omnix_router", "router", ""),
    ("omnix_accounts", "accounts", ""),
    ("omnix_usage_metering", "usage-metering", ""),
    ("omnix_analytics", "analytics", ""),
)
"""Who declares metrics: those that others import first, so that each metric stands where it is declared."""
_HEAD = """\
# Metrics

<!-- Written by scripts/metrics_page.py. -->

Every service tells its metrics at `/metrics` of `OMNIX_OPS_PORT`, in Prometheus' text format.
Besides these there are Python's own, such as `process_cpu_seconds_total` and `process_resident_memory_bytes`.
Names follow Prometheus: base units (seconds, bytes), `_total` for what only grows.
A histogram is three series: `_bucket` with the label `le`, `_sum` and `_count`.
[Dashboards and alert rules](../infra/README.md) are made of these names, and a test holds them to it."""


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    help: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query can use."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


def declared() -> dict[str, list[Metric]]:
    """The metrics of each group, in the order of their names."""
    groups = {}
    known: set[str] = set()
    for package, _, _ in GROUPS:
        found = {metric.name: metric for metric in map(_metric, _held_by(package))}
        groups[package] = [found[name] for name in sorted(found.keys() - known)]
        known |= found.keys()
    return groups


def page() -> str:
    return "\n".join(_lines(_DECLARED)) + "\n"


def _held_by(package: str) -> Iterator[MetricWrapperBase]:
    """What the package's modules name, whatever was imported before them."""
    root = importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.")]
    for name in names:
        if not any(part in _NOT_IMPORTED for part in name.split(".")):
            for value in vars(importlib.import_module(name)).values():
                if isinstance(value, MetricWrapperBase) and value in REGISTRY._collector_to_names:
                    yield value


def _metric(found: MetricWrapperBase) -> Metric:
    kind = str(found._type)
    return Metric(
        name=f"{found._name}_total" if kind == "counter" else found._name,
        kind=kind,
        labels=tuple(found._labelnames),
        buckets=tuple(found._kwargs["buckets"]) if isinstance(found, Histogram) else (),
        help=found._documentation,
    )


def _lines(groups: dict[str, list[Metric]]) -> Iterator[str]:
    yield _HEAD
    numbers: dict[tuple[float, ...], int] = {}
    for package, title, words in GROUPS:
        yield f"\n## {title}\n"
        if words:
            yield f"{words}\n"
        yield "| metric | type | labels | meaning |"
        yield "|---|---|---|---|"
        for metric in groups[package]:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            kind = metric.kind
            if metric.buckets:
                number = numbers.setdefault(metric.buckets, len(numbers) + 1)
                kind = f"histogram, [buckets {number}](#buckets)"
            yield f"| `{metric.name}` | {kind} | {labels} | {metric.help} |"
    yield "\n## Buckets\n"
    for buckets, number in numbers.items():
        yield f"{number}. {', '.join(f'{bound:g}' for bound in buckets)}, +Inf"


_DECLARED = declared()
METRICS = tuple(metric for metrics in _DECLARED.values() for metric in metrics)


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text() == page():
            return 0
        sys.stderr.write(f"{PAGE} is not current: python -m scripts.metrics_page\n")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
