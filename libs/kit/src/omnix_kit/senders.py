"""Who of the processes that send lives, by their heartbeats (``omnix.v1.provider.heartbeat.<sender_id>``)."""

from omnix_kit.listening import Listening

_KNOWN = 10_000
_FORGOTTEN_AFTER = 60.0


class Senders:
    """Hears heartbeats. Times are seconds of a clock that never goes back, silences those of ``Listening``."""

    def __init__(self, timeout: float) -> None:
        """:param timeout: seconds of silence after which a sender counts as dead."""
        self.listening = Listening()
        self._timeout = timeout
        self._heard: dict[str, float] = {}

    def heard(self, sender_id: str, now: float) -> None:
        if sender_id in self._heard or len(self._heard) < _KNOWN:
            self._heard[sender_id] = self.listening.at(now)

    def is_silent(self, sender_id: str, since: float, now: float) -> bool:
        """Whether it was silent for too long.

        :param since: from when on it was listened for, by ``Listening``; a sender that was never heard is given its
            time from then.
        """
        listened = self.listening.at(now)
        return listened - max(self._heard.get(sender_id, 0.0), since) > self._timeout

    def forget(self, now: float) -> None:
        """Forget those that were not heard for long."""
        listened = self.listening.at(now)
        self._heard = {sender: heard for sender, heard in self._heard.items() if listened - heard < _FORGOTTEN_AFTER}
