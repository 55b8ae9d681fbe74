"""Configuration: one frozen object per process, read once from the environment and passed down."""

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from omnix_kit.errors import ConfigurationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WRITTEN = (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))


def parse_duration(value: object) -> object:
    """Read ``250ms``, ``5s``, ``1.5m``, ``2h`` or a bare number of seconds."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError("must be a duration such as 250ms, 5s, 1.5m or 2h")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2] or "s"])


def duration_text(value: timedelta) -> str:
    """Write what :func:`parse_duration` reads, in the largest unit that is whole: ``90s``, ``2m``, ``250ms``."""
    micros = value // timedelta(microseconds=1)
    for unit, size in _WRITTEN:
        if micros % size == 0:
            return f"{micros // size}{unit}"
    return f"{micros // 1000}ms" if micros % 1000 == 0 else f"{micros / 1000:f}ms"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """What every service reads. Variables are the upper-case field names with the prefix ``OMNIX_``."""

    model_config = SettingsConfigDict(env_prefix="OMNIX_", frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    """``development`` adds gRPC reflection."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    data_dir: Path = Path(".omnix/data")
    """Where the process may keep files."""

    grpc_host: str = "127.0.0.1"
    grpc_port: Port = 0
    """0 takes a free port, which the log line ``serving`` tells."""
    grpc_token: SecretStr | None = None
    """Shared by the services; required as soon as one of them listens beyond loopback."""
    grpc_concurrency: int = Field(default=4096, ge=1)
    """Calls handled at once; the next one is refused."""

    ops_host: str = "127.0.0.1"
    ops_port: Port = 0
    """Serves ``/livez``, ``/readyz`` and ``/metrics``."""

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: SecretStr | None = None

    otlp_endpoint: str | None = None
    """Base address of an OTLP/HTTP collector; traces are exported when it is set."""
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of traces begun here that are recorded."""
    trace_content: bool = False
    """Whether traces tell what was asked and answered, too."""

    drain_delay: Duration = timedelta(0)
    """After SIGTERM: how long to serve on as not ready, so that balancers notice."""
    grace: Duration = timedelta(seconds=30)
    """After the delay: how long work in hand may take to finish."""

    @model_validator(mode="after")
    def _token_beyond_loopback(self) -> Self:
        if self.grpc_token is None and not _is_loopback(self.grpc_host):
            raise ValueError(
                "OMNIX_GRPC_TOKEN must be set when OMNIX_GRPC_HOST is not a loopback address, "
                "or anyone who reaches the port could spend money"
            )
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(kind: type[SettingsT]) -> SettingsT:
    """Read the settings from the environment.

    :raises ConfigurationError: naming each variable and what is wrong with it, and never its value.
    """
    try:
        return kind()
    except (ValidationError, SettingsError) as exc:
        raise ConfigurationError(_explain(kind, exc)) from exc


def _explain(kind: type[BaseSettings], exc: ValidationError | SettingsError) -> str:
    if isinstance(exc, SettingsError):
        return str(exc)
    prefix = kind.model_config.get("env_prefix", "")
    problems = []
    for error in exc.errors(include_input=False, include_url=False, include_context=False):
        message = error["msg"].removeprefix("Value error, ")
        if not error["loc"]:
            problems.append(message)
            continue
        field, *inner = (str(part) for part in error["loc"])
        known = kind.model_fields.get(field)
        name = field if known is None or known.validation_alias is not None else f"{prefix}{field}".upper()
        problems.append(f"{'.'.join([name, *inner])}: {message}")
    return "; ".join(problems)
