"""What may be asked of a collection, checked before any store sees it.

Field names are checked against a pattern and values are only ever operands, so nothing a caller sends can
become part of a statement or an operator.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, cast

from omnix_store.errors import InvalidDocumentError, InvalidQueryError
from omnix_store.values import INT64_MAX, INT64_MIN, Kind, Scalar, kind_of, truncated

MAX_LIMIT = 1000
MAX_ALTERNATIVES = 1000

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}")


@dataclass(frozen=True, slots=True)
class Range:
    """Between bounds of one kind; a bound that is None is open."""

    gt: Scalar = None
    gte: Scalar = None
    lt: Scalar = None
    lte: Scalar = None


@dataclass(frozen=True, slots=True)
class In:
    """Equal to one of the values; None stands for a missing field too."""

    values: Sequence[Scalar]


@dataclass(frozen=True, slots=True)
class Not:
    """Different from the value; a missing field differs from everything but None."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Is:
    """Equal to the value; writing the bare value means the same."""

    value: Scalar


Condition: TypeAlias = Is | Not | In | Range
Where: TypeAlias = Mapping[str, "Scalar | Condition"]
Conditions: TypeAlias = tuple[tuple[str, Condition], ...]
"""A checked ``Where``: all must hold, every operand is in the form it is stored in."""


@dataclass(frozen=True, slots=True)
class SortKey:
    path: str
    descending: bool


def checked_path(path: str) -> str:
    """Return the dotted path if every part is a plain name; ``_id`` is taken by the stores themselves."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InvalidQueryError(f"not a field path: {path!r}")
    if path == "_id" or path.startswith(("_id.", "id.")):
        raise InvalidQueryError(f"field path is reserved: {path!r}")
    return path


def checked_scalar(path: str, value: object) -> Scalar:
    """Return the operand as it is stored; lists, mappings and unsortable numbers are refused."""
    match value:
        case None | bool():
            return value
        case int():
            if not INT64_MIN <= value <= INT64_MAX:
                raise InvalidQueryError(f"{path}: integer does not fit 64 bits")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise InvalidQueryError(f"{path}: number is not finite")
            return value
        case str():
            text = str.__str__(value)
            if not text.isascii() and not _encodable(text):
                raise InvalidQueryError(f"{path}: text is not valid Unicode")
            return text
        case bytes():
            return value
        case datetime():
            try:
                return truncated(value)
            except InvalidDocumentError as exc:
                raise InvalidQueryError(f"{path}: {exc}") from exc
        case _:
            raise InvalidQueryError(f"{path}: cannot compare with {type(value).__name__}")


def checked_where(where: Where | None) -> Conditions:
    return tuple((checked_path(path), _condition(path, value)) for path, value in (where or {}).items())


def checked_sort(sort: Sequence[str]) -> tuple[SortKey, ...]:
    """Read ``("-start_time", "name")`` and make the order total by ending it with the id."""
    if isinstance(sort, str):
        raise InvalidQueryError("sort is a sequence of field paths, not one text")
    keys = []
    for item in sort:
        path = checked_path(item.removeprefix("-"))
        keys.append(SortKey(path, item.startswith("-")))
        if path == "id":
            return tuple(keys)
    if len({key.path for key in keys}) != len(keys):
        raise InvalidQueryError("sort names a field twice")
    return (*keys, SortKey("id", keys[-1].descending if keys else False))


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQueryError(f"limit must be between 1 and {MAX_LIMIT}, got {limit}")
    return limit


def _condition(path: str, value: "Scalar | Condition") -> Condition:
    match value:
        case Is():
            return Is(checked_scalar(path, value.value))
        case Not():
            return Not(checked_scalar(path, value.value))
        case In():
            if isinstance(value.values, str | bytes) or len(value.values) > MAX_ALTERNATIVES:
                raise InvalidQueryError(f"{path}: In takes a sequence of at most {MAX_ALTERNATIVES} values")
            return In(tuple(checked_scalar(path, item) for item in value.values))
        case Range():
            return _range(path, value)
        case _:
            return Is(checked_scalar(path, value))


def _range(path: str, given: Range) -> Range:
    bounds = Range(*(checked_scalar(path, bound) for bound in (given.gt, given.gte, given.lt, given.lte)))
    if (bounds.gt is not None and bounds.gte is not None) or (bounds.lt is not None and bounds.lte is not None):
        raise InvalidQueryError(f"{path}: Range has two bounds on one side")
    range_kind(path, bounds)
    return bounds


def range_kind(path: str, bounds: Range) -> Kind:
    """Return the kind all bounds have in common."""
    kinds = {kind_of(bound) for bound in (bounds.gt, bounds.gte, bounds.lt, bounds.lte) if bound is not None}
    if len(kinds) != 1:
        raise InvalidQueryError(f"{path}: Range needs bounds of one kind")
    return cast("Kind", kinds.pop())


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
