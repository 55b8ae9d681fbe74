"""What this adapter reads besides the settings of all adapters."""

from pathlib import Path

from omnix_provider.settings import AdapterSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(AdapterSettings):
    model_config = SettingsConfigDict(populate_by_name=True)

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    sandbox_url: str | None = None
    """Serves ``openai`` when there is no key."""
    upstreams_file: Path | None = None
    """TOML: further servers that speak OpenAI's format."""
