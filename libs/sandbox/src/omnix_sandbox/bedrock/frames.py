"""Messages of `application/vnd.amazon.eventstream`, as bytes.

A message is its total length, the length of its headers, a CRC of these two, headers, payload, and a CRC of all before;
numbers are big-endian (https://smithy.io/2.0/aws/amazon-eventstream.html, read 2026-11-22).
"""

import struct
from functools import cache
from typing import Any, Final
from zlib import crc32

import msgspec

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

_STRING: Final = 7  # the type of a header's value
_PADDING: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PRELUDE: Final = 12
_json = msgspec.json.Encoder(order="sorted").encode


def message(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", _PRELUDE + len(headers) + len(payload) + 4, len(headers))
    whole = b"%b%b%b%b" % (lengths, struct.pack(">I", crc32(lengths)), headers, payload)
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, body: dict[str, Any]) -> bytes:
    """One event of a stream; like the vendor's it hides its length behind a padding `p`."""
    bare = _json(body)
    return message(_event_headers(kind), _json({**body, "p": _PADDING[: 4 + crc32(bare) % 59]}))


def exception(kind: str, body: dict[str, Any]) -> bytes:
    """The message by which a stream tells that it failed, and ends."""
    return message(
        _headers(((":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception"))),
        _json(body),
    )


def broken_json(kind: str) -> bytes:
    """A sound message whose payload breaks off."""
    return message(_event_headers(kind), b'{"contentBlockIndex":0,"delta":{"te')


def broken_crc(kind: str) -> bytes:
    """A message whose last checksum is wrong; its lengths are right."""
    whole = message(_event_headers(kind), b'{"contentBlockIndex":0,"delta":{"text":"x"}}')
    return whole[:-1] + bytes([whole[-1] ^ 0xFF])


def stamped(stamp: bytes, first: bytes) -> bytes:
    """The message, and what follows it, with `stamp` in front of its first text."""
    total, length = struct.unpack_from(">II", first)
    headers = first[_PRELUDE : _PRELUDE + length]
    payload = first[_PRELUDE + length : total - 4]
    return message(headers, payload.replace(b'"text":"', b'"text":"' + stamp, 1)) + first[total:]


@cache
def _event_headers(kind: str) -> bytes:
    return _headers(((":event-type", kind), (":content-type", "application/json"), (":message-type", "event")))


def _headers(fields: tuple[tuple[str, str], ...]) -> bytes:
    return b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in fields
    )
