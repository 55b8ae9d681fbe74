"""NATS in: where adapters say that they are."""

import logging
import time

from nats.aio.msg import Msg
from omnix_kit import subjects
from omnix_kit.messaging import Messaging

from omnix_router.registration.convert import beat_from_bytes
from omnix_router.registration.registering import Registering

_log = logging.getLogger(__name__)


class Heartbeats:
    def __init__(self, messaging: Messaging, registering: Registering) -> None:
        self._messaging = messaging
        self._registering = registering
        self._subscribed = False

    async def subscribe(self) -> None:
        """For every connection; the library itself renews what was subscribed before."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.SENDER_HEARTBEATS, self._on_beat)
            self._subscribed = True

    async def _on_beat(self, message: Msg) -> None:
        beat = beat_from_bytes(message.data)
        # A user of the broker may publish on its own subject alone, so the subject says who it was.
        if beat is None or beat.sender_id != message.subject.rpartition(".")[2]:
            _log.warning("a heartbeat cannot be read", extra={"subject": message.subject})
        else:
            self._registering.heard(beat, time.monotonic())
