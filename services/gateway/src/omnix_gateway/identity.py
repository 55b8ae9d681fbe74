"""Who a request comes from, and what its key allows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from omnix_kit.caller import Caller
from omnix_kit.errors import CallerError, Reason

from omnix_gateway.policies import OnDisconnect


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of a valid key."""

    key_id: str
    tenant_id: str
    role: Role
    team_id: str = ""
    user_id: str = ""
    expire_time: datetime | None = None
    on_disconnect: OnDisconnect | None = None
    """Of its streams, unless a request says otherwise; None leaves it to the gateway."""
    key_sha256: bytes = b""
    """To ask again whether the key still holds."""

    @property
    def caller(self) -> Caller:
        return Caller(tenant_id=self.tenant_id, team_id=self.team_id, user_id=self.user_id, key_id=self.key_id)

    def needs(self, role: Role) -> None:
        """Refuse unless the key carries the role; an admin's carries every one."""
        if self.role is not role and self.role is not Role.ADMIN:
            raise CallerError(f"This needs a key with the role '{role}'.", reason=Reason.PERMISSION_DENIED)

    def may_see(self, tenant_id: str, key_id: str) -> bool:
        """Whether a completion of that tenant, made with that key, is this caller's to watch and to cancel."""
        return self.tenant_id == tenant_id and (self.key_id == key_id or self.role is Role.ADMIN)
