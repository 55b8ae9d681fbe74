"""What every adapter reads besides the settings of all services."""

import re
from datetime import timedelta
from typing import Annotated

from omnix_kit.settings import Duration, ServiceSettings
from pydantic import AfterValidator, Field

_ADDRESS = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):([1-9]\d{0,4})")
_LAST_PORT = 65_535


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if found is None or int(found[2]) > _LAST_PORT:
        raise ValueError("must be host:port")
    return value


class AdapterSettings(ServiceSettings):
    advertised_address: Annotated[str, AfterValidator(_address)] | None = None
    """Where routers shall call this adapter, which then need not be told of it; they decide whether they do."""
    max_streams: int = Field(default=2000, ge=1, le=100_000)
    """Streamed attempts at once; the next one is refused."""
    max_calls: int = Field(default=2000, ge=1, le=100_000)
    """Unary attempts at once; the next one is refused."""
    attempt_timeout: Duration = timedelta(minutes=10)
    """The longest unary attempt, when the caller's deadline is later or absent."""
    first_content_timeout: Duration = timedelta(seconds=60)
    """For streams, when the router gives none."""
    idle_timeout: Duration = timedelta(seconds=60)
    """Between contents of a stream, when the router gives none."""
    stream_timeout: Duration = timedelta(hours=1)
    """The longest stream."""
    spool_bytes: int = Field(default=64 * 1024 * 1024, ge=4096)
    """Usage events that wait on disk; when it is full the adapter refuses new attempts."""
    retained_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Messages of ended streams that are kept for a while, in case the broker lost them."""
