"""What the router reads from its environment."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from omnix_kit.settings import Duration, ServiceSettings
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from omnix_router.catalogue.fetching import FetchError, checked
from omnix_router.registration.allowed import Allowed

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ADDRESS = re.compile(r"[^\s:/=,]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")


@dataclass(frozen=True, slots=True)
class AdapterAddress:
    """Where an adapter listens."""

    name: str
    """The provider that it serves, by the operator's word; what it really serves it says itself."""
    address: str


def parse_adapters(value: object) -> object:
    """Read ``openai=127.0.0.1:5001,other=127.0.0.1:5002``."""
    if not isinstance(value, str):
        return value
    adapters = []
    for item in filter(None, (part.strip() for part in value.split(","))):
        name, _, address = (part.strip() for part in item.partition("="))
        if not _NAME.fullmatch(name) or not _ADDRESS.fullmatch(address):
            raise ValueError(f"must be name=host:port, separated by commas; {item!r} is not")
        adapters.append(AdapterAddress(name, address))
    if not adapters:
        raise ValueError("must name at least one adapter as name=host:port")
    return tuple(adapters)


def parse_allowed(value: object) -> object:
    """Read ``*.adapters.internal,10.1.0.0/16``."""
    if not isinstance(value, str):
        return value
    return Allowed.of(filter(None, (part.strip() for part in value.split(","))))


def _bounded(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(days=1):
        raise ValueError("must be more than 0 and at most 24h")
    return value


def _month(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(days=30):
        raise ValueError("must be more than 0 and at most 720h")
    return value


def _address(value: str) -> str:
    try:
        checked(value)
    except FetchError as exc:
        raise ValueError(str(exc)) from exc
    return value


Wait = Annotated[Duration, AfterValidator(_bounded)]


class Settings(ServiceSettings):
    """Every variable is listed in the README."""

    adapters: Annotated[tuple[AdapterAddress, ...], NoDecode, BeforeValidator(parse_adapters)]
    adapters_from: Annotated[Allowed, NoDecode, BeforeValidator(parse_allowed)] = Allowed()
    """Where adapters may be that register themselves. Each is shown callers' prompts and the services' token."""
    registration_timeout: Wait = timedelta(seconds=30)
    """Silence after which an adapter that registered itself is not called any longer."""
    routes_file: Path | None = None
    store_url: str | None = None
    """Where routes are stored that are written through the API; without, there are those of the file alone."""
    catalogue_file: Path | None = None
    catalogue_url: Annotated[str, AfterValidator(_address)] | None = None
    """Of a price map that is imported again and again."""
    catalogue_refresh: Annotated[Duration, AfterValidator(_month)] = timedelta(hours=24)

    attempts: int = Field(default=3, ge=1, le=10)
    completion_deadline: Wait = timedelta(minutes=10)
    """For callers that bring no deadline, and the latest for those that do."""
    first_content_timeout: Wait = timedelta(seconds=60)
    first_content_timeout_flash: Wait = timedelta(seconds=20)
    first_content_timeout_think: Wait = timedelta(seconds=120)
    first_content_timeout_ultra_think: Wait = timedelta(seconds=300)
    idle_timeout: Wait = timedelta(seconds=60)
    strict_reasoning: bool = False

    recovery_completions: int = Field(default=10_000, ge=0, le=1_000_000)
    """Streamed answers that are kept track of, so that another attempt can go on when they break off."""
    recovery_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    """Of their requests, as they travel."""
    recoveries_at_once: int = Field(default=64, ge=1, le=4096)
    mirrored_at_once: int = Field(default=64, ge=0, le=4096)
    """Shadow copies under way; what exceeds it is not copied."""
    sender_timeout: Wait = timedelta(seconds=5)
    """Silence after which the process that sends a stream counts as dead."""

    circuit_failures: int = Field(default=5, ge=1, le=1000)
    """In a row, after which a target is not called."""
    circuit_share: float = Field(default=0.5, gt=0, le=1)
    """Of failures among ``circuit_calls`` or more within ``circuit_window``."""
    circuit_calls: int = Field(default=20, ge=1, le=1_000_000)
    circuit_window: Wait = timedelta(seconds=10)
    circuit_cooldown: Wait = timedelta(seconds=30)
    circuit_retry_after: Wait = timedelta(minutes=5)
    """The longest ``Retry-After`` that keeps a circuit open."""

    adapter_connect_timeout: Wait = timedelta(seconds=1)
    adapters_within: Wait = timedelta(seconds=5)
    adapter_poll: Wait = timedelta(seconds=10)
    routes_poll: Wait = timedelta(seconds=1)
    routes_store_poll: Wait = timedelta(seconds=5)
    """Changes are told over NATS; this is for words that were lost."""
    catalogue_poll: Wait = timedelta(seconds=5)
