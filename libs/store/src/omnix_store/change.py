"""Changing one document, as MongoDB's ``$set``, ``$inc`` and ``$unset`` do."""

import math
from collections.abc import Mapping
from typing import Any

from omnix_store.documents import check_document, check_expire_value, check_unique_value, overlapping
from omnix_store.errors import InvalidChangeError
from omnix_store.port import Change, CollectionSpec
from omnix_store.query import checked_path
from omnix_store.values import INT64_MAX, INT64_MIN, Document


def check_change(spec: CollectionSpec, change: Change) -> None:
    """Refuse what cannot work on any document of the collection."""
    paths = [*change.set, *change.increment, *change.unset]
    if not paths:
        raise InvalidChangeError("the change is empty")
    for path in paths:
        checked_path(path)
    if "id" in paths:
        raise InvalidChangeError("id: cannot be changed")
    if (pair := overlapping(paths)) is not None:
        raise InvalidChangeError(f"{pair[0]} and {pair[1]} cannot be changed at once")
    for path, amount in change.increment.items():
        _check_amount(path, amount)
    _check_declared_fields(spec, change, paths)


def _check_declared_fields(spec: CollectionSpec, change: Change, paths: list[str]) -> None:
    keys = {path for key in spec.unique_keys for path in key}
    expire = set() if spec.expire_field is None else {spec.expire_field}
    for path in paths:
        if any(declared != path and overlapping((declared, path)) for declared in keys | expire):
            raise InvalidChangeError(f"{path}: holds a field of a unique key or the expiry; change that one itself")
    for path in keys & set(change.unset):
        check_unique_value(path, None)
    for path in keys & change.set.keys():
        check_unique_value(path, change.set[path])
    for path in expire & change.set.keys():
        check_expire_value(path, change.set[path])
    for path in expire & change.increment.keys():
        raise InvalidChangeError(f"{path}: is a time, so nothing can be added to it")


def _check_amount(path: str, amount: object) -> None:
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise InvalidChangeError(f"{path}: can be increased by a number only")
    if isinstance(amount, float) and not math.isfinite(amount):
        raise InvalidChangeError(f"{path}: amount is not finite")
    if isinstance(amount, int) and not INT64_MIN <= amount <= INT64_MAX:
        raise InvalidChangeError(f"{path}: amount does not fit 64 bits")


def check_on_insert(
    spec: CollectionSpec, id: str, amounts: Mapping[str, Any], on_insert: Mapping[str, Any] | None
) -> Document:
    """Return the new document an increment would begin from."""
    new = {**(on_insert or {}), "id": id}
    check_document(spec, new)
    if (pair := overlapping((*new, *amounts))) is not None:
        raise InvalidChangeError(f"{pair[0]} and {pair[1]} cannot be both in on_insert and increased")
    return new


def changed(document: Document, change: Change) -> Document:
    """Return the changed document; the given one is left as it was."""
    result = dict(document)
    for path, value in change.set.items():
        holder, name = _holder(result, path)
        holder[name] = value
    for path, amount in change.increment.items():
        holder, name = _holder(result, path)
        holder[name] = _added(path, holder.get(name, 0), amount)
    for path in change.unset:
        _unset(result, path)
    return result


def _holder(document: Document, path: str) -> tuple[dict[str, Any], str]:
    """Return the mapping that holds the path's last name, copied so that it may be changed."""
    *parents, name = path.split(".")
    holder = document
    for parent in parents:
        inner = holder.get(parent, {})
        if not isinstance(inner, Mapping):
            raise InvalidChangeError(f"{path}: {parent} is not a mapping")
        holder[parent] = holder = dict(inner)
    return holder, name


def _added(path: str, value: object, amount: int | float) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidChangeError(f"{path}: is not a number")
    total = value + amount
    if isinstance(total, int) and not INT64_MIN <= total <= INT64_MAX:
        raise InvalidChangeError(f"{path}: the sum does not fit 64 bits")
    return total


def _unset(document: Document, path: str) -> None:
    *parents, name = path.split(".")
    holder: Any = document
    for parent in parents:
        inner = holder.get(parent)
        if not isinstance(inner, Mapping):
            return
        holder[parent] = holder = dict(inner)
    holder.pop(name, None)
