"""The configuration of the accounts service."""

from typing import Annotated

from omnix_kit.settings import ServiceSettings
from pydantic import BeforeValidator, SecretStr, field_validator

ADMIN_KEY_MIN_CHARACTERS = 16
_ADMIN_KEY_MAX_CHARACTERS = 512


def _empty_is_unset(value: object) -> object:
    return None if value == "" else value


class Settings(ServiceSettings):
    store_url: str | None = None
    """Where keys are stored; unset means ``accounts.db`` in the data directory."""
    admin_key: Annotated[SecretStr | None, BeforeValidator(_empty_is_unset)] = None
    """Secret of the admin key of the tenant ``default``, which exists from the start."""

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir.absolute() / 'accounts.db'}"

    @field_validator("admin_key")
    @classmethod
    def _fit_for_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if not ADMIN_KEY_MIN_CHARACTERS <= len(secret) <= _ADMIN_KEY_MAX_CHARACTERS:
            raise ValueError(f"must have {ADMIN_KEY_MIN_CHARACTERS} to {_ADMIN_KEY_MAX_CHARACTERS} characters")
        if not (secret.isascii() and secret.isprintable()) or " " in secret:
            raise ValueError("must be printable ASCII without spaces, or no HTTP header could carry it")
        return value
