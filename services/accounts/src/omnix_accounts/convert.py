"""Keys between protobuf and the domain."""

from datetime import datetime, timedelta

from omnix.account.v1 import account_pb2, account_service_pb2
from omnix_kit.convert import datetime_from, duration, timestamp

from omnix_accounts.errors import invalid
from omnix_accounts.keys import Key, OnDisconnect, Role, Wish

_MOST_MILLISECONDS = 600_000
"""As long as the recording keeps an answer for those who come back."""

_ROLES = {account_pb2.KEY_ROLE_ADMIN: Role.ADMIN, account_pb2.KEY_ROLE_MEMBER: Role.MEMBER}
_ROLES_TO_PROTO = {role: number for number, role in _ROLES.items()}


def wish_from_proto(request: account_service_pb2.CreateKeyRequest) -> Wish:
    role = _ROLES.get(request.role)
    if role is None:
        raise invalid("role", "role must be admin or member.")
    expire_time = None
    if request.HasField("expire_time"):
        try:
            expire_time = datetime_from(request.expire_time)
        except (ValueError, OverflowError):
            raise invalid("expire_time", "expire_time is not a time between the years 1 and 9999.") from None
    return Wish(
        tenant_id=request.tenant_id,
        maker_key_id=request.maker_key_id,
        name=request.name,
        role=role,
        user_id=request.user_id,
        team_id=request.team_id,
        expire_time=expire_time,
        on_disconnect=_on_disconnect(request.disconnect_policy) if request.HasField("disconnect_policy") else None,
    )


def _on_disconnect(policy: account_pb2.DisconnectPolicy) -> OnDisconnect:
    match policy.action:
        case account_pb2.DisconnectPolicy.ACTION_CANCEL:
            return OnDisconnect(timedelta(0))
        case account_pb2.DisconnectPolicy.ACTION_CONTINUE:
            return OnDisconnect(None)
        case account_pb2.DisconnectPolicy.ACTION_GRACE:
            milliseconds = policy.grace.seconds * 1000 + policy.grace.nanos // 1_000_000
            if 0 < milliseconds <= _MOST_MILLISECONDS:
                return OnDisconnect(timedelta(milliseconds=milliseconds))
            raise invalid("disconnect_policy", "The grace must be more than 0 and at most 10 minutes.")
    raise invalid("disconnect_policy", "The policy must be to cancel, to continue, or a grace.")


def _policy(on_disconnect: OnDisconnect) -> account_pb2.DisconnectPolicy:
    grace = on_disconnect.grace
    if grace is None:
        return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_CONTINUE)
    if not grace:
        return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_CANCEL)
    return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_GRACE, grace=duration(grace))


def key_to_proto(key: Key) -> account_pb2.Key:
    return account_pb2.Key(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        team_id=key.team_id,
        user_id=key.user_id,
        name=key.name,
        hint=key.hint,
        role=_ROLES_TO_PROTO[key.role],
        create_time=timestamp(key.create_time),
        expire_time=None if key.expire_time is None else timestamp(key.expire_time),
        revoke_time=None if key.revoke_time is None else timestamp(key.revoke_time),
        disconnect_policy=None if key.on_disconnect is None else _policy(key.on_disconnect),
    )


def event_to_wire(key: Key, event_id: str, now: datetime) -> bytes:
    """``AccountChanged`` for a key that was made or revoked."""
    return account_pb2.AccountChanged(
        event_id=event_id,
        tenant_id=key.tenant_id,
        key_id=key.key_id,
        revoked=key.revoke_time is not None,
        change_time=timestamp(key.revoke_time or now),
    ).SerializeToString()
