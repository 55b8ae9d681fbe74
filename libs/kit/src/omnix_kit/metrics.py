"""Metrics that every process has. Names follow Prometheus: base units, ``_total`` for counters."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Buckets for durations, from a quick call to a long generation."""

RPC_SERVED = Histogram("omnix_rpc_server_seconds", "gRPC calls answered.", ["method", "code"], buckets=SECONDS)
RPC_CALLED = Histogram("omnix_rpc_client_seconds", "gRPC calls made.", ["method", "code"], buckets=SECONDS)
NATS_LOST = Counter("omnix_nats_dropped_total", "Messages that a slow subscription dropped.", ["subject"])
NATS_RECONNECTED = Counter("omnix_nats_reconnects_total", "Times the NATS connection came back.")
READY = Gauge("omnix_ready", "1 while the process has all that it needs to serve.")
LACKING = Gauge("omnix_lacking", "1 while the process lacks this need.", ["need"])
OLDEST = Gauge(
    "omnix_durable_oldest_seconds",
    "Age of the oldest message that the durable has not acknowledged; 0 when it has everything.",
    ["durable"],
)
