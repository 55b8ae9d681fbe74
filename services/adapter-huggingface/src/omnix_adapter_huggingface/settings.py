"""What this adapter reads besides the settings of all adapters."""

from pathlib import Path

from omnix_provider.settings import AdapterSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(AdapterSettings):
    model_config = SettingsConfigDict(populate_by_name=True)

    hf_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
    hf_base_url: str | None = Field(default=None, validation_alias="HF_BASE_URL")
    """The router, up to and without ``/chat/completions``."""
    hf_bill_to: str | None = Field(default=None, validation_alias="HF_BILL_TO")
    """The organisation, or its resource group, that pays."""
    sandbox_url: str | None = None
    """Serves ``huggingface`` when there is no token."""
    endpoints_file: Path | None = None
    """TOML: dedicated and self-hosted endpoints."""
