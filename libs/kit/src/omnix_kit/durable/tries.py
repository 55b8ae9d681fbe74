"""How often each message failed by a defect."""

from collections import OrderedDict

_REMEMBERED = 10_000


class Tries:
    """Counts failures by message. The broker's own count will not do: it counts infrastructure's failures too.

    Of more messages than it may remember it forgets those that failed longest ago; they get more tries.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._counts: OrderedDict[int, int] = OrderedDict()

    def failed(self, sequence: int) -> int:
        """Count one more failure of the message with this number in the stream; returns how many there were."""
        count = self._counts.pop(sequence, 0) + 1
        self._counts[sequence] = count
        if len(self._counts) > self._remembered:
            self._counts.popitem(last=False)
        return count

    def forget(self, sequence: int) -> None:
        self._counts.pop(sequence, None)
