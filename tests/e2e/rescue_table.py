"""What callers see of a vendor's fault when another target stands by: the table.

A fault is written in the sandbox's words (``libs/sandbox/README.md``). The route has two targets: the one that fails,
and another vendor's model that gives the same answer. What a row says is what the router's rules
(``services/router/README.md``) make of the fault.

``python -m e2e.fault_page`` writes it as a page, ``test_rescue`` holds the suite to it.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum


class Standby(StrEnum):
    """What the other target can do."""

    RESTARTS = "rescued"
    """It gives the whole answer again; what the caller has of it is left out."""
    CONTINUES = "continued"
    """It goes on with the beginning of an answer."""
    REFUSES = "refusing"
    """The catalogue says that it does, and it refuses."""
    DEPARTS = "departing"
    """It says something else after three tokens."""


class End(Enum):
    """How it ends for the caller."""

    FIRST = "the whole answer, from the target"
    OTHER = "the whole answer, from the other one"
    BOTH = "the whole answer, begun by the target and ended by the other one"
    REASON = "the vendor's reason"
    BROKEN = "a clear error after the beginning"


@dataclass(frozen=True)
class Rescue:
    """A row."""

    words: str
    what: str
    """The vendor does."""
    end: End
    calls: int
    """Of the target that fails."""
    others: int = 0
    """Of the other one."""
    streamed: bool = True
    unary: End | None = None
    """How a unary answer ends; None where it is not asked for."""
    standby: Standby = Standby.RESTARTS
    pause: timedelta = timedelta(0)
    """At least so long between the first call and the second."""
    code: str = ""
    """Of the error."""


def both(
    words: str,
    what: str,
    end: End,
    calls: int,
    others: int = 0,
    pause: timedelta = timedelta(0),
    code: str = "",
) -> Rescue:
    """The same, unary and streamed."""
    return Rescue(words, what, end, calls, others, unary=end, pause=pause, code=code)


_PAUSE = timedelta(milliseconds=100)
_SECOND = timedelta(seconds=1)

BEFORE = (
    both("429-retry-1s-once", "is asked too often, and says when to come back", End.FIRST, 2, pause=_SECOND),
    both("429-retry-1s", "the same, and again", End.OTHER, 2, 1, pause=_SECOND),
    both("429-retry-30s", "the same, longer than the router waits", End.OTHER, 1, 1),
    both("429-once", "is asked too often, and does not say when to come back", End.FIRST, 2, pause=_PAUSE),
    both("429", "the same, and again", End.OTHER, 2, 1, pause=_PAUSE),
    both("500-once", "fails once", End.FIRST, 2, pause=_PAUSE),
    both("503", "has too much to do for ever", End.OTHER, 2, 1, pause=_PAUSE),
    both("reset", "resets the connection", End.OTHER, 2, 1, pause=_PAUSE),
    both("quota", "says that the account is used up", End.OTHER, 1, 1),
    both("401", "does not accept the operator's key", End.OTHER, 1, 1),
    both("context", "finds the prompt too long; the other has a larger window", End.OTHER, 1, 1),
    both("filter", "does not accept the prompt's content", End.REASON, 1, code="content_filter"),
    both("400", "refuses the request", End.REASON, 1, code="invalid_request"),
    Rescue("silence", "never answers", End.OTHER, 1, 1),
    Rescue("slow-20s", "is slow with its first token", End.OTHER, 1, 1),
    both("slow-300ms", "is a little slow with it", End.FIRST, 1),
    both("no-done", "leaves out the end marker", End.FIRST, 1),
)

MIDDLE = (
    Rescue("cut-after-5-once", "cuts the answer once", End.FIRST, 2, unary=End.FIRST, pause=_PAUSE),
    Rescue("cut-after-5", "cuts the answer, and again", End.BOTH, 2, 1, unary=End.OTHER, pause=_PAUSE),
    Rescue("cut-after-5-rst", "the same, by a reset", End.BOTH, 2, 1, unary=End.OTHER, pause=_PAUSE),
    Rescue("stall-after-5", "falls silent", End.BOTH, 1, 1),
    Rescue("malformed-after-5", "sends broken JSON", End.BOTH, 2, 1, unary=End.OTHER, pause=_PAUSE),
    Rescue("error-after-5", "tells of an error of its own", End.BOTH, 2, 1, pause=_PAUSE),
    Rescue("error-429-after-5", "tells that it is asked too often", End.BOTH, 2, 1, pause=_PAUSE),
    Rescue("no-finish", "leaves out the finish reason and all that follows", End.BOTH, 2, 1, pause=_PAUSE),
)

CONTINUED = (
    Rescue("cut-after-5", "cuts the answer, and again", End.BOTH, 2, 1, standby=Standby.CONTINUES),
    Rescue("stall-after-5", "falls silent", End.BOTH, 1, 1, standby=Standby.CONTINUES),
    Rescue("error-after-5", "tells of an error of its own", End.BOTH, 2, 1, standby=Standby.CONTINUES),
    Rescue("stall-after-5", "falls silent; the other refuses a beginning", End.BOTH, 1, 2, standby=Standby.REFUSES),
    Rescue("cut-after-5", "cuts the answer; the other refuses a beginning", End.BOTH, 2, 2, standby=Standby.REFUSES),
    Rescue(
        "cut-after-5",
        "cuts the answer; the other says something else",
        End.BROKEN,
        2,
        1,
        standby=Standby.DEPARTS,
        code="provider_cut",
    ),
    Rescue(
        "stall-after-5",
        "falls silent; the other says something else",
        End.BROKEN,
        1,
        1,
        standby=Standby.DEPARTS,
        code="provider_timeout",
    ),
)

RESCUES = (*BEFORE, *MIDDLE, *CONTINUED)
