"""Events of attempts that ran beside others, until it is known which of them answered first.

The journal has them meanwhile; if the process dies they are published as they are.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_WITHIN: Final = 0.5
"""Seconds. The router ends the others as soon as one answered."""

Settle = Callable[[bool], None]
"""Brings an event on its way; told whether another attempt answered first."""


class Undecided:
    """Bounded by the journal, which has a slot for each."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Settle, asyncio.TimerHandle]] = {}

    def hold(self, attempt_id: str, settle: Settle) -> None:
        """Until :meth:`lost` is called for it, for half a second at most."""
        handle = asyncio.get_running_loop().call_later(_WITHIN, self._settle, attempt_id, False)
        self._held[attempt_id] = settle, handle

    def lost(self, attempt_id: str) -> bool:
        """Another attempt answered first. Answers whether this one was here."""
        return self._settle(attempt_id, True)

    def settle_all(self) -> None:
        """Nobody will say any more."""
        for attempt_id in list(self._held):
            self._settle(attempt_id, False)

    def _settle(self, attempt_id: str, lost: bool) -> bool:
        held = self._held.pop(attempt_id, None)
        if held is None:
            return False
        settle, handle = held
        handle.cancel()
        settle(lost)
        return True
