"""How long this process could hear others: the clock by which silence is judged."""

_AWAY = 6.0
"""Seconds without the broker that count as one with it."""


class Listening:
    """Seconds of connection to NATS, all connections added up, and a sixth of the seconds without.

    Silence while nobody can be heard means little. But a clock that began anew at each connection would never come to
    its end with a broker that restarts every few seconds, and one that stood still without it would keep a client
    waiting as long as the broker is away.
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since = 0.0
        self.connected = False

    def begin(self, now: float) -> None:
        """The connection stands and is set up."""
        self._turn(now, True)

    def end(self, now: float) -> None:
        """The connection is away. Said again, it changes nothing."""
        self._turn(now, False)

    def at(self, now: float) -> float:
        passed = now - self._since
        return self._before + (passed if self.connected else passed / _AWAY)

    def _turn(self, now: float, connected: bool) -> None:
        self._before, self._since, self.connected = self.at(now), now, connected
