"""What travels on NATS, read from its bytes.

Chunks are passed on as they came, so their message types are handed on under their names and not mirrored.
"""

from omnix.account.v1 import account_pb2
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import heartbeat_pb2
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError

Chunk = completion_pb2.Chunk
Chunks = completion_pb2.CompletionChunks
Start = completion_pb2.Start
End = completion_pb2.End


def chunks_from_bytes(data: bytes) -> Chunks:
    """:raises google.protobuf.message.DecodeError: when the bytes are something else."""
    return completion_pb2.CompletionChunks.FromString(data)


def error_of(end: End) -> OmnixError | None:
    """Why the answer is cut; None when it is whole."""
    return error_from_proto(end.error) if end.HasField("error") else None


def sender_of(data: bytes) -> str:
    return heartbeat_pb2.SenderHeartbeat.FromString(data).sender_id


def account_change(data: bytes) -> tuple[str, str, bool]:
    """Tenant, key (empty for every key of the tenant) and whether the key was revoked."""
    event = account_pb2.AccountChanged.FromString(data)
    return event.tenant_id, event.key_id, event.revoked


def cancel_to_bytes(completion_id: str, cause: str) -> bytes:
    return completion_pb2.CancelRequested(completion_id=completion_id, cause=cause).SerializeToString()
