"""Answers that are being streamed, as told to whoever asks for them."""

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime

from omnix.provider.v1 import stream_pb2 as pb
from omnix_kit.convert import timestamp

from omnix_provider.attempts import Running

_AT_MOST = 1000


def open_streams_to_bytes(asked: bytes, attempts: Iterable[Running], sender_id: str) -> bytes:
    """The reply to ``OpenStreamsSought``; who asks has checked that it may.

    :raises google.protobuf.message.DecodeError: when ``asked`` is something else.
    """
    sought = pb.OpenStreamsSought.FromString(asked)
    found = [running for running in attempts if running.begun and not running.over and _is_sought(running, sought)]
    newest = heapq.nlargest(_AT_MOST, found, key=lambda running: running.attempt.completion_id)
    return pb.OpenStreams(
        sender_id=sender_id, streams=[_told(running) for running in newest], more=len(found) > len(newest)
    ).SerializeToString()


def _is_sought(running: Running, sought: pb.OpenStreamsSought) -> bool:
    caller = running.attempt.caller
    return caller.tenant_id == sought.tenant_id and sought.key_id in ("", caller.key_id)


def _told(running: Running) -> pb.OpenStream:
    attempt = running.attempt
    began = int(attempt.completion_id[:12], 16)  # a UUIDv7 begins with its time, in milliseconds
    return pb.OpenStream(
        completion_id=attempt.completion_id,
        attempt=attempt.number,
        key_id=attempt.caller.key_id,
        user_id=attempt.caller.user_id,
        requested_model=running.requested_model,
        model=f"{attempt.provider}/{attempt.model}",
        route=attempt.route,
        create_time=timestamp(datetime.fromtimestamp(began / 1000, UTC)),
    )
