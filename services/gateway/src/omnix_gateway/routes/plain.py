"""What the plain routes share: queries and JSON answers."""

from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from msgspec import Struct

from omnix_gateway.chat.decoding import named
from omnix_gateway.errors import invalid
from omnix_gateway.http.exchange import Scope

T = TypeVar("T", bound=Struct)


def json_response(value: Struct) -> bytes:
    return msgspec.json.encode(value)


def answered(value: Struct, status: int = 200) -> Response[bytes]:
    return Response(json_response(value), status_code=status, media_type="application/json")


def query_of(scope: Scope, kind: type[T]) -> T:
    """Read the query string, refusing what it does not know and what comes twice."""
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise invalid("The query string cannot be read.") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise invalid("A query parameter is given twice.")
    try:
        return msgspec.convert({name: value for name, value in values.items() if value}, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise named(str(exc)) from None
