"""The configuration of analytics."""

from datetime import timedelta

from omnix_kit.settings import Duration, ServiceSettings
from pydantic import Field

from omnix_analytics.keeping import Keeping
from omnix_analytics.spans import Resolution


class Settings(ServiceSettings):
    store_url: str | None = None
    """Where rollups are stored; unset means ``analytics.db`` in the data directory."""
    usage_metering_address: str = "127.0.0.1:50053"
    """The ledger, from which figures can be rebuilt."""

    keep_minutes: Duration = Field(default=timedelta(hours=72), ge=timedelta(hours=1))
    """How long rollups of minutes are kept."""
    keep_hours: Duration = Field(default=timedelta(days=90), ge=timedelta(hours=1))
    """How long rollups of hours are kept."""
    keep_days: Duration = Field(default=timedelta(days=1825), ge=timedelta(hours=24))
    """How long rollups of days are kept."""
    count_within: Duration = Field(default=timedelta(hours=72), ge=timedelta(hours=1))
    """How long after its attempt's end an event is counted; so long it is remembered what was."""

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir.absolute() / 'analytics.db'}"

    @property
    def keeping(self) -> Keeping:
        return Keeping(
            {
                Resolution.MINUTE: self.keep_minutes,
                Resolution.HOUR: self.keep_hours,
                Resolution.DAY: self.keep_days,
            },
            self.count_within,
        )
