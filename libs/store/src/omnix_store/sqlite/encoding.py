"""How a document is written as JSON so that SQLite compares its values as the port promises.

Numbers, null, and almost all texts stand as themselves. Bytes, booleans and times become texts that begin with
U+10FFFF, the last of all characters, so ``json_extract`` yields them behind every other text and in the port's
order; a text that itself begins with that character is escaped the same way. NUL and U+0001 are escaped because
SQLite ends a text at NUL. All escapes keep the order of texts.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from omnix_store.documents import Writer
from omnix_store.errors import InvalidDocumentError, StoreDamagedError
from omnix_store.values import MAX_DOCUMENT_BYTES, Document, Scalar, truncated

MARK = "\U0010ffff"
TEXT, BYTES, BOOL, TIME = (MARK + kind for kind in "0123")
AFTER_TIME = MARK + "4"

_MARK_RAW = MARK.encode()
_ESCAPE_RAW = b"\\u0001"
_ESCAPED = re.compile("\x01[\x01\x02]")


def encoded_text(value: str) -> str:
    """Return what ``json_extract`` yields for the text."""
    if "\x00" in value or "\x01" in value:
        value = value.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return TEXT + value[1:] if value.startswith(MARK) else value


def _bytes(value: bytes) -> str:
    return f"{BYTES}{len(value):08x}{value.hex()}"


def _bool(value: bool) -> str:
    return BOOL + ("1" if value else "0")


def _time(value: datetime) -> str:
    utc = value if value.tzinfo is UTC else truncated(value)
    return TIME + utc.isoformat(timespec="milliseconds")[:23]  # which cuts as ``truncated`` does


_writer = Writer({str: encoded_text, bytes: _bytes, bool: _bool, datetime: _time})


def encoded(document: Mapping[str, Any]) -> str:
    """Return the document as one line of JSON."""
    try:
        raw = msgspec.json.encode(_writer.document(document))
    except UnicodeEncodeError as exc:
        raise InvalidDocumentError("document: a text is not valid Unicode") from exc
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InvalidDocumentError(f"document: larger than {MAX_DOCUMENT_BYTES} bytes")
    return raw.decode()


def encoded_scalar(value: Scalar) -> str | int | float | None:
    """Return what ``json_extract`` yields for the value."""
    written: str | int | float | None = _writer.value(value)
    return written


def decoded(raw: str) -> Document:
    return decoded_lines(raw)[0]


def decoded_lines(raw: str) -> list[Document]:
    """Return the documents, one to a line."""
    data = raw.encode()
    try:
        documents: list[Document] = _lines.decode_lines(data)
        if _MARK_RAW in data or _ESCAPE_RAW in data:
            return [_read_mapping(document) for document in documents]
    except (msgspec.DecodeError, ValueError) as exc:
        raise StoreDamagedError("a stored document cannot be read") from exc
    return documents


_lines = msgspec.json.Decoder(dict[str, Any])


def decoded_scalar(value: Any) -> Any:
    """Turn what ``json_extract`` yielded into the value it stands for."""
    return _read_text(value) if isinstance(value, str) else value


def _read_mapping(document: dict[str, Any]) -> dict[str, Any]:
    return {name: _read_text(value) if type(value) is str else _read(value) for name, value in document.items()}


def _read(value: Any) -> Any:
    match value:
        case str():
            return _read_text(value)
        case dict():
            return _read_mapping(value)
        case list():
            return [_read(item) for item in value]
        case _:
            return value


def _read_text(value: str) -> Any:
    if value.startswith(MARK):
        kind, rest = value[: len(TIME)], value[len(TIME) :]
        if kind == TIME:
            return datetime.fromisoformat(rest + "+00:00")
        if kind == BOOL:
            return rest == "1"
        if kind == BYTES:
            return bytes.fromhex(rest[8:])
        value = MARK + rest
    if "\x01" in value:
        value = _ESCAPED.sub(lambda found: "\x00" if found[0] == "\x01\x01" else "\x01", value)
    return value
