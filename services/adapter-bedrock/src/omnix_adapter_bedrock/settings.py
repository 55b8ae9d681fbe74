"""What this adapter reads besides the settings of all adapters. Everything else of AWS's is read by its SDK."""

from omnix_provider.settings import AdapterSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(AdapterSettings):
    model_config = SettingsConfigDict(populate_by_name=True)

    bearer_token: SecretStr | None = Field(default=None, validation_alias="AWS_BEARER_TOKEN_BEDROCK")
    region: str | None = Field(default=None, validation_alias="AWS_REGION")
    endpoint: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    sandbox_url: str | None = None
    """Serves ``bedrock`` when no variable gives credentials."""
