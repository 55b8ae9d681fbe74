"""Where routes are stored: the newest version of each under its name, and the versions that were before it.

There are no transactions, and none is needed. The newest version is the truth, and is replaced on condition that it is
still the one that was read; before that it is copied to the earlier ones, which it may be again and again.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from omnix_kit.caller import Caller
from omnix_store import Change as Edit
from omnix_store import Document, DuplicateKeyError, Range, Scalar, Store, Totals, Where, index, unique

from omnix_router.stored.versions import Action, Change, Version

KEPT_VERSIONS: Final = 100
"""Of each route, besides the newest."""
_AT_ONCE: Final = 500
_ACTIONS: Final = frozenset(Action)
_AUTHOR: Final = ("tenant_id", "team_id", "user_id", "key_id")


@dataclass(frozen=True, slots=True)
class State:
    """Differs after every change."""

    routes: int = 0
    versions: int = 0
    latest: Scalar = None
    """When the last change was made."""


class Repository:
    def __init__(self, store: Store) -> None:
        self._routes = store.collection("routes", indexes=[unique("name"), index("deleted", "time")])
        self._earlier = store.collection("route_versions", indexes=[unique("route_id", "version")])

    async def state(self) -> State:
        """Quick to find, however many routes there are."""
        # Versions only grow, and what is deleted stays for a while as a version that says so.
        found = await self._routes.totals(Totals(sum=["version"], maximum=["time"]))
        if not found:
            return State()
        return State(found[0].count, int(found[0].sum["version"]), found[0].maximum["time"])

    async def all(self) -> list[Version]:
        """The newest version of every route that is not deleted."""
        found: list[Version] = []
        token: str | None = None
        while True:
            page = await self._routes.find({"deleted": False}, limit=_AT_ONCE, page_token=token)
            found += map(_version, page.documents)
            if (token := page.next_page_token) is None:
                return found

    async def newest(self, name: str) -> Version | None:
        """The newest version, which may be that it was deleted."""
        page = await self._routes.find({"name": name}, limit=1)
        return _version(page.documents[0]) if page.documents else None

    async def add(self, version: Version) -> bool:
        """Store the first version of a name; False when somebody else did."""
        try:
            await self._routes.insert(_document(version) | {"id": version.route_id})
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, former: Version, version: Version) -> bool:
        """Make a version the newest; False when ``former`` no longer is."""
        copy = {"id": f"{former.route_id}.{former.number}", "route_id": former.route_id}
        with suppress(DuplicateKeyError):  # somebody was about to replace it, too
            await self._earlier.insert(_document(former) | copy)
        where: Where = {"id": former.route_id, "version": former.number}
        if await self._routes.update(where, Edit(set=_document(version))) is None:
            return False
        await self._earlier.delete({"route_id": former.route_id, "version": Range(lt=version.number - KEPT_VERSIONS)})
        return True

    async def earlier(self, newest: Version) -> list[Version]:
        """What was before the newest version, newest first."""
        page = await self._earlier.find(
            {"route_id": newest.route_id, "version": Range(lt=newest.number)}, sort=("-version",), limit=KEPT_VERSIONS
        )
        return [_version(document, document["route_id"]) for document in page.documents]

    async def version(self, newest: Version, number: int) -> Version | None:
        if number == newest.number:
            return newest
        page = await self._earlier.find({"route_id": newest.route_id, "version": number}, limit=1)
        return _version(page.documents[0], newest.route_id) if page.documents else None

    async def forget(self, before: datetime) -> None:
        """Forget some routes that were deleted before that time, with all their versions."""
        page = await self._routes.find({"deleted": True, "time": Range(lt=before)}, limit=10)
        for document in page.documents:
            # The newest goes first: whoever comes between finds a name that is free.
            if await self._routes.delete({"id": document["id"], "version": document["version"]}):
                await self._earlier.delete({"route_id": document["id"]})


def _document(version: Version) -> dict[str, Any]:
    author = version.change.author
    return {
        "name": version.name,
        "version": version.number,
        "deleted": version.written is None,
        "route": None if version.written is None else dict(version.written),
        "action": version.change.action.value,
        "time": version.change.time,
        "restored_version": version.change.restored_version,
        "author": {field: getattr(author, field) for field in _AUTHOR},
    }


def _version(document: Document, route_id: str | None = None) -> Version:
    action, author = document["action"], document["author"]
    change = Change(
        # A later version of OmniX may know others; for what is in force they are all the same.
        Action(action) if action in _ACTIONS else Action.UPDATED,
        Caller(**{field: author.get(field, "") for field in _AUTHOR}),
        document["time"],
        int(document["restored_version"]),
    )
    return Version(
        route_id or document["id"], document["name"], int(document["version"]), change, document["route"] or None
    )
