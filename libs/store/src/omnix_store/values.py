"""The values a document may hold, and the one order both implementations sort them in.

The order is BSON's: nothing, numbers, texts, bytes (shorter ones first), false, true, times.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeAlias

from omnix_store.errors import InvalidDocumentError

Scalar: TypeAlias = bool | int | float | str | bytes | datetime | None
Document: TypeAlias = dict[str, Any]
"""A document as it left the store: ``Any`` because it is the wire; repositories narrow it at once."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 80
MAX_DOCUMENT_BYTES = 8 * 2**20
MAX_ID_BYTES = 1000
MAX_DOCUMENTS_AT_ONCE = 1000


class Kind(IntEnum):
    """A value's type as far as comparing goes; ranges match values of their own kind only."""

    NOTHING = 0
    NUMBER = 1
    TEXT = 2
    BYTES = 3
    BOOL = 4
    TIME = 5


def kind_of(value: object) -> Kind | None:
    """Return the kind of a scalar, None for anything else."""
    match value:
        case None:
            return Kind.NOTHING
        case bool():
            return Kind.BOOL
        case int() | float():
            return Kind.NUMBER
        case str():
            return Kind.TEXT
        case bytes():
            return Kind.BYTES
        case datetime():
            return Kind.TIME
        case _:
            return None


def sort_key(value: Scalar) -> tuple[Any, ...]:
    """Return a tuple that orders scalars of all kinds as the stores do."""
    kind = kind_of(value)
    match value:
        case None:
            return (kind,)
        case bytes():
            return (kind, len(value), value)
        case str():
            return (kind, value.encode())
        case _:
            return (kind, value)


def truncated(value: datetime) -> datetime:
    """Return the instant in UTC, cut to the millisecond; a time without a zone is refused."""
    if value.tzinfo is None:
        raise InvalidDocumentError("a time must say its zone; a naive datetime is ambiguous")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise InvalidDocumentError("the time lies outside years 1 to 9999 in UTC") from None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def at_path(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, None where there is none; a path never enters a list."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
