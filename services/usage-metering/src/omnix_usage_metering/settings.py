"""The configuration of usage-metering."""

from omnix_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    store_url: str | None = None
    """Where the ledger is stored; unset means ``usage-metering.db`` in the data directory."""

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir.absolute() / 'usage-metering.db'}"
