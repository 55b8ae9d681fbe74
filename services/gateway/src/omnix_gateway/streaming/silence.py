"""How long a reader bears which silence. Times are seconds; ``listened`` is the time by ``Listening``."""

_IDLE_UNLESS_TOLD = 300.0
_FIRST_PROBE_AFTER = 5.0


class Silence:
    """Of one reader."""

    def __init__(self, idle_margin: float, gap_timeout: float) -> None:
        self.waits_since: float | None = None
        """Since when it waits for the router to say what follows an attempt that broke off."""
        self._idle = _IDLE_UNLESS_TOLD
        self._idle_margin = idle_margin
        self._gap_timeout = gap_timeout
        self._probe_after = _FIRST_PROBE_AFTER
        self._gap_noticed: float | None = None

    def told(self, idle_timeout: float | None) -> None:
        """How long the sender itself bears to send nothing."""
        self._idle = idle_timeout or _IDLE_UNLESS_TOLD

    def waits(self, now: float) -> bool:
        """It waits for the router; answers whether that is news."""
        if self.waits_since is not None:
            return False
        self.waits_since = now
        return True

    def gap_is_hopeless(self, gap: bool, listened: float) -> bool:
        if not gap:
            self._gap_noticed = None
            return False
        if self._gap_noticed is None:
            self._gap_noticed = listened
        return listened - self._gap_noticed > self._gap_timeout

    def is_hopeless(self, heard: float, now: float) -> bool:
        """Nothing came for longer than the sender would bear, or the router takes to find another one."""
        return now - max(heard, self.waits_since or heard) > self._idle + self._idle_margin

    def wants_probe(self, heard: float, now: float) -> bool:
        """It is time to see whether the recording has what was not heard; less often each time."""
        if now - heard < _FIRST_PROBE_AFTER:
            self._probe_after = _FIRST_PROBE_AFTER
        if now - heard < self._probe_after:
            return False
        self._probe_after *= 2
        return True
