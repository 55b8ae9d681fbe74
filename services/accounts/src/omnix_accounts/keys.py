"""API keys: how a secret is made and told apart, and what a key may do."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from omnix_accounts.errors import invalid

PREFIX = "sk-omnix-"
_RANDOM_BYTES = 32
_HINT_CHARACTERS = len(PREFIX) + 4
_MAX_NAME = 100
_MAX_OWNER = 128


class Role(StrEnum):
    """What a key allows."""

    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class OnDisconnect:
    """How long a streamed answer goes on with nobody who reads it."""

    grace: timedelta | None
    """Zero ends it at once, None lets it come to its end. Whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored: everything but its secret. Times are whole milliseconds, as the store keeps them."""

    key_id: str
    tenant_id: str
    name: str
    role: Role
    sha256: str
    """Of the secret, in hexadecimal."""
    hint: str
    create_time: datetime
    team_id: str = ""
    user_id: str = ""
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    on_disconnect: OnDisconnect | None = None
    """None leaves it to the gateway."""
    bootstrap: int = 0
    """Which bootstrap key it is, counted from 1; 0 for keys that were made by request."""

    def is_valid(self, now: datetime) -> bool:
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)

    def has_digest(self, digest: bytes) -> bool:
        return hmac.compare_digest(bytes.fromhex(self.sha256), digest)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the maker of a key asks for."""

    tenant_id: str
    maker_key_id: str
    name: str
    role: Role
    user_id: str = ""
    team_id: str = ""
    expire_time: datetime | None = None
    on_disconnect: OnDisconnect | None = None


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def hint(secret: str) -> str:
    """The first characters, at most a quarter of them, so that a hint gives nothing away."""
    return secret[: min(_HINT_CHARACTERS, len(secret) // 4)]


def check(wish: Wish, now: datetime) -> None:
    """Refuse a wish that no maker could be granted.

    :raises CallerError: ``INVALID_REQUEST``, naming the field.
    """
    if not wish.name.strip() or len(wish.name) > _MAX_NAME or not wish.name.isprintable():
        raise invalid("name", f"name must be 1 to {_MAX_NAME} printable characters, not only spaces.")
    for param, owner in (("user_id", wish.user_id), ("team_id", wish.team_id)):
        if len(owner) > _MAX_OWNER or not owner.isprintable():
            raise invalid(param, f"{param} must be at most {_MAX_OWNER} printable characters.")
    if wish.expire_time is not None and wish.expire_time <= now:
        raise invalid("expire_time", "expire_time must be in the future.")


def may_make(maker: Key, wish: Wish) -> bool:
    """Whether the maker has every right that it would give, for as long as it would give it."""
    if maker.role is not Role.ADMIN:
        return False
    return maker.expire_time is None or (wish.expire_time is not None and wish.expire_time <= maker.expire_time)
