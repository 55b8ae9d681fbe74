"""Limits and their counters as they are stored. The tenant is part of every id and of every query."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from omnix_store import Change, Document, DuplicateKeyError, Store, Where, index

from omnix_usage_metering.quotas.leasing import Books, Counter, Holding
from omnix_usage_metering.quotas.limits import MOST_OF_TENANT, Enforcement, Kind, Limit, Subject

NEW: Final = 0


class Repository:
    def __init__(self, store: Store) -> None:
        self._limits = store.collection("limits", indexes=[index("tenant_id", "limit_id")])
        self._counters = store.collection("limit_counters", expire_field="expire_time")

    async def limit(self, tenant_id: str, limit_id: str) -> Limit | None:
        found = await self._limits.get(_limit_key(tenant_id, limit_id))
        return None if found is None else _limit(found)

    async def limits(self, tenant_id: str) -> list[Limit]:
        page = await self._limits.find({"tenant_id": tenant_id}, sort=("limit_id",), limit=MOST_OF_TENANT)
        return [_limit(document) for document in page.documents]

    async def add(self, limit: Limit) -> bool:
        """False when there is one of that id."""
        try:
            await self._limits.insert({"id": _limit_key(limit.tenant_id, limit.limit_id), **_fields(limit)})
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, limit: Limit, former: int) -> bool:
        """False when it is no longer at the former version."""
        where: Where = {
            "id": _limit_key(limit.tenant_id, limit.limit_id),
            "tenant_id": limit.tenant_id,
            "version": former,
        }
        return await self._limits.update(where, Change(set=_fields(limit))) is not None

    async def delete(self, tenant_id: str, limit_id: str) -> bool:
        where = {"id": _limit_key(tenant_id, limit_id), "tenant_id": tenant_id}
        return await self._limits.delete(where) > 0

    async def counter(self, limit: Limit, subject_id: str) -> tuple[Counter, int]:
        """A counter with its version, ``NEW`` where it is not stored yet."""
        found = await self._counters.get(_counter_key(limit, subject_id))
        return (Counter(), NEW) if found is None else (_counter(found), int(found["version"]))

    async def keep(self, limit: Limit, subject_id: str, counter: Counter, version: int, until: datetime) -> bool:
        """Store a counter; False when somebody else did since it was read."""
        key = _counter_key(limit, subject_id)
        fields = {**_counter_fields(counter), "version": version + 1, "expire_time": until}
        if version == NEW:
            try:
                await self._counters.insert({"id": key, "tenant_id": limit.tenant_id, **fields})
            except DuplicateKeyError:
                return False
            return True
        where: Where = {"id": key, "tenant_id": limit.tenant_id, "version": version}
        return await self._counters.update(where, Change(set=fields)) is not None


def _limit_key(tenant_id: str, limit_id: str) -> str:
    return f"{limit_id}/{tenant_id}"  # a limit's id has no slash


def _counter_key(limit: Limit, subject_id: str) -> str:
    """Another kind, subject or model makes another counter; another amount does not."""
    of = (limit.limit_id, limit.kind.value, limit.subject.value, str(len(limit.tenant_id)), limit.tenant_id)
    return "/".join((*of, str(len(limit.model_pattern)), limit.model_pattern, subject_id))


def _fields(limit: Limit) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, Subject | Kind | Enforcement) else value
        for name, value in asdict(limit).items()
    }


def _limit(document: Document) -> Limit:
    return Limit(
        limit_id=document["limit_id"],
        tenant_id=document["tenant_id"],
        subject=Subject(document["subject"]),
        subject_id=document["subject_id"],
        model_pattern=document["model_pattern"],
        kind=Kind(document["kind"]),
        amount=document["amount"],
        enforcement=Enforcement(document["enforcement"]),
        version=document["version"],
        create_time=document["create_time"],
        update_time=document["update_time"],
    )


def _counter_fields(counter: Counter) -> dict[str, Any]:
    books = counter.books
    return {
        "window": counter.window,
        "forgotten": counter.forgotten,
        "notified": counter.notified,
        "holdings": [{"gateway_id": name, **asdict(held)} for name, held in counter.holdings.items()],
        "books": None if books is None else asdict(books),
    }


def _counter(document: Document) -> Counter:
    holdings: Mapping[str, Holding] = {
        held["gateway_id"]: Holding(held["spent"], held["reserved"], held["granted"], held["expire_time"])
        for held in document["holdings"]
    }
    books = document["books"]
    return Counter(
        window=document["window"],
        forgotten=document["forgotten"],
        notified=document["notified"],
        holdings=MappingProxyType(holdings),
        books=None if books is None else Books(**books),
    )
