"""NATS: cancellations, out to the adapters and in from whoever asks."""

from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2
from omnix_kit import subjects
from omnix_kit.messaging import Messaging

from omnix_router.attempts import Attempts


class Cancellations:
    """Whoever runs an attempt of a completion ends it; a router that is between two attempts makes no other."""

    def __init__(self, messaging: Messaging, attempts: Attempts) -> None:
        self._messaging = messaging
        self._attempts = attempts
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
        self._attempts.end(message.subject.rpartition(".")[2])
