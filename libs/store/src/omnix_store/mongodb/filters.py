"""From checked queries to MongoDB's filters.

MongoDB lets a condition on a list hold if it holds for one of the elements. The port does not, so each condition
says that neither the field nor what it lies in is a list.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from omnix_store.mongodb.encoding import encoded_scalar
from omnix_store.port import CollectionSpec
from omnix_store.query import Condition, Conditions, In, Is, Not, Range, SortKey, range_kind
from omnix_store.values import Kind, Scalar, kind_of

Filter: TypeAlias = dict[str, Any]

_TYPES = {
    Kind.NUMBER: "number",
    Kind.TEXT: "string",
    Kind.BYTES: "binData",
    Kind.BOOL: "bool",
    Kind.TIME: "date",
}


def field(path: str) -> str:
    return "_id" if path == "id" else path


def all_of(*parts: Filter) -> Filter:
    given = [part for part in parts if part]
    match given:
        case []:
            return {}
        case [one]:
            return one
        case _:
            return {"$and": given}


def where(conditions: Conditions) -> Filter:
    return all_of(*(_condition(path, condition) for path, condition in conditions))


def unexpired(spec: CollectionSpec, now: datetime) -> Filter:
    return {} if spec.expire_field is None else {spec.expire_field: {"$not": {"$lte": now}}}


def expired(spec: CollectionSpec, now: datetime) -> Filter:
    return {} if spec.expire_field is None else {spec.expire_field: {"$lte": now}}


def _condition(path: str, condition: Condition) -> Filter:
    name = field(path)
    match condition:
        case Is():
            return _single(path, {name: {"$eq": encoded_scalar(condition.value)}})
        case Not():
            return {"$nor": [_single(path, {name: {"$eq": encoded_scalar(condition.value)}})]}
        case In():
            return _single(path, {name: {"$in": [encoded_scalar(value) for value in condition.values]}})
        case Range():
            return _single(path, {name: _bounds(path, condition)})
        case _:
            assert_never(condition)


def _bounds(path: str, bounds: Range) -> Filter:
    """A lone bound reaches to the end of its kind, except that nothing is less than false or more than true."""
    range_kind(path, bounds)
    given = {"$gt": bounds.gt, "$gte": bounds.gte, "$lt": bounds.lt, "$lte": bounds.lte}
    return {operator: encoded_scalar(bound) for operator, bound in given.items() if bound is not None}


def _single(path: str, condition: Filter) -> Filter:
    if path == "id":
        return condition
    names = path.split(".")
    holders = [".".join(names[: count + 1]) for count in range(len(names))]
    return all_of(condition, *({holder: {"$not": {"$type": "array"}}} for holder in holders))


def order(keys: Sequence[SortKey]) -> list[tuple[str, int]]:
    return [(field(key.path), -1 if key.descending else 1) for key in keys]


def after(keys: Sequence[SortKey], values: Sequence[Scalar]) -> Filter:
    """Return what lies behind the given sort values: of each key, the greater ones among equals so far."""
    alternatives = []
    for last, key in enumerate(keys):
        same = [
            {field(each.path): {"$eq": encoded_scalar(value)}} for each, value in zip(keys[:last], values, strict=False)
        ]
        alternatives += [all_of(*same, behind) for behind in _behind(key, values[last])]
    return {"$or": alternatives}


def _behind(key: SortKey, value: Scalar) -> list[Filter]:
    """Comparing stays within a kind, so the kinds that come later in the order are named."""
    name, kind = field(key.path), kind_of(value)
    behind: list[Filter] = []
    if value is not None:
        behind.append({name: {"$lt" if key.descending else "$gt": encoded_scalar(value)}})
    if key.path == "id":
        return behind
    if kind is not None:
        later = [_TYPES[each] for each in _TYPES if (each < kind if key.descending else each > kind)]
        if later:
            behind.append({name: {"$type": later}})
    if key.descending and value is not None:
        behind.append({name: None})
    return behind
