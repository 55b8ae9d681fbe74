"""What this adapter reads besides the settings of all adapters. The names are those of Google's SDK."""

from pathlib import Path

from omnix_provider.settings import AdapterSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(AdapterSettings):
    model_config = SettingsConfigDict(populate_by_name=True, env_ignore_empty=True)

    gemini_api_key: SecretStr | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    google_api_key: SecretStr | None = Field(default=None, validation_alias="GOOGLE_API_KEY")
    """Goes before the other."""
    gemini_base_url: str | None = Field(default=None, validation_alias="GOOGLE_GEMINI_BASE_URL")
    api_version: str | None = Field(default=None, validation_alias="GOOGLE_GENAI_API_VERSION")
    use_vertexai: bool = Field(default=False, validation_alias="GOOGLE_GENAI_USE_VERTEXAI")
    """Ask Google Cloud in place of the Gemini API."""
    use_enterprise: bool | None = Field(default=None, validation_alias="GOOGLE_GENAI_USE_ENTERPRISE")
    """The newer name of the same; goes before the other."""
    cloud_project: str | None = Field(default=None, validation_alias="GOOGLE_CLOUD_PROJECT")
    cloud_location: str | None = Field(default=None, validation_alias="GOOGLE_CLOUD_LOCATION")
    vertex_base_url: str | None = Field(default=None, validation_alias="GOOGLE_VERTEX_BASE_URL")
    application_credentials: Path | None = Field(default=None, validation_alias="GOOGLE_APPLICATION_CREDENTIALS")
    """A key file; without it google-auth finds the credentials by itself."""
    sandbox_url: str | None = None
    """Serves ``gemini`` when there are no credentials."""
