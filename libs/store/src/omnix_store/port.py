"""The port: what a service may rely on, whichever store is behind it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, TypeVar

from omnix_store.errors import DuplicateKeyError, InvalidQueryError
from omnix_store.query import Where, checked_path
from omnix_store.values import Document, Scalar

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Index:
    """Fields that are found and sorted by quickly, leading ones first."""

    fields: tuple[str, ...]
    unique: bool = False


def index(*fields: str) -> Index:
    return Index(fields)


def unique(*fields: str) -> Index:
    """Declare that no two documents have the same values in these fields, which every document must have."""
    return Index(fields, unique=True)


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection as it was declared; bad names are refused when it is made."""

    name: str
    indexes: tuple[Index, ...] = ()
    expire_field: str | None = None
    unique_keys: tuple[tuple[str, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.startswith(("sqlite_", "system")):
            raise InvalidQueryError(f"not a collection name: {self.name!r}")
        for declared in self.indexes:
            if not 1 <= len(declared.fields) <= 8 or len(set(declared.fields)) != len(declared.fields):
                raise InvalidQueryError(f"{self.name}: an index has 1 to 8 different fields")
            for path in declared.fields:
                checked_path(path)
        if self.expire_field is not None:
            checked_path(self.expire_field)
        object.__setattr__(self, "unique_keys", tuple(each.fields for each in self.indexes if each.unique))


class Declared(Protocol):
    """Something made for a collection's declaration."""

    @property
    def spec(self) -> CollectionSpec: ...


D = TypeVar("D", bound=Declared)


def same_declaration(known: D, spec: CollectionSpec) -> D:
    """Return the collection that is known already; declaring it differently is a programming error."""
    if known.spec != spec:
        raise InvalidQueryError(f"{spec.name}: is declared twice, and differently")
    return known


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to one document, all of it or nothing.

    ``increment`` starts from 0 where the field is missing; ``set`` makes the mappings on its way.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    increment: Mapping[str, int | float] = field(default_factory=dict)
    unset: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in the order asked for; ``next_page_token`` is None on the last page."""

    documents: list[Document]
    next_page_token: str | None


class Bucket(Enum):
    """Spans of time in UTC; a bucket is named by its beginning."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Totals:
    """What to total. Every field named here must hold single values, not lists or mappings.

    ``bucket_field`` and ``bucket`` go together. Sums are over numbers, other values count as nothing there;
    ``maximum`` and ``minimum`` leave missing values out.
    """

    group_by: Sequence[str] = ()
    bucket_field: str | None = None
    bucket: Bucket | None = None
    sum: Sequence[str] = ()
    maximum: Sequence[str] = ()
    minimum: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """One group: its values by field, the beginning of its bucket, and what was totalled, by field."""

    group: dict[str, Scalar]
    bucket: datetime | None
    count: int
    sum: dict[str, int | float]
    maximum: dict[str, Scalar]
    minimum: dict[str, Scalar]


class Collection(Protocol):
    """Documents under one name. Every method may raise any ``StoreError``.

    A write is durable when its await returns. Cancelling the await leaves the write either done or not done,
    never half done. Documents whose expiry time has come are absent for every operation.
    """

    async def insert(self, document: Mapping[str, Any]) -> None:
        """Store a new document; its field ``id``, a text, must be new, as must its other unique keys."""

    async def insert_many(self, documents: Sequence[Mapping[str, Any]]) -> list[DuplicateKeyError | None]:
        """Store each document for itself; the answer has, in their order, the error of those that were duplicates.

        If any document is invalid, none is stored.
        """

    async def get(self, id: str) -> Document | None:
        """Return the document with this id."""

    async def find(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        page_token: str | None = None,
    ) -> Page:
        """Return a page of what matches, by ``sort`` (``-`` in front of a field reverses it) and then by id.

        The next page begins behind the last document of this one, whatever was inserted or deleted meanwhile.
        Sort fields must hold single values.
        """

    async def update(self, where: Where, change: Change, *, sort: Sequence[str] = ()) -> Document | None:
        """Change the first document that matches and return it as it is then; None if none matched.

        Matching and changing are one step: of many callers with the same condition on what they change, one wins.
        """

    async def increment(
        self, id: str, amounts: Mapping[str, int | float], *, on_insert: Mapping[str, Any] | None = None
    ) -> Document:
        """Add to the document's numbers, making it from ``on_insert`` first if it is not there; return it.

        ``on_insert`` and the id must make a whole document, with every field of a unique key.
        """

    async def delete(self, where: Where) -> int:
        """Delete all that matches and return how many; an empty ``where`` is refused."""

    async def totals(self, totals: Totals, where: Where | None = None) -> list[Total]:
        """Total what matches, by group; ordered by bucket, then by group."""

    async def purge_expired(self) -> int:
        """Free the space of expired documents; the store does so by itself from time to time."""


class Store(Protocol):
    """A service's own database."""

    def collection(self, name: str, *, indexes: Sequence[Index] = (), expire_field: str | None = None) -> Collection:
        """Declare a collection. It and its indexes are made when it is first used.

        Declaring it again, the same way, gives the same collection.
        An index that is no longer declared is left alone. ``expire_field`` holds a time after which the document
        is gone; without a time there it stays.
        """

    async def check(self) -> None:
        """Return if the store can be used now and has every declared index."""
