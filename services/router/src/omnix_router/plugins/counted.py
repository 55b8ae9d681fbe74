"""What the router counts of plugins. The README explains each."""

from functools import lru_cache

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

_SECONDS = Histogram("omnix_router_plugin_seconds", "Calls of plugins.", ["plugin", "hook"], buckets=SECONDS)
FAILURES = Counter(
    "omnix_router_plugin_failures_total", "Calls of plugins that failed, by how.", ["plugin", "hook", "why"]
)
REFUSALS = Counter(
    "omnix_router_plugin_refusals_total", "Requests, and targets, that plugins refused.", ["plugin", "hook"]
)
SKIPPED = Counter(
    "omnix_router_plugin_skipped_total",
    "Requests that went on without a plugin, because it failed.",
    ["plugin", "hook"],
)
UNTOLD = Counter(
    "omnix_router_plugin_ends_untold_total",
    "Ends of completions that a plugin was not told, by why.",
    ["plugin", "why"],
)
HEARD = Gauge("omnix_router_plugin_heard", "1 while the plugin says what it is.", ["plugin"])


@lru_cache(maxsize=1024)
def seconds(plugin: str, hook: str) -> Histogram:
    """Kept, because finding a child costs more than counting."""
    return _SECONDS.labels(plugin, hook)
