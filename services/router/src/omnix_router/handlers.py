"""NATS: cancellations, out to the adapters and in from whoever asks; how attempts end, and which senders live."""

import logging

from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2
from omnix_kit import subjects
from omnix_kit.messaging import Messaging

from omnix_router.attempts import Attempts
from omnix_router.mirroring import Mirroring
from omnix_router.recovery.convert import ended_from_bytes
from omnix_router.recovery.keeping import Answers

_log = logging.getLogger(__name__)


class Cancellations:
    """Whoever runs an attempt of a completion ends it; a router that is between two attempts makes no other."""

    def __init__(self, messaging: Messaging, attempts: Attempts, answers: Answers, mirroring: Mirroring) -> None:
        self._messaging = messaging
        self._attempts = attempts
        self._answers = answers
        self._mirroring = mirroring
        self._subscribed = False

    async def publish(self, completion_id: str, cause: str) -> None:
        """Ask everybody to end a completion.

        :raises PlatformError: ``UNAVAILABLE`` while NATS is away.
        """
        asked = completion_pb2.CancelRequested(completion_id=completion_id, cause=cause)
        await self._messaging.publish(subjects.cancel(completion_id), asked.SerializeToString())

    async def subscribe(self) -> None:
        """For every connection; the library itself renews what was subscribed before."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.CANCEL_REQUESTED, self._on_cancel)
            self._subscribed = True

    async def _on_cancel(self, message: Msg) -> None:
        # The subject says it all, so that a payload of another version is understood too.
        completion_id = message.subject.rpartition(".")[2]
        self._attempts.end(completion_id)
        self._answers.end(completion_id)
        self._mirroring.end(completion_id)


class Senders:
    """What the processes that send streams say of themselves and of their attempts."""

    def __init__(self, messaging: Messaging, answers: Answers, router_id: str) -> None:
        self._messaging = messaging
        self._answers = answers
        self._router_id = router_id
        self._subscribed = False

    async def subscribe(self) -> None:
        """For every connection; the library itself renews what was subscribed before."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.attempts_ended_of_router(self._router_id), self._on_ended)
            await self._messaging.subscribe(subjects.SENDER_HEARTBEATS, self._on_heartbeat)
            self._subscribed = True

    async def _on_ended(self, message: Msg) -> None:
        ended = ended_from_bytes(message.data)
        if ended is None:
            _log.warning("a word on the end of an attempt cannot be read", extra={"subject": message.subject})
        else:
            self._answers.on_ended(ended)

    async def _on_heartbeat(self, message: Msg) -> None:
        # The subject says it all, so that a payload of another version is understood too.
        self._answers.on_heartbeat(message.subject.rpartition(".")[2])
