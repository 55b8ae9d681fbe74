"""Unique keys: writing until it works or it is known which key another document has taken.

Servers differ in what they tell about a duplicate (FerretDB 1.24 tells nothing on insert and reports an internal
error on update), so the key is looked up instead of read from the error.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pymongo import errors
from pymongo.asynchronous.collection import AsyncCollection

from omnix_store.errors import DuplicateKeyError, StoreUnavailableError
from omnix_store.mongodb import filters
from omnix_store.port import CollectionSpec
from omnix_store.query import Is
from omnix_store.values import Document, at_path

T = TypeVar("T")

_DUPLICATE = 11000
_INTERNAL = 1
_TRIES = 5


def may_be_duplicate(exc: errors.OperationFailure) -> bool:
    return exc.code in (_DUPLICATE, _INTERNAL)


async def written(
    write: Callable[[], Awaitable[T]],
    *,
    purge: Callable[[], Awaitable[int]],
    taken: Callable[[], Awaitable[DuplicateKeyError | None]],
) -> T:
    """Write; an expired document that is in the way is removed, any other is the answer.

    What was in the way may be gone when it is looked for: then writing is tried again.
    """
    for _ in range(_TRIES):
        try:
            return await write()
        except errors.OperationFailure as exc:
            if not may_be_duplicate(exc):
                raise
            if await purge() > 0:
                continue
            duplicate = await taken()
            if duplicate is not None:
                raise duplicate from exc
            if exc.code != _DUPLICATE:
                raise
    raise StoreUnavailableError("documents with the same unique key come and go; try again")


async def taken_key(
    spec: CollectionSpec, collection: AsyncCollection[dict[str, Any]], document: Document, *, or_id: bool
) -> DuplicateKeyError | None:
    """Return which unique key of the document another one has; with ``or_id`` the id counts as one too."""
    for key in spec.unique_keys:
        same = filters.where(tuple((path, Is(at_path(document, path))) for path in key))
        other = filters.all_of(same, {"_id": {"$ne": document["id"]}})
        if await collection.find_one(other, {"_id": 1}) is not None:
            return DuplicateKeyError(spec.name, key)
    if or_id and await collection.find_one({"_id": document["id"]}, {"_id": 1}) is not None:
        return DuplicateKeyError(spec.name, ("id",))
    return None
