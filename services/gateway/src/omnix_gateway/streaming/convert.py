"""What travels on NATS, read from its bytes.

Chunks are passed on as they came, so their message types are handed on under their names and not mirrored.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from omnix.account.v1 import account_pb2
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import heartbeat_pb2, stream_pb2
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason, error_for

Chunk = completion_pb2.Chunk
Chunks = completion_pb2.CompletionChunks
Start = completion_pb2.Start
End = completion_pb2.End
Succession = completion_pb2.Succession
ToolCallDelta = completion_pb2.ToolCallDelta
OpenStream = stream_pb2.OpenStream

_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "cache_write_input_tokens",
    "long_cache_write_input_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)


def chunks_from_bytes(data: bytes) -> Chunks:
    """:raises google.protobuf.message.DecodeError: when the bytes are something else."""
    return completion_pb2.CompletionChunks.FromString(data)


def start_of(messages: Iterable[bytes]) -> Start | None:
    """How a completion begins of which these are the first messages; one may be the router's word.

    :raises google.protobuf.message.DecodeError: when the bytes are something else.
    """
    for data in messages:
        message = chunks_from_bytes(data)
        if not message.HasField("succession"):
            return message.start if message.HasField("start") else None
    return None


def is_last(message: Chunks) -> bool:
    """Whether nothing follows: the answer's end, or the router's word that no attempt goes on with it."""
    if message.HasField("succession"):
        return not message.succession.next_attempt
    return message.HasField("end") and not message.end.may_go_on


def error_of(end: End) -> OmnixError | None:
    """Why the answer is cut; None when it is whole."""
    return error_from_proto(end.error) if end.HasField("error") else None


def why_it_remains_cut(succession: Succession) -> OmnixError:
    """What to tell when no attempt follows."""
    if succession.HasField("error"):
        return error_from_proto(succession.error)
    return error_for(Reason.PROVIDER_CUT, "The provider broke off in the middle of the answer.")


def end_of_chain(before: Iterable[End | None], last: End) -> End:
    """The last attempt's end, with what all attempts took.

    :param before: None for an attempt that never told. Then, and when one only estimated, the sum is an estimate.
    """
    whole = End()
    whole.CopyFrom(last)
    for end in before:
        if end is None or not end.HasField("usage"):
            whole.usage.estimated = True
            continue
        for count in _COUNTS:
            setattr(whole.usage, count, getattr(whole.usage, count) + getattr(end.usage, count))
        whole.usage.estimated |= end.usage.estimated
        if end.HasField("cost_micros") and whole.HasField("cost_micros"):
            whole.cost_micros += end.cost_micros
        else:
            whole.ClearField("cost_micros")
    return whole


def without_finish_reason(chunk: Chunk) -> Chunk:
    told = Chunk()
    told.CopyFrom(chunk)
    told.ClearField("finish_reason")
    return told


def without_reasoning(chunk: Chunk) -> Chunk:
    told = Chunk()
    told.CopyFrom(chunk)
    told.ClearField("reasoning")
    return told


def sender_of(data: bytes) -> str:
    return heartbeat_pb2.SenderHeartbeat.FromString(data).sender_id


def account_change(data: bytes) -> tuple[str, str, bool]:
    """Tenant, key (empty for every key of the tenant) and whether the key was revoked."""
    event = account_pb2.AccountChanged.FromString(data)
    return event.tenant_id, event.key_id, event.revoked


def cancel_to_bytes(completion_id: str, cause: str) -> bytes:
    return completion_pb2.CancelRequested(completion_id=completion_id, cause=cause).SerializeToString()


def open_streams_sought_to_bytes(tenant_id: str, key_id: str) -> bytes:
    return stream_pb2.OpenStreamsSought(tenant_id=tenant_id, key_id=key_id).SerializeToString()


def open_streams_from_bytes(data: bytes) -> tuple[Sequence[OpenStream], bool]:
    """One adapter's streams, and whether it has more."""
    told = stream_pb2.OpenStreams.FromString(data)
    return told.streams, told.more
