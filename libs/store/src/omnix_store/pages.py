"""Page tokens: where the last page ended, in a form a client cannot make use of or break anything with."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from omnix_store.errors import InvalidPageTokenError, InvalidQueryError
from omnix_store.port import Page
from omnix_store.query import SortKey, checked_scalar
from omnix_store.values import Document, Scalar, at_path, kind_of

MAX_TOKEN_LENGTH = 16_384


class _Token(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """``query`` ties a token to the collection and order it was made for; each value carries its kind."""

    query: str
    values: list[tuple[str, str | int | float | bool | None]]


def page_of(collection: str, keys: Sequence[SortKey], documents: list[Document], limit: int) -> Page:
    """Make a page of at most ``limit`` documents; there is a next one if one more was found."""
    for document in documents:
        sort_values(keys, document)
    shown = documents[:limit]
    return Page(shown, page_token(collection, keys, shown[-1]) if len(documents) > limit else None)


def page_token(collection: str, keys: Sequence[SortKey], document: Mapping[str, Any]) -> str:
    values = [_packed(value) for value in sort_values(keys, document)]
    raw = msgspec.json.encode(_Token(_query(collection, keys), values))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_page_token(collection: str, keys: Sequence[SortKey], token: str) -> tuple[Scalar, ...]:
    """Return the sort values of the last document of the page before."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidPageTokenError("the page token is too long")
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        read = msgspec.json.decode(raw, type=_Token)
        if read.query != _query(collection, keys) or len(read.values) != len(keys):
            raise InvalidPageTokenError("the page token belongs to another query")
        return tuple(checked_scalar(key.path, _unpacked(*value)) for key, value in zip(keys, read.values, strict=True))
    except InvalidPageTokenError:
        raise
    except (UnicodeError, binascii.Error, msgspec.DecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise InvalidPageTokenError("the page token is not valid") from exc


def sort_values(keys: Sequence[SortKey], document: Mapping[str, Any]) -> tuple[Scalar, ...]:
    """Return what the document is sorted by; a list or a mapping there has no place in the order."""
    values = tuple(at_path(document, key.path) for key in keys)
    for key, value in zip(keys, values, strict=True):
        if kind_of(value) is None:
            raise InvalidQueryError(f"cannot sort by {key.path}: it holds a {type(value).__name__}")
    return values


def _query(collection: str, keys: Sequence[SortKey]) -> str:
    return " ".join((collection, *(f"-{key.path}" if key.descending else key.path for key in keys)))


def _packed(value: Scalar) -> tuple[str, str | int | float | bool | None]:
    match value:
        case bytes():
            return "b", value.hex()
        case datetime():
            return "t", value.isoformat()
        case _:
            return "", value


def _unpacked(kind: str, value: str | int | float | bool | None) -> Scalar:
    match kind, value:
        case "b", str():
            return bytes.fromhex(value)
        case "t", str():
            return datetime.fromisoformat(value)
        case "", _:
            return value
        case _:
            raise InvalidPageTokenError("the page token is not valid")
