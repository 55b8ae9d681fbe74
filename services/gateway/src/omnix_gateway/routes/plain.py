"""What the plain routes share: queries and JSON answers."""

from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from msgspec import Struct

from omnix_gateway.chat.decoding import named
from omnix_gateway.errors import invalid
from omnix_gateway.http.exchange import Scope

T = TypeVar("T", bound=Struct)

_LABEL: Final = "metadata."


def json_response(value: Struct) -> bytes:
    return msgspec.json.encode(value)


def answered(value: Struct, status: int = 200) -> Response[bytes]:
    return Response(json_response(value), status_code=status, media_type="application/json")


def query_of(scope: Scope, kind: type[T]) -> T:
    """Read the query string, refusing what it does not know and what comes twice."""
    return _converted(_values(scope), kind)


def labelled_query_of(scope: Scope, kind: type[T]) -> tuple[T, tuple[str, str] | None]:
    """Read a query string that may ask for one label, ``metadata.<name>=<value>``, too."""
    values = _values(scope)
    labels = [(name.removeprefix(_LABEL), value) for name, value in values.items() if name.startswith(_LABEL)]
    if len(labels) > 1 or any(not name for name, _ in labels):
        raise invalid("One label may be asked for, as metadata.<name>=<value>.", "metadata")
    query = _converted({name: value for name, value in values.items() if not name.startswith(_LABEL)}, kind)
    return query, labels[0] if labels else None


def _values(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise invalid("The query string cannot be read.") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise invalid("A query parameter is given twice.")
    return values


def _converted(values: Mapping[str, str], kind: type[T]) -> T:
    try:
        return msgspec.convert({name: value for name, value in values.items() if value}, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise named(str(exc)) from None
