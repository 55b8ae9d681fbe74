"""How often services are asked and how soon they are started again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds, but for the tries."""

    young: float = 0.05
    """Between questions while a service starts."""
    settled: float = 5.0
    youth: float = 20.0
    first_pause: float = 0.2
    longest_pause: float = 10.0
    forgiven_after: float = 30.0
    """A process that lived so long after it was ready makes the next pause the first one again."""
    beyond_grace: float = 3.0
    """How much longer than its grace a service may take to stop before it is killed."""
    tries: int = 5
    """Ends in a row without ever having been ready, after which the suite counts as impossible to start."""
