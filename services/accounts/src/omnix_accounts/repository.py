"""What accounts stores: tenants, keys, and which bootstrap key holds.

The tenant is part of every query but one: who is to be authenticated has shown a secret and not yet said who it is.
A key that changed carries the id of an event that is not announced yet, written in the same step as the change itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from omnix_kit.ids import uuid7
from omnix_store import Change, Document, DuplicateKeyError, Range, Store, index, unique

from omnix_accounts.keys import Key, OnDisconnect, Role

_SEAT = "admin_key"


@dataclass(frozen=True, slots=True)
class Seat:
    """Which secret is the bootstrap key's: the one with the highest number holds."""

    sha256: str
    number: int


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A key whose last change nobody was told about yet."""

    key: Key
    event_id: str


class Repository:
    def __init__(self, store: Store) -> None:
        self._tenants = store.collection("tenants")
        self._keys = store.collection(
            "keys",
            indexes=[unique("sha256"), index("tenant_id", "create_time"), index("bootstrap"), index("unannounced")],
        )
        self._seats = store.collection("seats")

    async def add_tenant(self, tenant_id: str, name: str, create_time: datetime) -> None:
        """Add a tenant; one that is there already stays as it is."""
        try:
            await self._tenants.insert({"id": tenant_id, "name": name, "create_time": create_time})
        except DuplicateKeyError:
            return

    async def add(self, key: Key) -> None:
        """Store a new key, to be announced.

        :raises DuplicateKeyError: when there is one with this id or secret.
        """
        await self._keys.insert(_document(key) | {"unannounced": uuid7()})

    async def by_digest(self, sha256: str) -> Key | None:
        """Find a key by its secret, in whatever tenant."""
        page = await self._keys.find({"sha256": sha256}, limit=1)
        return _key(page.documents[0]) if page.documents else None

    async def get(self, tenant_id: str, key_id: str) -> Key | None:
        page = await self._keys.find({"id": key_id, "tenant_id": tenant_id}, limit=1)
        return _key(page.documents[0]) if page.documents else None

    async def page(self, tenant_id: str, size: int, token: str | None) -> tuple[list[Key], str | None]:
        """Keys of a tenant, newest first, and the token of the next page."""
        page = await self._keys.find(
            {"tenant_id": tenant_id}, sort=("-create_time",), limit=size, page_token=token or None
        )
        return [_key(document) for document in page.documents], page.next_page_token

    async def revoke(self, tenant_id: str, key_id: str, time: datetime) -> Key | None:
        """End a key, to be announced; None when it is not there or had ended before."""
        changed = await self._keys.update(
            {"id": key_id, "tenant_id": tenant_id, "revoke_time": None},
            Change(set={"revoke_time": time, "unannounced": uuid7()}),
        )
        return None if changed is None else _key(changed)

    async def has_admin(self, tenant_id: str) -> bool:
        page = await self._keys.find({"tenant_id": tenant_id, "role": Role.ADMIN.value, "revoke_time": None}, limit=1)
        return bool(page.documents)

    async def unannounced(self, limit: int) -> list[Unannounced]:
        """Changes that are still to be announced, of all tenants."""
        page = await self._keys.find({"unannounced": Range(gt="")}, limit=limit)
        return [Unannounced(_key(document), str(document["unannounced"])) for document in page.documents]

    async def announced(self, change: Unannounced) -> None:
        """Note that a change was announced; one that came after it stays to be announced."""
        await self._keys.update(
            {"id": change.key.key_id, "tenant_id": change.key.tenant_id, "unannounced": change.event_id},
            Change(set={"unannounced": ""}),
        )

    async def seat(self) -> Seat | None:
        found = await self._seats.get(_SEAT)
        return None if found is None else Seat(str(found["sha256"]), int(found["number"]))

    async def take_seat(self, taken: Seat, former: Seat | None) -> bool:
        """Say which secret is the bootstrap key's from now on; False when another process said so first."""
        fields = {"sha256": taken.sha256, "number": taken.number}
        if former is not None:
            where: Mapping[str, str | int] = {"id": _SEAT, "sha256": former.sha256, "number": former.number}
            return await self._seats.update(where, Change(set=fields)) is not None
        try:
            await self._seats.insert({"id": _SEAT, **fields})
        except DuplicateKeyError:
            return False
        return True

    async def make_bootstrap(self, key: Key, number: int) -> None:
        """Make a key that is there already the bootstrap key."""
        await self._keys.update({"id": key.key_id, "tenant_id": key.tenant_id}, Change(set={"bootstrap": number}))

    async def bootstrap_before(self, tenant_id: str, number: int) -> list[Key]:
        """Bootstrap keys of former secrets that are still valid."""
        page = await self._keys.find(
            {"tenant_id": tenant_id, "bootstrap": Range(gte=1, lt=number), "revoke_time": None}, limit=1000
        )
        return [_key(document) for document in page.documents]


def _document(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "tenant_id": key.tenant_id,
        "team_id": key.team_id,
        "user_id": key.user_id,
        "name": key.name,
        "role": key.role.value,
        "sha256": key.sha256,
        "hint": key.hint,
        "create_time": key.create_time,
        "expire_time": key.expire_time,
        "revoke_time": key.revoke_time,
        "bootstrap": key.bootstrap,
    } | ({} if key.on_disconnect is None else {"on_disconnect": _milliseconds(key.on_disconnect)})


def _milliseconds(on_disconnect: OnDisconnect) -> int:
    """The grace; negative for none that ends."""
    return -1 if on_disconnect.grace is None else on_disconnect.grace // timedelta(milliseconds=1)


def _key(document: Document) -> Key:
    return Key(
        key_id=document["id"],
        tenant_id=document["tenant_id"],
        team_id=document["team_id"],
        user_id=document["user_id"],
        name=document["name"],
        role=Role(document["role"]),
        sha256=document["sha256"],
        hint=document["hint"],
        create_time=document["create_time"],
        expire_time=document["expire_time"],
        revoke_time=document["revoke_time"],
        bootstrap=document["bootstrap"],
        on_disconnect=_on_disconnect(document.get("on_disconnect")),
    )


def _on_disconnect(milliseconds: Any) -> OnDisconnect | None:
    if milliseconds is None:
        return None
    return OnDisconnect(None if milliseconds < 0 else timedelta(milliseconds=milliseconds))
