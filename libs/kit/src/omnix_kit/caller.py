"""Who asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, see ``omnix.common.v1.Caller``. Empty strings mean none."""

    tenant_id: str
    team_id: str = ""
    user_id: str = ""
    key_id: str = ""
