"""What the router counts. The README explains each."""

from collections.abc import Iterable
from functools import lru_cache

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

ATTEMPTS = Counter(
    "omnix_router_attempts_total", "Attempts by provider and how they ended.", ["provider", "outcome", "reason"]
)
RETRIES = Counter("omnix_router_retries_total", "Attempts repeated at the same target.", ["provider", "reason"])
FAILOVERS = Counter(
    "omnix_router_failovers_total", "Attempts that left a provider's target for the next.", ["provider", "reason"]
)
HEDGES = Counter("omnix_router_hedges_total", "Attempts made beside a slow first one of this provider.", ["provider"])
HEDGES_WON = Counter("omnix_router_hedges_won_total", "Those of them that answered first.", ["provider"])
BUDGET_LEFT = Gauge("omnix_router_retry_budget_left", "Extra calls that can be made now.")
BUDGET_REFUSED = Counter("omnix_router_retry_budget_refused_total", "Extra calls that the budget forbade.")
FIRST_CONTENT = Histogram(
    "omnix_router_first_content_seconds",
    "From the start of the answering attempt to its first content.",
    ["provider"],
    buckets=SECONDS,
)
CREDENTIALS_FAILED = Counter(
    "omnix_router_credential_failures_total",
    "Attempts that the provider refused for the operator's key or account.",
    ["provider", "reason"],
)
ABANDONED = Counter("omnix_router_abandoned_attempts_total", "Attempts that were told to end.", ["provider"])
RECOVERABLE = Gauge("omnix_router_recoverable_answers", "Streamed answers that another attempt could go on with.")
UNRECOVERABLE = Counter(
    "omnix_router_unrecoverable_answers_total",
    "Streamed answers that no other attempt could go on with if they broke off, by why.",
    ["why"],
)
BROKEN = Counter(
    "omnix_router_broken_attempts_total", "Attempts that broke off after their first content.", ["provider", "reason"]
)
RECOVERIES = Counter(
    "omnix_router_recoveries_total",
    "Answers that broke off, by how they went on last and by what came of it.",
    ["kind", "outcome"],
)
RECOVERY_SECONDS = Histogram(
    "omnix_router_recovery_seconds",
    "From the word that an attempt broke off until readers were told which one goes on.",
    buckets=SECONDS,
)
COPIES_SENT = Counter("omnix_router_shadow_copies_sent_total", "Shadow copies that were sent.", ["provider"])
COPIES_SKIPPED = Counter(
    "omnix_router_shadow_copies_skipped_total", "Shadow copies that were due and not sent, by why.", ["cause"]
)
COPIES_FAILED = Counter(
    "omnix_router_shadow_copies_failed_total", "Shadow copies that were not answered.", ["provider", "reason"]
)
COPY_SECONDS = Histogram(
    "omnix_router_shadow_copy_seconds",
    "From sending a shadow copy to its whole answer.",
    ["provider"],
    buckets=SECONDS,
)
COPIES_RUNNING = Gauge("omnix_router_shadow_copies_running", "Shadow copies under way.")
CIRCUITS_NOT_CLOSED = Gauge("omnix_router_circuits_not_closed", "Targets whose circuit is open or half open.")
CIRCUIT_CHANGES = Counter(
    "omnix_router_circuit_changes_total", "Circuits that this router opened or closed.", ["provider", "change"]
)
CIRCUIT_SKIPPED = Counter(
    "omnix_router_circuit_skipped_total", "Times a target was not called because its circuit is open.", ["provider"]
)
CIRCUIT_REFUSED = Counter(
    "omnix_router_circuit_refused_total", "Requests refused because their only target's circuit is open.", ["provider"]
)
PROBES = Counter("omnix_router_probes_total", "Attempts let through to see whether a target answers.", ["provider"])
HEALTH_SHARED = Counter(
    "omnix_router_health_shared_total", "Words on providers' health written for all routers.", ["result"]
)
REFUSED = Counter(
    "omnix_router_refused_total",
    "Requests refused before any attempt, because no target can do what they ask; by what is lacking.",
    ["lacks"],
)
SKIPPED = Counter(
    "omnix_router_skipped_targets_total",
    "Targets of routes that were left out, because they cannot do what a request asks; by what is lacking.",
    ["lacks"],
)
REASONING_APPROXIMATE = Counter(
    "omnix_router_reasoning_approximate_total",
    "Answers whose reasoning is not quite what was asked.",
    ["provider"],
)
ADAPTER_HEARD = Gauge("omnix_router_adapter_heard", "1 while the adapter answers.", ["adapter", "address"])
REGISTERED = Gauge("omnix_router_adapters_registered", "Adapters that registered themselves and are there.")
REGISTRATIONS_REFUSED = Counter(
    "omnix_router_registrations_refused_total", "Adapters, and providers of theirs, that may not register.", ["why"]
)
ROUTES = Gauge("omnix_router_routes", "Routes in force.")
ROUTES_RELOADED = Counter("omnix_router_routes_reloads_total", "Changes of the routes file by result.", ["result"])
ROUTES_RELOAD_FAILED = Gauge(
    "omnix_router_routes_reload_failed", "1 while the routes file on disk is refused and older routes are in force."
)
CATALOGUE_MODELS = Gauge("omnix_router_catalogue_models", "Models in the catalogue in force.")
CATALOGUE_RELOADED = Counter(
    "omnix_router_catalogue_reloads_total", "Changes of the catalogue's files by result.", ["result"]
)
CATALOGUE_RELOAD_FAILED = Gauge(
    "omnix_router_catalogue_reload_failed", "1 while a catalogue file on disk is refused and an older one is in force."
)
CATALOGUE_REFRESHED = Counter(
    "omnix_router_catalogue_refreshes_total", "Fetches of the price map by result.", ["result"]
)
CATALOGUE_AGE = Gauge(
    "omnix_router_catalogue_age_seconds", "Since the price map was last fetched or found unchanged; 0 before the first."
)


@lru_cache(maxsize=1024)
def succeeded(provider: str) -> Counter:
    """Counts answered attempts; kept, because finding a child costs more than counting."""
    return ATTEMPTS.labels(provider, "succeeded", "")


@lru_cache(maxsize=1024)
def first_content(provider: str) -> Histogram:
    return FIRST_CONTENT.labels(provider)


def skipped(lacks: Iterable[str]) -> None:
    """Count the targets that were left out."""
    for lack in lacks:
        SKIPPED.labels(lack).inc()
