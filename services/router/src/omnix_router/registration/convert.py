"""Between protobuf and the words of registration."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from omnix.provider.v1 import heartbeat_pb2


@dataclass(frozen=True, slots=True)
class Beat:
    """A process says that it lives."""

    sender_id: str
    address: str
    """Where it answers; empty when it does not say so, or not any longer."""


def beat_from_bytes(data: bytes) -> Beat | None:
    """None when it cannot be read."""
    try:
        said = heartbeat_pb2.SenderHeartbeat.FromString(data)
    except DecodeError:
        return None
    return Beat(said.sender_id, said.address)
