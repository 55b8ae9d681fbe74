"""What the gateway counts."""

from omnix_kit.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("omnix_http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "omnix_http_request_seconds", "Time to the answer's end, streams apart.", ["route"], buckets=SECONDS
)
IN_HAND = Gauge("omnix_http_requests_in_hand", "HTTP requests in hand, open streams included.")
REFUSED = Counter("omnix_http_refused_total", "HTTP requests refused for want of room.")
FIRST_CONTENT_SECONDS = Histogram(
    "omnix_first_content_seconds", "Time from a streamed request to its first content.", buckets=SECONDS
)
OPEN_STREAMS = Gauge("omnix_open_streams", "Streams being read by clients.")
LINGERING = Gauge("omnix_streams_unread", "Answers that go on for their grace with nobody who reads them here.")
STREAM_ENDS = Counter("omnix_stream_ends_total", "Streams ended, by how.", ["how"])
GAPS_FILLED = Counter("omnix_stream_gaps_filled_total", "Gaps in streams that the recording filled.")
GAPS_LOST = Counter("omnix_stream_gaps_lost_total", "Gaps in streams that nobody could fill.")
SLOW_READERS = Counter("omnix_stream_slow_readers_total", "Clients cut off because they read too slowly.")
SENDERS_LOST = Counter("omnix_stream_senders_lost_total", "Streams ended because their sender fell silent.")
RECOVERY_WAITS = Counter(
    "omnix_stream_recovery_waits_total", "Streams that waited, after an attempt broke off, for what follows."
)
RECOVERIES = Counter("omnix_stream_recoveries_total", "Streams that went on with another attempt.")
RECOVERIES_GIVEN_UP = Counter(
    "omnix_stream_recoveries_given_up_total", "Streams that ended because no attempt followed the one that broke off."
)
KEY_CACHE = Counter("omnix_key_cache_total", "Keys looked up in the cache.", ["outcome"])
CACHE = Counter("omnix_cache_total", "Requests that might use the cache or share an answer, by outcome.", ["outcome"])
KEYED = Counter("omnix_idempotency_total", "Requests with an idempotency key, by what became of them.", ["outcome"])
KEYED_RECORDS = Counter(
    "omnix_idempotency_records_total", "Calls with a key that ended here, by what is remembered of it.", ["outcome"]
)
SHARING = Gauge("omnix_calls_shared", "Requests that wait for the call of another one, or read its stream.")
CACHE_STORES = Counter("omnix_cache_stores_total", "Answers that were to be kept, by what became of it.", ["outcome"])
CACHE_ERRORS = Counter("omnix_cache_errors_total", "Look-ups that told nothing, by why.", ["why"])
LIMITED = Counter("omnix_limits_refused_total", "Requests that a limit refused, by what it counts.", ["kind"])
UNLIMITED = Counter(
    "omnix_limits_unchecked_total", "Requests let through without a lease, because usage-metering was away."
)
LIMIT_STOPS = Counter("omnix_limits_streams_stopped_total", "Streams that a budget ended.")
LEASES = Counter("omnix_limits_leases_total", "Calls for leases, by what came of them.", ["outcome"])
