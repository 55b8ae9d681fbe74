"""How often each conversation was asked for, so that something can befall its first calls alone."""

from collections import OrderedDict
from typing import Final

MOST: Final = 100_000
"""Conversations that are remembered; the one that was not asked for longest is forgotten first."""


class Conversations:
    """Counts calls; one for all vendors, because a conversation that fails at one goes on at another."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, int], int] = OrderedDict()

    def earlier(self, word: str, conversation: int) -> int:
        """How many calls of the conversation came before this one; asking counts the call.

        Each `word`, a fault for example, has a count of its own.
        """
        key = (word, conversation)
        before = self._calls.pop(key, 0)
        self._calls[key] = before + 1
        if len(self._calls) > MOST:
            self._calls.popitem(last=False)
        return before

    def clear(self) -> None:
        self._calls.clear()
