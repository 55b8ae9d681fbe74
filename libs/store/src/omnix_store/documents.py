"""Checking a document on its way in, whatever store it goes to.

Both implementations walk a document once, with their own table of how each scalar is written.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from omnix_store.errors import InvalidDocumentError
from omnix_store.port import CollectionSpec
from omnix_store.values import INT64_MAX, INT64_MIN, MAX_DEPTH, MAX_DOCUMENTS_AT_ONCE, MAX_ID_BYTES, at_path, kind_of

_Leaves = Mapping[type, Callable[[Any], Any]]


class Writer:
    """Turns values into a store's own form; what cannot be stored is refused with the field's path.

    ``leaves`` has one entry for each exact scalar type; their subclasses are reduced to the plain type first.
    ``key`` turns the name of a field.
    """

    def __init__(self, leaves: _Leaves, key: Callable[[str], str] | None = None) -> None:
        self._leaves = {**leaves, type(None): _same, float: _finite(leaves.get(float, _same))}
        self._leaves[int] = _int64(leaves.get(int, _same))
        self._key = key

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        written = self.value(document)
        if not isinstance(written, dict):
            raise InvalidDocumentError(f"a document is a mapping, not {type(document).__name__}")
        return written

    def value(self, value: Any) -> Any:
        try:
            return self._walk(value, 0)
        except _At as at:
            raise InvalidDocumentError(f"{at.path or 'document'}: {at.reason}") from at.__cause__

    def _walk(self, value: Any, depth: int) -> Any:
        leaf = self._leaves.get(type(value))
        if leaf is not None:
            return leaf(value)
        if depth > MAX_DEPTH:
            raise _At(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return [self._inside(f"[{at}]", item, depth) for at, item in enumerate(value)]
        return self._subclass(value)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        leaves, key, written = self._leaves, self._key, {}
        for name, item in value.items():
            if type(name) is not str:
                raise _At(f"field names are texts, not {type(name).__name__}")
            leaf = leaves.get(type(item))
            try:
                written[name if key is None else key(name)] = (
                    self._walk(item, depth + 1) if leaf is None else leaf(item)
                )
            except (_At, InvalidDocumentError) as exc:
                raise _At.within(name, exc) from exc
        return written

    def _inside(self, name: str, item: Any, depth: int) -> Any:
        try:
            return self._walk(item, depth + 1)
        except (_At, InvalidDocumentError) as exc:
            raise _At.within(name, exc) from exc

    def _subclass(self, value: Any) -> Any:
        match value:
            case str():
                return self._leaves[str](str.__str__(value))
            case int():
                return self._leaves[int](int(value))
            case float():
                return self._leaves[float](float(value))
            case bytes():
                return self._leaves[bytes](bytes(value))
            case datetime():
                return self._leaves[datetime](value)
            case _:
                raise _At(f"{type(value).__name__} cannot be stored")


class _At(Exception):
    """A reason together with the path gathered on the way out."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path

    @classmethod
    def within(cls, name: str, inner: Exception) -> "_At":
        if isinstance(inner, _At):
            return cls(inner.reason, f"{name}{'' if not inner.path or inner.path[0] == '[' else '.'}{inner.path}")
        return cls(str(inner), name)


def _same(value: Any) -> Any:
    return value


def _int64(write: Callable[[int], Any]) -> Callable[[int], Any]:
    def leaf(value: int) -> Any:
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidDocumentError("integer does not fit 64 bits")
        return write(value)

    return leaf


def _finite(write: Callable[[float], Any]) -> Callable[[float], Any]:
    def leaf(value: float) -> Any:
        if not math.isfinite(value):
            raise InvalidDocumentError("number is not finite")
        return write(value)

    return leaf


def check_document(spec: CollectionSpec, document: Mapping[str, Any]) -> str:
    """Check what the collection asks of every document and return the document's id."""
    if not isinstance(document, Mapping):
        raise InvalidDocumentError(f"a document is a mapping, not {type(document).__name__}")
    if "_id" in document:
        raise InvalidDocumentError("_id: the name is reserved; the id of a document is its field `id`")
    for key in spec.unique_keys:
        for path in key:
            check_unique_value(path, at_path(document, path))
    if spec.expire_field is not None:
        check_expire_value(spec.expire_field, at_path(document, spec.expire_field))
    return check_id(document.get("id"))


def check_id(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidDocumentError("id: every document has one, and it is a text")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        raise InvalidDocumentError("id: is not valid Unicode") from exc
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidDocumentError(f"id: must have 1 to {MAX_ID_BYTES} bytes")
    return value


def checked_many(documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if len(documents) > MAX_DOCUMENTS_AT_ONCE:
        raise InvalidDocumentError(f"at most {MAX_DOCUMENTS_AT_ONCE} documents are inserted at once")
    return documents


def check_unique_value(path: str, value: object) -> None:
    if value is None or kind_of(value) is None:
        raise InvalidDocumentError(f"{path}: is part of a unique key, so it must be there and be a single value")


def check_expire_value(path: str, value: object) -> None:
    if value is not None and not isinstance(value, datetime):
        raise InvalidDocumentError(f"{path}: is when the document expires, so it must be a time or None")


def overlapping(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return two paths of which one is the other or lies inside it, None if there are none."""
    ordered = sorted(path + "." for path in paths)
    for first, second in itertools.pairwise(ordered):
        if second.startswith(first):
            return first[:-1], second[:-1]
    return None
