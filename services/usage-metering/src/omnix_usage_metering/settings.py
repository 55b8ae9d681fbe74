"""The configuration of usage-metering."""

from datetime import timedelta

from omnix_kit.settings import Duration, ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    store_url: str | None = None
    """Where the ledger is stored; unset means ``usage-metering.db`` in the data directory."""
    lease_lifetime: Duration = Field(default=timedelta(seconds=15), ge=timedelta(seconds=3), le=timedelta(minutes=5))
    """How long gateways may use what they were granted without asking again."""

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir.absolute() / 'usage-metering.db'}"
