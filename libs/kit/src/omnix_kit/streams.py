"""The JetStream streams.

Whoever publishes to or reads from one makes sure that it exists, at every connection: its server may have come back
without its disk.
"""

import logging
import math
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError, ServerError

from omnix_kit import subjects

_log = logging.getLogger(__name__)

_MIB = 1024 * 1024
_STORAGE_CANNOT_CHANGE = 10052

CHUNKS = StreamConfig(
    name="OMNIX_CHUNKS",
    description="Chunks of streamed completions, for replay.",
    subjects=[subjects.CHUNKS_OF_ALL],
    # On disk without waiting for it: outlives the server's death, costs a third of the memory and no more CPU.
    storage=StorageType.FILE,
    persist_mode=PersistMode.ASYNC,
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.OLD,
    max_age=timedelta(minutes=10).total_seconds(),
    max_bytes=512 * _MIB,
    max_msg_size=4 * _MIB,
    allow_direct=True,
)
"""Bounded by age and by size: under pressure the oldest chunks leave first, and their streams cannot be resumed."""

USAGE = StreamConfig(
    name="OMNIX_USAGE",
    description="One event for each attempt, kept until every durable has it.",
    subjects=[subjects.USAGE_RECORDED],
    storage=StorageType.FILE,
    # Not by interest: that removes, and fsyncs, each event by itself. `forget_acknowledged` does it for many at once.
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.NEW,
    max_bytes=1024 * _MIB,
    max_msg_size=_MIB,
    duplicate_window=timedelta(minutes=2).total_seconds(),
)

USAGE_METERING = ConsumerConfig(
    durable_name="usage-metering",
    description="Writes the ledger.",
    ack_policy=AckPolicy.EXPLICIT,
    ack_wait=timedelta(seconds=10).total_seconds(),
    max_deliver=-1,
    max_ack_pending=1000,
)
"""``ack_wait`` is how long events lie idle after a consumer died with them in hand; a write takes half of it at most.
``max_deliver`` is unlimited: failures of infrastructure never count as tries, poison is found in the application."""

DURABLES: Mapping[str, tuple[ConsumerConfig, ...]] = MappingProxyType({"OMNIX_USAGE": (USAGE_METERING,)})
"""Who must have acknowledged an event before a stream may forget it. Durables are made with their stream."""

ANALYTICS = ConsumerConfig(
    durable_name="analytics",
    description="Adds figures up.",
    ack_policy=AckPolicy.EXPLICIT,
    ack_wait=timedelta(seconds=10).total_seconds(),
    max_deliver=-1,
    max_ack_pending=1000,
    inactive_threshold=timedelta(days=1).total_seconds(),
)
"""A guest of ``OMNIX_USAGE``: made by the service when it runs, and gone when nobody has asked for a day.

A deployment may have no analytics, or have none any more, and what it misses can be had from the ledger.
"""

HEALTH = StreamConfig(
    name="OMNIX_HEALTH",
    description="What routers know together about each provider: the last word of each subject.",
    subjects=[subjects.PROVIDER_HEALTH],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.OLD,
    max_msgs_per_subject=1,
    max_bytes=16 * _MIB,
    max_msg_size=_MIB,
)
"""Each word is replaced by whoever read the last one (``Nats-Expected-Last-Subject-Sequence``)."""

CACHE = StreamConfig(
    name="OMNIX_CACHE",
    description="Answers that may be given again: the last one of each subject.",
    subjects=[subjects.CACHED],
    # As the chunks: what a server loses is asked of the vendor again.
    storage=StorageType.FILE,
    persist_mode=PersistMode.ASYNC,
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.OLD,
    max_msgs_per_subject=1,
    max_age=timedelta(days=7).total_seconds(),
    max_bytes=256 * _MIB,
    max_msg_size=5 * _MIB,
    duplicate_window=timedelta(seconds=1).total_seconds(),
    allow_direct=True,
    allow_msg_ttl=True,
)
"""Each answer says itself how long it is one; under pressure the oldest leave first."""

IDEMPOTENCY = StreamConfig(
    name="OMNIX_IDEMPOTENCY",
    description="What became of the calls that callers gave a key: the last word of each subject.",
    subjects=[subjects.CALLS_CLAIMED],
    # Not as the cache: what is forgotten might be paid for twice.
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.NEW,
    max_msgs_per_subject=1,
    max_age=timedelta(days=7).total_seconds(),
    max_bytes=1024 * _MIB,
    max_msg_size=5 * _MIB,
    duplicate_window=timedelta(seconds=1).total_seconds(),
    allow_direct=True,
    allow_msg_ttl=True,
)
"""Each word is replaced by whoever read the last one, and says itself how long it holds. When it is full, new keys are
refused; those that are there can still come to their end."""

DEAD = StreamConfig(
    name="OMNIX_DEAD",
    description="Messages that could not be processed, with their reason.",
    subjects=[subjects.DEAD],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    discard=DiscardPolicy.NEW,
    max_bytes=256 * _MIB,
    duplicate_window=timedelta(minutes=2).total_seconds(),
)


async def ensure(jetstream: JetStreamContext, stream: StreamConfig, *guests: ConsumerConfig) -> None:
    """Make the stream and its durables, or bring existing ones to this configuration.

    ``guests`` are durables that the stream does without, those of the caller.
    """
    name = _required(stream.name)
    try:
        await jetstream.stream_info(name)
        await jetstream.update_stream(stream)
    except NotFoundError:
        await _made(jetstream, stream)
    except ServerError as exc:
        # What was not to be kept for certain may be lost for the change.
        if exc.err_code != _STORAGE_CANNOT_CHANGE or stream.persist_mode is not PersistMode.ASYNC:
            raise
        await jetstream.delete_stream(name)
        await _made(jetstream, stream)
    for durable in (*DURABLES.get(name, ()), *guests):
        # Creating a consumer with the configuration that it has changes nothing.
        await jetstream.add_consumer(name, durable)


async def _made(jetstream: JetStreamContext, stream: StreamConfig) -> None:
    try:
        await jetstream.add_stream(stream)
    except BadRequestError:  # another process made it meanwhile
        await jetstream.update_stream(stream)


async def forget_acknowledged(jetstream: JetStreamContext, stream: StreamConfig) -> int:
    """Remove what every durable of the stream has acknowledged, in one step; answers how many messages that were.

    May be called by several processes at once. One of ``DURABLES`` that is missing keeps everything. Guests count while
    they exist, and while the stream is less than half full: a full stream refuses what money depends on.
    """
    name = _required(stream.name)
    wanted = {_required(durable.durable_name) for durable in DURABLES.get(name, ())}
    floors = {
        info.name: info.ack_floor.stream_seq
        for info in await jetstream.consumers_info(name)
        if info.config.durable_name is not None and info.ack_floor is not None
    }
    state = (await jetstream.stream_info(name)).state
    if not wanted or not wanted <= floors.keys() or state.messages == 0:
        return 0
    floor = min(floors.values())
    if state.bytes * 2 > (stream.max_bytes or math.inf):
        needed = min(floors[durable] for durable in wanted)
        if needed > floor:
            late = sorted(str(durable) for durable, reached in floors.items() if reached < needed)
            _log.error("a stream is half full and no longer waits", extra={"stream": name, "for": late})
            floor = needed
    if floor < state.first_seq:
        return 0
    # The sequence that is named stays, and everything before it goes.
    await jetstream.purge_stream(name, seq=floor + 1)
    return floor + 1 - state.first_seq


def _required(name: str | None) -> str:
    if name is None:
        raise ValueError("streams and durables have names")
    return name
