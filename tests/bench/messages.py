"""What the harness and its load process tell each other: JSON lines over the load's stdin and stdout."""

import msgspec


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One load to put on one endpoint.

    ``concurrency`` connections are opened evenly over ``ramp`` seconds; each asks again and again until ``requests``
    were asked in all or ``seconds`` have passed. A request that is not answered within ``timeout`` seconds has failed.
    So a load ends at the latest after ``seconds + timeout``.
    """

    host: str
    port: int
    path: str
    headers: dict[str, str]
    model: str
    stream: bool
    tokens: int
    """Tokens each answer holds."""
    pace: float = 0.0
    """Tokens a second in a stream; 0 sends them all at once."""
    clock: bool = False
    """Each token is the time at which the upstream sent it."""
    concurrency: int
    requests: int
    seconds: float
    ramp: float = 0.0
    timeout: float = 30.0

    @property
    def longest(self) -> float:
        """Seconds after which the load has ended, whatever happened."""
        return self.seconds + self.timeout


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a measured time was spread, in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a load saw."""

    asked: int
    whole: int
    """Answers whose text is what the upstream says, to the letter, with a finish reason and, if streamed, the end
    marker."""
    failures: dict[str, int]
    """Why the others were not whole, and how many."""
    tokens: int
    """Those the upstream sent, for a whole answer; those that arrived, for another."""
    events: int
    """Pieces of text that arrived; fewer than tokens where a gateway joins them."""
    wall_seconds: float
    cpu_seconds: float
    """What the load process itself used."""
    latency: Spread
    """From sending a request to the end of its whole answer."""
    first_token: Spread
    lateness: Spread
    """From the time stamped in a token to its arrival; over the time in which all connections were streaming, or over
    the whole run where that never happened."""
    all_streaming_seconds: float
    """How long all connections were streaming at once."""
