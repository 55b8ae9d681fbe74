"""What is known of making figures anew from the ledger."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Days of one tenant, from the last back to the first. What is later than ``reached_time`` is done."""

    id: str
    tenant_id: str
    start_time: datetime
    end_time: datetime
    state: State
    entries_read: int
    reached_time: datetime
    error: str
    create_time: datetime
    update_time: datetime

    def concerns(self, start: datetime, end: datetime) -> bool:
        """Whether figures of the span are incomplete, or were left so."""
        return self.state is not State.DONE and self.start_time < end and start < self.reached_time
