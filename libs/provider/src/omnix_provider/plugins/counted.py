"""What is counted of plugins."""

from functools import lru_cache

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Histogram

_SECONDS = Histogram(
    "omnix_plugin_seconds", "Calls of plugins; for streams, each message.", ["plugin", "hook"], buckets=SECONDS
)
FAILURES = Counter("omnix_plugin_failures_total", "Calls of plugins that failed, by how.", ["plugin", "hook", "why"])
REFUSALS = Counter("omnix_plugin_refusals_total", "Answers that plugins refused.", ["plugin", "hook"])
UNTRANSFORMED = Counter(
    "omnix_plugin_untransformed_total", "Answers that went on without a plugin, because it failed.", ["plugin"]
)

ANSWER, CHUNKS = "answer", "chunks"
"""Hooks: whole answers, and those that are streamed."""


@lru_cache(maxsize=1024)
def seconds(plugin: str, hook: str) -> Histogram:
    """Kept, because finding a child costs more than counting."""
    return _SECONDS.labels(plugin, hook)
