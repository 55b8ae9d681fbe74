"""What the gateway reads from the environment; the README explains every variable."""

from datetime import timedelta
from typing import Annotated, Any

from omnix_kit.addresses import Rules
from omnix_kit.settings import Duration, Port, ServiceSettings
from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from omnix_gateway.caching.wishes import SharedBy, Usual
from omnix_gateway.chat.content.media import FromAddresses
from omnix_gateway.limits.limit import WithoutMetering

_MIB = 1024 * 1024


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class Settings(ServiceSettings):
    http_host: str = "127.0.0.1"
    http_port: Port = 8080
    """0 takes a free port, which the log line ``listening`` tells."""

    router_address: str = "127.0.0.1:50051"
    accounts_address: str = "127.0.0.1:50052"
    usage_metering_address: str = "127.0.0.1:50053"
    analytics_address: str = ""
    """Empty where there is no analytics; then nothing else is missing."""

    http_concurrency: int = Field(default=4096, ge=1)
    """Requests in hand at once, open streams included; the next one is refused."""
    json_limit: int = Field(default=_MIB, ge=1024)
    """Bytes a body may have, inline media apart."""
    embedding_limit: int = Field(default=8 * _MIB, ge=1024)
    """Bytes a body that asks for embeddings may have."""
    media_limit: int = Field(default=20 * _MIB, ge=1024)
    """Bytes a body with inline media may have altogether, and what all media of a request may have, decoded."""
    media_in_hand: int = Field(default=512 * _MIB, ge=1024)
    """Bytes of bodies beyond ``json_limit`` held at once by the process."""
    image_limit: int = Field(default=10 * _MIB, ge=1024)
    """Bytes of one image, decoded."""
    audio_limit: int = Field(default=20 * _MIB, ge=1024)
    file_limit: int = Field(default=20 * _MIB, ge=1024)
    video_limit: int = Field(default=20 * _MIB, ge=1024)
    media_parts: int = Field(default=100, ge=1)
    """Images, sounds, films and files that one request may have."""

    fetch: FromAddresses = FromAddresses.FETCH
    """What happens to an address that stands for an image, a film or a file."""
    fetch_allowed_hosts: Listed = Field(default_factory=list)
    """Hosts, hosts with a port, and networks that may be fetched from though they are not public; comma separated."""
    fetch_ports: Annotated[list[Port], NoDecode, BeforeValidator(_listed)] = Field(default=[80, 443])
    fetch_timeout: Duration = timedelta(seconds=10)
    """For fetching one address, redirects and waiting for a turn included."""
    fetch_redirects: int = Field(default=3, ge=0, le=10)
    fetches_at_once: int = Field(default=64, ge=1)
    fetches_at_once_per_caller: int = Field(default=8, ge=1)

    json_depth: int = Field(default=64, ge=8, le=200)
    header_limit: int = Field(default=16 * 1024, ge=1024)
    head_timeout: Duration = timedelta(seconds=10)
    """How long a client may take to send a request's head."""
    body_timeout: Duration = timedelta(seconds=60)

    completion_timeout: Duration = timedelta(minutes=10)
    """For a unary answer, and for the first content of a streamed one."""
    call_timeout: Duration = timedelta(seconds=10)
    """For every other call of a service."""

    key_cache: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0), le=timedelta(seconds=60))
    """How long a key is known without asking again."""
    key_cache_size: int = Field(default=10_000, ge=1)

    keep_alive: Duration = timedelta(seconds=15)
    """Silence of a stream after which a comment is sent."""
    stream_messages: int = Field(default=256, ge=1)
    """Messages that may wait for the reader of one stream."""
    stream_bytes: int = Field(default=_MIB, ge=1024)
    """Bytes that may wait for the reader of one stream."""
    gap_timeout: Duration = timedelta(seconds=5)
    """How long a gap may wait to be filled."""
    sender_timeout: Duration = timedelta(seconds=5)
    """Silence after which the process that sends a stream counts as dead."""
    idle_margin: Duration = timedelta(seconds=5)
    """How much longer than its sender a reader waits for the next chunk."""
    stalled_client_timeout: Duration = timedelta(seconds=30)
    """How long a client may take to read what was sent to it, before its connection is cut."""

    cache: Usual = Usual.OFF
    """What becomes of requests that say nothing of the cache: ``off``, ``join`` or ``on``."""
    cache_shared_by: SharedBy = SharedBy.TENANT
    """Who gets each other's answers: all of a ``tenant``, or of a ``team``, a ``user`` or a ``key`` of it."""
    cache_ttl: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))
    """How long an answer is kept unless the request says it."""
    cache_max_ttl: Duration = Field(default=timedelta(hours=24), ge=timedelta(0), le=timedelta(days=7))
    """The longest that one is kept, whatever the request says; 0 keeps nothing."""
    cache_entry_limit: int = Field(default=512 * 1024, ge=1024, le=4 * _MIB)
    """Bytes of an answer that is kept."""
    cache_wait: Duration = Field(default=timedelta(milliseconds=100), gt=timedelta(0), le=timedelta(seconds=5))
    """How long the cache may take to answer before it is done without."""
    join_waiters: int = Field(default=100, ge=1)
    """Requests that may wait for the call of another one."""

    limits_without_metering: WithoutMetering = WithoutMetering.OPEN
    """What becomes of limited requests while usage-metering is away and leases are used up: ``open`` or ``closed``."""
    limits_wait: Duration = Field(default=timedelta(milliseconds=500), gt=timedelta(0), le=timedelta(seconds=10))
    """How long a request may wait for usage-metering, where a limit is used for the first time or has run out here."""
    limits_assumed_output: int = Field(default=500, ge=0)
    """Tokens that an answer is expected to have, whose request sets no bound."""

    idempotency_ttl: Duration = Field(default=timedelta(hours=24), ge=timedelta(seconds=1), le=timedelta(days=7))
    """How long the call of an ``Idempotency-Key`` is remembered."""
    idempotency_wait: Duration = Field(default=timedelta(seconds=60), ge=timedelta(0), le=timedelta(minutes=10))
    """How long a request waits for the first one with its key to be answered."""
    idempotency_entry_limit: int = Field(default=2 * _MIB, ge=1024, le=4 * _MIB)
    """Bytes of an answer that is kept for its key."""

    cors_origins: Listed = Field(default_factory=list)
    """Origins whose pages may call the gateway, comma separated; ``*`` for all, empty for none."""

    @field_validator("fetch_allowed_hosts")
    @classmethod
    def _readable(cls, entries: list[str]) -> list[str]:
        Rules.of((), entries)
        return entries
