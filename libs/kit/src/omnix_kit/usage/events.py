"""Which of two events about one attempt is to be believed."""

from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """How an attempt ended; see ``omnix.usage.v1.AttemptOutcome``."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Certainty(IntEnum):
    """How well whoever closed the attempt knew what it took.

    Two events may tell of one attempt: the process that made it put its own in the spool and died, and another one
    closed what it found open. The more certain one stands, whichever came first; of equals, the first.
    """

    ORPHANED = 0
    """Closed by another process, from what the dead one had noted."""
    ESTIMATED = 1
    """Counted by the process that made the attempt, because the vendor's counts did not come."""
    EXACT = 2
    """Counted by the vendor."""


def certainty(outcome: Outcome, estimated: bool) -> Certainty:
    if outcome is Outcome.INTERRUPTED:
        return Certainty.ORPHANED
    return Certainty.ESTIMATED if estimated else Certainty.EXACT
