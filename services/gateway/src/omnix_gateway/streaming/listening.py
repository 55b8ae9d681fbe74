"""How long this process could hear others: the clock by which silence is judged."""


class Listening:
    """Seconds of connection to NATS, all connections added up.

    Silence while nobody can be heard means nothing. But a clock that began anew at each connection would never come to
    its end with a broker that restarts every few seconds, and would wait for a dead sender as long.
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    def begin(self, now: float) -> None:
        """The connection stands and is set up."""
        self.end(now)
        self._since = now

    def end(self, now: float) -> None:
        """The connection is away. Said again, it changes nothing."""
        self._before = self.at(now)
        self._since = None

    def at(self, now: float) -> float:
        return self._before if self._since is None else self._before + now - self._since
