"""Dead letters: messages that could not be processed, kept in ``OMNIX_DEAD`` with their reason until somebody decides.

A dead letter has the original body and the original headers, and in headers of its own what happened:

============================  ===========================================================
``Omnix-Reason``              why it could not be processed, one line of ASCII
``Omnix-Subject``             the subject that the message came on
``Omnix-Message-Id``          its ``Nats-Msg-Id``, or ``<stream>:<sequence>`` when it had none
``Omnix-Time``                when it was given up, RFC 3339 in UTC
============================  ===========================================================
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import nats.errors
from nats.js.errors import NotFoundError, ServerError

from omnix_kit import streams, subjects
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.messaging import Messaging

REASON = "Omnix-Reason"
SUBJECT = "Omnix-Subject"
MESSAGE_ID = "Omnix-Message-Id"
TIME = "Omnix-Time"

_STREAM = "OMNIX_DEAD"
_OWN = frozenset({REASON, SUBJECT, MESSAGE_ID, TIME})
_MAX_REASON = 500
_NO_MESSAGE = 10057
"""``JSSequenceNotFoundErrF`` of nats-server, as told by a deletion."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of ``OMNIX_DEAD``."""

    sequence: int
    """Its number in the stream, by which it is replayed or discarded."""
    service: str
    """Who gave it up."""
    reason: str
    subject: str
    message_id: str
    time: datetime | None
    """None when whoever wrote it gave no readable time."""
    headers: Mapping[str, str]
    """The original ones, without those that NATS reads."""
    payload: bytes


async def bury(
    messaging: Messaging,
    service: str,
    reason: str,
    *,
    subject: str,
    message_id: str,
    payload: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Store a message that ``service`` cannot process; when this returns, the original may be acknowledged.

    Burying the same message twice within the stream's dedup window keeps one.

    :raises PlatformError: ``UNAVAILABLE`` when it is not certain that the message was stored.
    """
    kept = {key: value for key, value in (headers or {}).items() if not _is_for_nats(key)}
    own = {
        REASON: _one_line(reason),
        SUBJECT: subject,
        MESSAGE_ID: message_id,
        TIME: datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    await messaging.publish_durable(subjects.dead(service), payload, f"{service}:{message_id}", {**kept, **own})


async def letters(messaging: Messaging, service: str = "*") -> AsyncIterator[DeadLetter]:
    """Yield what is in ``OMNIX_DEAD``, oldest first, of one service or of all.

    :raises PlatformError: ``UNAVAILABLE`` when the broker is away.
    """
    sequence = 1
    while True:
        try:
            with _broker_errors():
                found = await messaging.jetstream.get_msg(_STREAM, sequence, subject=subjects.dead(service), next=True)
        except NotFoundError:
            return
        letter = _letter(found.seq or sequence, found.subject or "", found.headers or {}, found.data or b"")
        yield letter
        sequence = letter.sequence + 1


async def letter(messaging: Messaging, sequence: int) -> DeadLetter | None:
    """Return one dead letter; None when there is none with this number."""
    try:
        with _broker_errors():
            found = await messaging.jetstream.get_msg(_STREAM, sequence)
    except NotFoundError:
        return None
    return _letter(sequence, found.subject or "", found.headers or {}, found.data or b"")


async def replay(messaging: Messaging, dead: DeadLetter) -> None:
    """Publish the original again, on its own subject, and take the letter out of ``OMNIX_DEAD``.

    The message gets a new ``Nats-Msg-Id``, because its old one may still be in the dedup window of its stream. When the
    process dies between the two steps the letter is still there, and replaying it again is harmless: consumers know
    events by the id inside.

    :raises PlatformError: ``UNAVAILABLE`` when the message may not have been stored; the letter is still there.
    """
    message_id = f"{dead.message_id}:replay-{dead.sequence}-{datetime.now(UTC).timestamp():.3f}"
    await messaging.publish_durable(dead.subject, dead.payload, message_id, dead.headers)
    await discard(messaging, dead.sequence)


async def discard(messaging: Messaging, sequence: int) -> None:
    """Take a letter out of ``OMNIX_DEAD`` for good; one that is gone already is no error."""
    with _broker_errors():
        try:
            await messaging.jetstream.delete_msg(_STREAM, sequence)
        except ServerError as exc:
            if exc.err_code != _NO_MESSAGE:
                raise


async def ensure(messaging: Messaging) -> None:
    """Make ``OMNIX_DEAD``, or bring it to its configuration."""
    await streams.ensure(messaging.jetstream, streams.DEAD)


@contextmanager
def _broker_errors() -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise
    except (nats.errors.Error, OSError) as exc:
        raise PlatformError(
            "The message broker is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1)
        ) from exc


def _letter(sequence: int, subject: str, headers: Mapping[str, str], payload: bytes) -> DeadLetter:
    return DeadLetter(
        sequence=sequence,
        service=subject.rpartition(".")[2],
        reason=headers.get(REASON, ""),
        subject=headers.get(SUBJECT, ""),
        message_id=headers.get(MESSAGE_ID, ""),
        time=_time(headers.get(TIME, "")),
        headers={key: value for key, value in headers.items() if key not in _OWN and not _is_for_nats(key)},
        payload=payload,
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _one_line(text: str) -> str:
    """Headers are lines; what is not printable ASCII is written as an escape."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    return "".join(character if character.isprintable() else " " for character in escaped)[:_MAX_REASON]


def _is_for_nats(header: str) -> bool:
    return header.lower().startswith("nats-")
