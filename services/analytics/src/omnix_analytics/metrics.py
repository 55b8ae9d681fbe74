"""What analytics counts of itself."""

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("omnix_analytics_events_total", "Events taken from the stream, by what became of them.", ["result"])
PUT_BACK = Counter("omnix_analytics_put_back_total", "Messages given back to the stream for a while.", ["cause"])
WRITE = Histogram("omnix_analytics_write_seconds", "Time to count one batch of events.", buckets=SECONDS)
QUERY = Histogram("omnix_analytics_query_seconds", "Time to answer one question.", ["kind"], buckets=SECONDS)
READ = Histogram(
    "omnix_analytics_rollups_read", "Rollups read for one answer.", buckets=(1, 10, 100, 1000, 10_000, 100_000)
)
REBUILT = Counter("omnix_analytics_rebuilt_entries_total", "Entries of the ledger that were read to rebuild.")
PENDING = Gauge("omnix_analytics_pending", "Messages in the stream that are still to be taken.")
IN_HAND = Gauge("omnix_analytics_in_hand", "Messages taken and not acknowledged yet, by all replicas.")
