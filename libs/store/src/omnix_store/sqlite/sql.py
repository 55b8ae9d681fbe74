"""From checked queries to SQL.

Texts made here hold only checked field names; every value is a parameter. A field is always written as the same
expression, because SQLite uses an index on an expression only where that very expression stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

from omnix_store.port import Bucket, CollectionSpec, Totals
from omnix_store.query import Condition, Conditions, In, Is, Not, Range, SortKey, range_kind
from omnix_store.sqlite.encoding import AFTER_TIME, BOOL, BYTES, TIME, encoded_scalar
from omnix_store.values import Kind, Scalar

Parameter: TypeAlias = str | int | float | None

_BRACKETS: dict[Kind, tuple[str | None, str]] = {
    Kind.NUMBER: (None, ""),
    Kind.TEXT: ("", BYTES),
    Kind.BYTES: (BYTES, BOOL),
    Kind.BOOL: (BOOL, TIME),
    Kind.TIME: (TIME, AFTER_TIME),
}
"""From where (included) to where (excluded) the values of a kind lie in SQLite's order."""

_BUCKET_LENGTHS = {Bucket.MINUTE: 16, Bucket.HOUR: 13, Bucket.DAY: 10, Bucket.MONTH: 7}


@dataclass(frozen=True, slots=True)
class Sql:
    text: str
    parameters: tuple[Parameter, ...] = ()


def field(path: str) -> str:
    return "id" if path == "id" else f"json_extract(doc, '{_json_path(path)}')"


def _json_path(path: str) -> str:
    return "$" + "".join(f'."{name}"' for name in path.split("."))


def is_composite(path: str) -> str:
    """``json_extract`` yields lists and mappings as their JSON, which a text may equal."""
    return "0" if path == "id" else f"coalesce(json_type(doc, '{_json_path(path)}') IN ('array', 'object'), 0)"


def schema(spec: CollectionSpec) -> list[str]:
    """Return the statements that make the collection's table and indexes where they are missing.

    Plain indexes end with the id, as every sort does, so pages are read in index order. The id has no type, for
    a typed column would turn the operands it is compared with.
    """
    table = f'"{spec.name}"'
    statements = [
        f"CREATE TABLE IF NOT EXISTS {table} (seq INTEGER PRIMARY KEY, id NOT NULL UNIQUE, doc TEXT NOT NULL)"
    ]
    declared = [(each.fields, each.unique) for each in spec.indexes]
    if spec.expire_field is not None:
        declared.append(((spec.expire_field,), False))
    for fields, is_unique in declared:
        name = "_".join((spec.name, "unique" if is_unique else "index", *(path.replace(".", "$") for path in fields)))
        columns = ", ".join(field(path) for path in (fields if is_unique or "id" in fields else (*fields, "id")))
        kind = "UNIQUE INDEX" if is_unique else "INDEX"
        statements.append(f'CREATE {kind} IF NOT EXISTS "{name}" ON {table} ({columns})')
    return statements


def all_of(*parts: Sql) -> Sql:
    texts = [part.text for part in parts if part.text]
    return Sql(" AND ".join(texts) or "1", tuple(value for part in parts for value in part.parameters))


def where(conditions: Conditions) -> Sql:
    return all_of(*(_condition(path, condition) for path, condition in conditions))


def unexpired(spec: CollectionSpec, now: datetime) -> Sql:
    if spec.expire_field is None:
        return Sql("")
    at = field(spec.expire_field)
    return Sql(f"({at} IS NULL OR {at} > ?)", (encoded_scalar(now),))


def expired(path: str, now: datetime) -> Sql:
    return _condition(path, Range(lte=now))


def _condition(path: str, condition: Condition) -> Sql:
    match condition:
        case Is():
            return _is(path, condition.value)
        case Not():
            return _not(path, condition.value)
        case In():
            return _in(path, condition.values)
        case Range():
            return _range(path, condition)
        case _:
            assert_never(condition)


def _is(path: str, value: Scalar) -> Sql:
    if value is None:
        return Sql(f"{field(path)} IS NULL")
    operand = _operand(value)
    guard = f" AND NOT {is_composite(path)}" if _looks_composite(value) else ""
    return Sql(f"{field(path)} = {operand.text}{guard}", operand.parameters)


def _not(path: str, value: Scalar) -> Sql:
    if value is None:
        return Sql(f"{field(path)} IS NOT NULL")
    operand = _operand(value)
    guard = f" OR {is_composite(path)}" if _looks_composite(value) else ""
    return Sql(f"({field(path)} IS NOT {operand.text}{guard})", operand.parameters)


def _in(path: str, values: Sequence[Scalar]) -> Sql:
    operands = [_operand(value) for value in values if value is not None]
    parameters = tuple(parameter for operand in operands for parameter in operand.parameters)
    listed = f"{field(path)} IN ({', '.join(operand.text for operand in operands)})"
    if any(_looks_composite(value) for value in values):
        listed += f" AND NOT {is_composite(path)}"
    if None in values:
        listed = f"({listed} OR {field(path)} IS NULL)"
    return Sql(listed, parameters)


def _range(path: str, bounds: Range) -> Sql:
    kind = range_kind(path, bounds)
    first, behind = _BRACKETS[kind]
    parts = [_compare(path, operator, bound) for operator, bound in _operators(bounds) if bound is not None]
    if bounds.gt is None and bounds.gte is None and first is not None:
        parts.append(Sql(f"{field(path)} >= ?", (first,)))
    if bounds.lt is None and bounds.lte is None:
        parts.append(Sql(f"{field(path)} < ?", (behind,)))
    if kind is Kind.TEXT:
        parts.append(Sql(f"NOT {is_composite(path)}"))
    return all_of(*parts)


def _operators(bounds: Range) -> tuple[tuple[str, Scalar], ...]:
    return ((">", bounds.gt), (">=", bounds.gte), ("<", bounds.lt), ("<=", bounds.lte))


def _compare(path: str, operator: str, value: Scalar) -> Sql:
    operand = _operand(value)
    return Sql(f"{field(path)} {operator} {operand.text}", operand.parameters)


def _operand(value: Scalar) -> Sql:
    """Floats are read by the same code as the stored ones, for SQLite's reading is not exact in every version."""
    if isinstance(value, float):
        return Sql("json_extract(?, '$')", (repr(value),))
    return Sql("?", (encoded_scalar(value),))


def _looks_composite(value: Scalar) -> bool:
    return isinstance(value, str) and value.startswith(("[", "{"))


def order_by(keys: Sequence[SortKey]) -> str:
    """Return the clause, empty for no keys."""
    if not keys:
        return ""
    return " ORDER BY " + ", ".join(f"{field(key.path)} {'DESC' if key.descending else 'ASC'}" for key in keys)


@dataclass(frozen=True, slots=True)
class Segment:
    """A condition, and the keys whose values still differ where it holds."""

    condition: Sql
    keys: tuple[SortKey, ...]


def segments(conditions: Conditions, keys: Sequence[SortKey], values: Sequence[Scalar] | None) -> list[Segment]:
    """Return what lies behind the given sort values, as ranges of which each follows the one before.

    With keys (a, b, id): the rest of the same (a, b), then the rest of the same a, then the rest. Each is a plain
    range that an index can serve, which one condition with ORs would not be. A key that has one value only is left
    out of the order: SQLite would not see that it makes no difference, and sort.
    """
    asked = where(conditions)
    if values is None:
        return [Segment(asked, _differing(conditions, keys))]
    found = []
    for last in reversed(range(len(keys))):
        same = [_is_exactly(key.path, value) for key, value in zip(keys[:last], values[:last], strict=True)]
        for behind, is_one_value in _behind(keys[last], values[last]):
            differing = keys[last + 1 :] if is_one_value else keys[last:]
            found.append(Segment(all_of(asked, *same, behind), _differing(conditions, differing)))
    return found


def _differing(conditions: Conditions, keys: Sequence[SortKey]) -> tuple[SortKey, ...]:
    fixed = {path for path, condition in conditions if isinstance(condition, Is)}
    return tuple(key for key in keys if key.path not in fixed)


def _is_exactly(path: str, value: Scalar) -> Sql:
    return Sql(f"{field(path)} IS NULL") if value is None else _compare(path, "=", value)


def _behind(key: SortKey, value: Scalar) -> list[tuple[Sql, bool]]:
    """SQLite sorts NULL in front of everything, and compares nothing with it; true says that only NULL is left."""
    if not key.descending:
        return [(Sql(f"{field(key.path)} IS NOT NULL") if value is None else _compare(key.path, ">", value), False)]
    if value is None:
        return []
    rest = [] if key.path == "id" else [(Sql(f"{field(key.path)} IS NULL"), True)]
    return [(_compare(key.path, "<", value), False), *rest]


def totals(spec: CollectionSpec, asked: Totals, condition: Sql, limit: int) -> Sql:
    """Return rows of bucket, groups, count, sums, maxima, minima, and whether a group was a list or a mapping."""
    groups = [_bucket(asked), *(field(path) for path in asked.group_by)]
    composites = [is_composite(path) for path in (*asked.group_by, *asked.maximum, *asked.minimum)]
    columns = [
        *groups,
        "count(*)",
        *(f"coalesce(sum(CASE WHEN {_is_number(path)} THEN {field(path)} END), 0)" for path in asked.sum),
        *(f"max({field(path)})" for path in asked.maximum),
        *(f"min({field(path)})" for path in asked.minimum),
        f"max({' OR '.join(composites) or '0'})",
    ]
    numbers = ", ".join(str(at + 1) for at in range(len(groups)))
    rows = f'SELECT {", ".join(columns)} FROM "{spec.name}" WHERE {condition.text}'  # noqa: S608 - see above
    return Sql(f"{rows} GROUP BY {numbers} LIMIT {limit}", condition.parameters)


def _is_number(path: str) -> str:
    return f"typeof({field(path)}) IN ('integer', 'real')"


def _bucket(asked: Totals) -> str:
    if asked.bucket is None or asked.bucket_field is None:
        return "NULL"
    at, start = field(asked.bucket_field), len(TIME) + 1
    return f"CASE WHEN {at} >= '{TIME}' THEN substr({at}, {start}, {_BUCKET_LENGTHS[asked.bucket]}) END"
