"""The message of a lone delta of text, as every token comes that is not in a burst, encoded by hand.

Two protobuf objects and their serialization cost three times as much; everything else is left to them.
"""

from omnix_provider.types import Chunk

_ATTEMPT, _FIRST_SEQ, _CHUNKS, _TEXT = b"\x10", b"\x18", b"\x22", b"\x12"
"""Tags of ``CompletionChunks`` and, the last, of ``Chunk``."""


def is_lone_text(chunk: Chunk) -> bool:
    return bool(
        chunk.text
        and chunk.finish_reason is None
        and not chunk.choice_index
        and not chunk.tool_calls
        and chunk.reasoning is None
        and not chunk.refusal
    )


def head(attempt: int) -> bytes:
    """What all messages of an attempt begin with."""
    return _ATTEMPT + varint(attempt)


def lone_text(head: bytes, first_seq: int, text: bytes) -> bytes:
    """``CompletionChunks`` with one chunk that has a text and nothing else."""
    size = varint(len(text))
    whole = varint(1 + len(size) + len(text))
    seq = _FIRST_SEQ + varint(first_seq) if first_seq else b""
    return b"%b%b%b%b%b%b%b" % (head, seq, _CHUNKS, whole, _TEXT, size, text)


def varint(value: int) -> bytes:
    """A number, or a length, as protobuf writes it."""
    if value < 0x80:
        return b"%c" % value
    if value < 0x4000:
        return b"%c%c" % (value & 0x7F | 0x80, value >> 7)
    return b"%c%b" % (value & 0x7F | 0x80, varint(value >> 7))
