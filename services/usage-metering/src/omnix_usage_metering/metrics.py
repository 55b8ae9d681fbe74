"""What usage-metering counts."""

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("omnix_usage_events_total", "Events taken from the stream, by what became of them.", ["result"])
PUT_BACK = Counter("omnix_usage_put_back_total", "Events given back to the stream for a while.", ["cause"])
WRITE = Histogram("omnix_usage_write_seconds", "Time to write one batch of events.", buckets=SECONDS)
PENDING = Gauge("omnix_usage_pending", "Events in the stream that are still to be taken.")
IN_HAND = Gauge("omnix_usage_in_hand", "Events taken and not acknowledged yet, by all replicas.")
LEASE = Histogram("omnix_usage_lease_seconds", "Time to answer one gateway's leases.", buckets=SECONDS)
LIMITS_REACHED = Counter(
    "omnix_usage_limits_reached_total", "Limits that were reached, once in each window.", ["kind", "enforcement"]
)
