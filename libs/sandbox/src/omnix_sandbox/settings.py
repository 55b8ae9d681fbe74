"""What can be set from outside, all of it optional."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from omnix_sandbox import quantities


def _rate(value: object) -> object:
    return quantities.tokens_per_second(value) if isinstance(value, str) else value


def _seconds(value: object) -> object:
    return quantities.seconds(value) if isinstance(value, str) else value


Rate = Annotated[float, BeforeValidator(_rate), Field(ge=0, le=100_000)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=quantities.MAX_DURATION)]


class Settings(BaseSettings):
    """Read once from `OMNIX_SANDBOX_*`; the README has the table."""

    model_config = SettingsConfigDict(env_prefix="OMNIX_SANDBOX_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8099, ge=0, le=65535)
    port_file: Path | None = None
    data_dir: Path = Path(".omnix/sandbox")
    fsync: bool = True
    pace: Rate = 0.0
    first_token: Seconds = 0.0
    longest_hold: Seconds = 600.0
    grace: Seconds = 5.0
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    max_connections: int = Field(default=10_000, ge=1)
    calls_kept: int = Field(default=50_000, ge=1)
    keep_requests: bool = False
