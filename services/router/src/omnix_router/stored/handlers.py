"""NATS: routers tell one another that a stored route changed. A lost word is made up for by the next look."""

import logging

from nats.aio.msg import Msg
from omnix.router.v1 import route_pb2
from omnix_kit import subjects
from omnix_kit.errors import OmnixError
from omnix_kit.messaging import Messaging

from omnix_router.stored.following import StoredRoutes

_log = logging.getLogger(__name__)


class RouteWords:
    def __init__(self, messaging: Messaging, stored: StoredRoutes) -> None:
        self._messaging = messaging
        self._stored = stored
        self._subscribed = False

    async def connected(self) -> None:
        """For every connection; what was said while there was none is read from the store."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.ROUTE_CHANGED, self._on_changed)
            self._subscribed = True
        self._stored.look()

    async def announce(self, name: str, version: int) -> None:
        """Tell the others, as far as they can be reached now."""
        word = route_pb2.RouteChanged(name=name, version=version)
        try:
            await self._messaging.publish(subjects.ROUTE_CHANGED, word.SerializeToString())
        except OmnixError as exc:
            _log.warning("other routers see a change at their next look", extra={"route": name, "error": exc.message})

    async def _on_changed(self, message: Msg) -> None:
        # Whichever it was, the store says it all; many words at once are one look.
        self._stored.look()
