"""What the API tells of providers' health."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

State = Literal["unknown", "healthy", "degraded", "down"]
Circuit = Literal["closed", "open", "half_open"]


class HealthQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether the last changes are told, too."""

    history: bool = False


class FirstContent(Struct, kw_only=True):
    """Seconds within which half of the streamed answers began, and 95 % of them."""

    p50: float
    p95: float


class TargetHealth(Struct, kw_only=True):
    """One model. An open circuit lets no call through until `until_time`, a half-open one is being probed until then.

    Calls are those that say something of the target; `error_rate` is null when there were none.
    """

    model: str
    circuit: Circuit
    since_time: datetime | None
    until_time: datetime | None
    reason: str | None
    why: str | None
    calls: int
    failures: int
    error_rate: float | None
    first_content_seconds: FirstContent | None


class HealthChange(Struct, kw_only=True):
    """A circuit opened, or closed."""

    time: datetime
    model: str
    circuit: Circuit
    reason: str | None
    why: str


class ProviderHealth(Struct, kw_only=True):
    """One provider: in short, since when, why, and its models that were called lately. `history` is oldest first."""

    object: Literal["provider.health"] = "provider.health"
    provider: str
    state: State
    since_time: datetime | None
    why: str | None
    sandbox: bool
    targets: list[TargetHealth]
    history: list[HealthChange] | UnsetType = UNSET


class ProviderHealthList(Struct, kw_only=True):
    """Every provider. Figures go back `window_seconds`."""

    object: Literal["list"] = "list"
    window_seconds: float
    data: list[ProviderHealth]
