"""The running digest of a stream: sender and reader compute it over the same content and compare at the end."""

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from omnix.completion.v1.completion_pb2 import Chunk


def digest(value: int, chunk: "Chunk") -> int:
    """Add one chunk to a digest that began at 0.

    CRC-32 over the UTF-8 of text, refusal, reasoning text, then each tool call's id, name and arguments. It finds loss
    and disorder; it is no protection against forgery.
    """
    value = crc32(chunk.text.encode(), value)
    if chunk.refusal:
        value = crc32(chunk.refusal.encode(), value)
    if chunk.HasField("reasoning"):
        value = crc32(chunk.reasoning.text.encode(), value)
    for call in chunk.tool_calls:
        value = crc32(f"{call.id}{call.name}{call.arguments_json}".encode(), value)
    return value


def digest_of_text(value: int, text: bytes) -> int:
    """The same for a chunk that has nothing but a text, given as UTF-8."""
    return crc32(text, value)
