"""What nobody can process."""

from dataclasses import dataclass


class Poison(Exception):
    """A message that no retry can make processable; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One event of a message that is poison, beside others that may not be."""

    payload: bytes
    """The event as a message of its own, for the dead letters."""
    event_id: str
    """Empty where it has none that can be used."""
    reason: str
