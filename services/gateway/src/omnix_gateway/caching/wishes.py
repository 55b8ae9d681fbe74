"""What a request wishes of the cache, by header or field, and what becomes of it here. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

import msgspec
from omnix_kit.errors import CallerError

from omnix_gateway.chat.schema import CacheWish
from omnix_gateway.errors import invalid
from omnix_gateway.identity import Identity

HEADER: Final = "x-omnix-cache"
FIELD: Final = "cache"


class Usual(StrEnum):
    """What becomes of a request that says nothing of the cache."""

    OFF = "off"
    JOIN = "join"
    """It shares the answer of an identical one that is under way."""
    ON = "on"
    """The same, and it is answered from the cache, and its answer kept."""


class SharedBy(StrEnum):
    """Who gets each other's answers. Tenants never do."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator set; times in seconds."""

    usual: Usual = Usual.OFF
    shared_by: SharedBy = SharedBy.TENANT
    ttl: int = 300
    max_ttl: int = 86_400
    """0 keeps nothing."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wishes; all of it may be nothing."""

    reads: bool = False
    """It may be answered from the cache."""
    joins: bool = False
    """It may share the answer of an identical request that is under way."""
    ttl: int = 0
    """Seconds for which its answer is kept; 0 keeps it not."""
    max_age: int | None = None
    """Seconds that an answer out of the cache may be old."""
    namespace: str = ""

    @property
    def is_nothing(self) -> bool:
        return not (self.reads or self.joins or self.ttl)


def circle(identity: Identity, shared_by: SharedBy) -> tuple[str, str]:
    """Who of a tenant gets this one's answers. A key of no team, or no user, then shares with no other."""
    match shared_by:
        case SharedBy.TENANT:
            return "tenant", ""
        case SharedBy.TEAM if identity.team_id:
            return "team", identity.team_id
        case SharedBy.USER if identity.user_id:
            return "user", identity.user_id
        case SharedBy.TEAM | SharedBy.USER | SharedBy.KEY:
            return "key", identity.key_id
        case _:
            assert_never(shared_by)


def wish(header: str | None, field: CacheWish | bool | None, operator: Operator) -> Wish | None:
    """What the request wishes; None when neither it nor the operator wishes anything.

    :raises CallerError: for what cannot be understood or contradicts itself.
    """
    if header is None and field is None:
        return None if operator.usual is Usual.OFF else _meant(None, CacheWish(), operator)
    told = None if header is None else _meant(*_read(header), operator)
    if field is None:
        return told
    also = _meant(field, CacheWish(), operator) if isinstance(field, bool) else _meant(None, field, operator)
    if told not in (None, also):
        raise invalid(f"'{FIELD}' and the header '{HEADER}' are given and differ.", FIELD)
    return also


def _meant(switch: bool | None, said: CacheWish, operator: Operator) -> Wish:
    if switch is False:
        return Wish()
    max_age = _max_age(said)
    on = switch or said.ttl is not None or max_age is not None or operator.usual is Usual.ON
    joins = said.join if said.join is not None else on or operator.usual is Usual.JOIN
    return Wish(
        reads=on and not said.no_cache,
        joins=joins and not said.no_cache,
        ttl=min(said.ttl or operator.ttl, operator.max_ttl) if on and not said.no_store else 0,
        max_age=max_age,
        namespace=said.namespace or "",
    )


def _max_age(said: CacheWish) -> int | None:
    if said.max_age is not None and said.s_maxage not in (None, said.max_age):
        raise invalid("'max-age' and 's-maxage' are given and differ.", f"{FIELD}.s-maxage")
    return said.s_maxage if said.max_age is None else said.max_age


_NUMBERS: Final = ("ttl", "max-age", "s-maxage")
_FLAGS: Final = ("no-cache", "no-store", "join", "on", "off")


def _read(header: str) -> tuple[bool | None, CacheWish]:
    """Read directives in the form of ``Cache-Control``: comma separated, in any case, some with a value.

    Answers whether the cache is switched on or off, and the rest.
    """
    told: dict[str, object] = {}
    for directive in header.split(","):
        name, given, value = (part.strip() for part in directive.partition("="))
        name = name.lower()
        if name in told:
            raise invalid(f"The header '{HEADER}' says '{name}' twice.", HEADER)
        if name in _NUMBERS and value.isascii() and value.isdigit():
            told[name] = int(value[:20])
        elif name == "namespace":
            told[name] = value
        elif name in _FLAGS and not given:
            told[name] = True
        elif name or given:
            raise _unknown(directive)
    if told.pop("off", False):
        if told:
            raise invalid(f"The header '{HEADER}' says 'off' and more.", HEADER)
        return False, CacheWish()
    switch = told.pop("on", None)
    try:
        return switch is not None or None, msgspec.convert(told, CacheWish)
    except msgspec.ValidationError:
        raise _unknown(header) from None


def _unknown(said: str) -> CallerError:
    return invalid(
        f"The header '{HEADER}' says '{said.strip()[:80]}'; it may say 'on', 'off', 'ttl=<seconds>', "
        "'max-age=<seconds>', 'no-cache', 'no-store', 'join' and 'namespace=<name>'.",
        HEADER,
    )
