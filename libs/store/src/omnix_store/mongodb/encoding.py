"""How a document is written as BSON.

``id`` becomes ``_id``. Integers are always 64 bits wide. Field names that compatible servers refuse are escaped
with ``%``; the names that queries may use never need it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import bson
from bson.errors import BSONError
from bson.int64 import Int64

from omnix_store.documents import Writer
from omnix_store.errors import InvalidDocumentError
from omnix_store.values import MAX_DOCUMENT_BYTES, Document, Scalar, truncated

_PLAIN_NAME = re.compile(r"[^$.%\x00][^.%\x00]*")


def _name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    if not name:
        return "%"
    escaped = name.replace("%", "%25").replace(".", "%2E").replace("\x00", "%00")
    return "%24" + escaped[1:] if escaped[0] == "$" else escaped


def _read_name(name: str) -> str:
    if "%" not in name:
        return name
    return "" if name == "%" else unquote(name)


_writer = Writer({str: str, bytes: bytes, bool: bool, datetime: truncated, int: Int64, float: float}, key=_name)


def encoded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as the driver takes it; what cannot be stored is refused."""
    written = _writer.document(document)
    try:
        size = len(bson.encode(written))
    except (BSONError, UnicodeEncodeError, OverflowError) as exc:
        raise InvalidDocumentError(f"document: {exc}") from exc
    if size > MAX_DOCUMENT_BYTES:
        raise InvalidDocumentError(f"document: larger than {MAX_DOCUMENT_BYTES} bytes")
    if "id" in written:
        written = {"_id": written.pop("id"), **written}
    return written


def encoded_changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by path; the paths were checked and stay as they are."""
    written = {path: _writer.value(value) for path, value in values.items()}
    encoded({"values": list(values.values())})
    return written


def encoded_scalar(value: Scalar) -> Any:
    return _writer.value(value)


def decoded(document: Mapping[str, Any]) -> Document:
    read = {_read_name(name): _read(value) for name, value in document.items() if name != "_id"}
    return {"id": document["_id"], **read} if "_id" in document else read


def _read(value: Any) -> Any:
    match value:
        case Int64():
            return int(value)
        case dict():
            return {_read_name(name): _read(item) for name, item in value.items()}
        case list():
            return [_read(item) for item in value]
        case _:
            return value
