"""How long what is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from omnix_analytics.spans import DAY, Kept, Resolution, ceiling, floor


@dataclass(frozen=True, slots=True)
class Keeping:
    """``rollups`` after the end of their bucket, ``marks`` of what was counted after the attempt's end."""

    rollups: Mapping[Resolution, timedelta]
    marks: timedelta

    def expiry(self, resolution: Resolution, start: datetime) -> datetime:
        return start + resolution.length + self.rollups[resolution]

    def expiry_of_mark(self, ended: datetime, now: datetime) -> datetime:
        """A day later than what is too late: clocks differ, and a rebuild of old days takes its time."""
        return max(ended + self.marks, now) + DAY

    def is_too_late(self, ended: datetime, now: datetime) -> bool:
        """Whether a mark of the attempt may be gone, so that nobody knows whether it was counted."""
        return ended + self.marks <= now

    def kept(self, now: datetime) -> Kept:
        """From when on rollups are there; those of days at least for the current one."""
        kept = {resolution: ceiling(now - keep, resolution.length) for resolution, keep in self.rollups.items()}
        return kept | {Resolution.DAY: min(kept[Resolution.DAY], floor(now, DAY))}
