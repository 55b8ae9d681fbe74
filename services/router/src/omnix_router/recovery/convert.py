"""Between protobuf and the words of recovery."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import heartbeat_pb2
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix_kit.convert import error_from_proto, error_to_proto
from omnix_kit.errors import OmnixError

from omnix_router.recovery.delivered import Call, Continuation, End, Piece, Published, Way

_NOTHING = Piece()
_WAYS = {Way.PREFIX: wire.Continuation.KIND_PREFIX, Way.RESTART: wire.Continuation.KIND_RESTART}


@dataclass(frozen=True, slots=True)
class Ended:
    """The word of an adapter: an attempt ended."""

    completion_id: str
    attempt_id: str
    count: int
    error: OmnixError | None


def ended_from_bytes(data: bytes) -> Ended | None:
    """None when it cannot be read."""
    try:
        said = completion_pb2.AttemptEnded.FromString(data)
    except DecodeError:
        return None
    error = error_from_proto(said.error) if said.HasField("error") else None
    return Ended(said.completion_id, said.attempt_id, said.count, error)


def heartbeat_to_bytes(sender_id: str, open_streams: int) -> bytes:
    return heartbeat_pb2.SenderHeartbeat(sender_id=sender_id, open_streams=open_streams).SerializeToString()


def published_from_bytes(data: bytes) -> Published | None:
    """A message of the recording; None when it is no attempt's, or cannot be read."""
    try:
        said = completion_pb2.CompletionChunks.FromString(data)
    except DecodeError:
        return None
    if said.HasField("succession"):
        return None
    end = said.end
    return Published(
        attempt=said.attempt,
        first=said.first_seq,
        pieces=tuple([_piece(chunk) for chunk in said.chunks]),
        end=End(end.count, error_from_proto(end.error) if end.HasField("error") else None, end.may_go_on)
        if said.HasField("end")
        else None,
    )


def _piece(chunk: completion_pb2.Chunk) -> Piece:
    if not chunk.tool_calls:
        return Piece(chunk.text, chunk.refusal) if chunk.text or chunk.refusal else _NOTHING
    calls = [
        Call(call.index, call.id, call.name, call.arguments_json, bytes(call.signature)) for call in chunk.tool_calls
    ]
    return Piece(chunk.text, chunk.refusal, tuple(calls))


def continuation_to_proto(continuation: Continuation) -> wire.Continuation:
    delivered = continuation.delivered
    return wire.Continuation(
        attempt=continuation.attempt,
        kind=_WAYS[continuation.way],
        text=delivered.text,
        refusal=delivered.refusal,
        tool_calls=[
            completion_pb2.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments, signature=call.signature)
            for call in delivered.calls
        ],
    )


def succession_to_bytes(
    completion_id: str, broken: int, count: int, *, following: int = 0, error: OmnixError | None = None
) -> bytes:
    """What becomes of the answer after an attempt broke off: the attempt that follows, or why none does."""
    return completion_pb2.CompletionChunks(
        completion_id=completion_id,
        attempt=broken,
        first_seq=count,
        succession=completion_pb2.Succession(
            next_attempt=following, count=count, error=None if error is None else error_to_proto(error)
        ),
    ).SerializeToString()


def nothing_yet_to_bytes(completion_id: str, broken: int, count: int) -> bytes:
    """Nothing new: the attempt that broke off has no more, and what follows is not decided yet."""
    return completion_pb2.CompletionChunks(
        completion_id=completion_id, attempt=broken, first_seq=count
    ).SerializeToString()
