"""Several usage events in one message: what a message costs is nearly the same for one event and for many.

Events of one tenant that wait at the same time travel together, the first with the others in its ``more``. Each keeps
its own attempt's id, by which the ledger knows it; alone, as from the spool, it may come once more.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from msgspec import Struct

from omnix_provider.lone_text import varint
from omnix_provider.spool import Record

_MOST = 64
_MOST_BYTES = 64 * 1024
"""Of a message with several events. Its reader takes hundreds of messages at once, and the stream up to 1 MiB each."""
_MORE = b"\xb2\x01"
"""Tag of ``UsageRecorded.more``."""


class Closed(Struct, frozen=True):
    """The event of an ended attempt, and the slot that keeps it until it is safe."""

    slot: int
    record: Record
    traceparent: str | None = None


def together(events: Iterable[Closed]) -> Iterator[list[Closed]]:
    """Group the events into those that may be one message, the eldest first."""
    open_: dict[str, list[Closed]] = {}
    sizes: dict[str, int] = {}
    for event in events:
        subject, size = event.record.subject, len(event.record.event)
        group = open_.get(subject)
        if group is not None and (len(group) == _MOST or sizes[subject] + size > _MOST_BYTES):
            yield open_.pop(subject)
            group = None
        if group is None:
            open_[subject], sizes[subject] = [event], size
        else:
            group.append(event)
            sizes[subject] += size
    yield from open_.values()


def one_message(records: Sequence[Record]) -> Record:
    """What is published for a group.

    Its id is that of exactly these events in this order: published again it is the same message, while other events,
    or these in other company, are never taken for it.
    """
    first, *others = records
    if not others:
        return first
    ids = "".join(record.message_id for record in records)
    more = b"".join(b"%b%b%b" % (_MORE, varint(len(record.event)), record.event) for record in others)
    return Record(first.subject, blake2b(ids.encode(), digest_size=16).hexdigest(), first.event + more)
