"""What is remembered of the call of one key. Pure."""

import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import msgspec

_VERSION: Final = 1
_QUICKLY: Final = 1
_ROOM: Final = bytes(64)
"""A claim is larger than what follows it without an answer, so that even a full stream takes its end."""


class State(IntEnum):
    """CLAIMED: somebody makes the call, or died meanwhile. RELEASED: it was not made, or cost nothing; the key is free.
    DONE: it was answered. FAILED: it ended with an error. DOUBT: what became of it nobody knows."""

    CLAIMED = 1
    RELEASED = 2
    DONE = 3
    FAILED = 4
    DOUBT = 5


@dataclass(frozen=True, slots=True)
class Record:
    """Times in seconds since the epoch."""

    state: State
    fingerprint: bytes
    gateway_id: str
    """Who claimed it, and knows while it lives what became of it."""
    completion_id: str
    streamed: bool
    claimed: float
    until: float
    answer: bytes = b""
    """The answer or the error; empty where it could not be kept."""

    def ended(self, state: State, answer: bytes = b"") -> "Record":
        return replace(self, state=state, answer=answer)


class _Envelope(msgspec.Struct, array_like=True):
    version: int
    state: State
    fingerprint: bytes
    gateway_id: str
    completion_id: str
    streamed: bool
    claimed: float
    until: float
    answer: bytes
    room: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Envelope)
_messages = msgspec.msgpack.Decoder(list[bytes])


def to_bytes(record: Record) -> bytes:
    return _encoder.encode(
        _Envelope(
            _VERSION,
            record.state,
            record.fingerprint,
            record.gateway_id,
            record.completion_id,
            record.streamed,
            record.claimed,
            record.until,
            record.answer,
            _ROOM if record.state is State.CLAIMED else b"",
        )
    )


def from_bytes(data: bytes) -> Record | None:
    """None for what is no record, or was written by another version."""
    try:
        found = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if found.version != _VERSION:
        return None
    return Record(
        found.state,
        found.fingerprint,
        found.gateway_id,
        found.completion_id,
        found.streamed,
        found.claimed,
        found.until,
        found.answer,
    )


def messages_to_bytes(messages: list[bytes]) -> bytes:
    """The messages of a stream, in their order. They repeat themselves."""
    return zlib.compress(_encoder.encode(messages), _QUICKLY)


def messages_from_bytes(data: bytes) -> list[bytes]:
    return _messages.decode(zlib.decompress(data))
