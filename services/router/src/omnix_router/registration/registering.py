"""Adapters come by their first heartbeat, leave by their last, and are forgotten after a while."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from omnix_kit.listening import Listening

from omnix_router import metrics
from omnix_router.adapters import Adapters
from omnix_router.clients import AdapterClient
from omnix_router.registration.allowed import Address, Allowed
from omnix_router.registration.convert import Beat

_log = logging.getLogger(__name__)

MOST: Final = 64
"""Addresses that are known at once, those that left among them."""
_TOLD: Final = 256
"""Refusals that are remembered, so that each is logged once and not every second."""
_LONGEST_TOLD: Final = 300
_LOOK_EVERY: Final = 1.0


@dataclass(slots=True)
class _Known:
    """An address that registered."""

    client: AdapterClient
    sender_id: str
    heard: float
    """By the clock of :class:`Listening`."""
    left: float | None = None
    """Since when it is not called any longer, by the clock that is an argument."""


class Registering:
    """Knows the addresses that adapters gave. Times are seconds of a clock that never goes back."""

    def __init__(
        self,
        adapters: Adapters,
        client_at: Callable[[str], AdapterClient],
        allowed: Allowed,
        configured: Collection[str],
        *,
        silence: timedelta,
        memory: timedelta,
    ) -> None:
        """
        :param configured: addresses that need no registering.
        :param silence: after which an adapter has left; while the broker is away it hardly counts.
        :param memory: how long it is known what an adapter served that left. Longer than any call that may still be in
            hand there.
        """
        self._adapters = adapters
        self._client_at = client_at
        self._allowed = allowed
        self._configured = frozenset(Address.of(each) or each for each in configured)
        self._silence = silence.total_seconds()
        self._memory = memory.total_seconds()
        self._known: dict[Address, _Known] = {}
        self._forgotten: list[AdapterClient] = []
        self._told: dict[tuple[str, str], None] = {}
        self._listening = Listening()

    def heard(self, beat: Beat, now: float) -> None:
        """A process said where it is, or that it is there no more."""
        if not beat.address:
            for known in self._known.values():
                if known.sender_id == beat.sender_id and known.left is None:
                    self._leave(known, now, "it stops")
            return
        address = Address.of(beat.address)
        if address is None:
            self._refuse(beat.address, "address")
        elif address in self._configured:
            return
        elif address in self._known:
            known = self._known[address]
            known.sender_id, known.heard = beat.sender_id, self._listening.at(now)
            if known.left is not None:
                known.left = None
                self._come(known)
        elif not self._allowed.allows(address):
            self._refuse(str(address), "address")
        elif not self._has_room():
            self._refuse(str(address), "room")
        else:
            known = _Known(self._client_at(str(address)), beat.sender_id, self._listening.at(now))
            self._known[address] = known
            self._come(known)

    @asynccontextmanager
    async def watched(self, is_listening: Callable[[], bool]) -> AsyncIterator[None]:
        """Notice who fell silent while inside.

        :param is_listening: whether heartbeats can be heard now.
        """
        task = asyncio.create_task(self._watch(is_listening))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._forgotten += [known.client for known in self._known.values()]
            await self._close_forgotten()

    async def _watch(self, is_listening: Callable[[], bool]) -> None:
        while True:
            try:
                self.look(time.monotonic(), is_listening=is_listening())
                await self._close_forgotten()
            except Exception:  # whatever it is, adapters must go on coming and going
                _log.exception("looking after registered adapters failed")
            await asyncio.sleep(_LOOK_EVERY)

    def look(self, now: float, *, is_listening: bool) -> None:
        """Let those leave that were silent for too long, and forget those that left long ago."""
        if is_listening:
            self._listening.begin(now)
        else:
            self._listening.end(now)
        listened = self._listening.at(now)
        for address, known in list(self._known.items()):
            if known.left is None:
                if listened - known.heard > self._silence:
                    self._leave(known, now, "it is silent")
            elif now - known.left > self._memory:
                self._forget(address)

    def _come(self, known: _Known) -> None:
        _log.info("an adapter registered itself", extra={"address": known.client.address, "sender": known.sender_id})
        self._adapters.register(known.client)
        self._count()

    def _leave(self, known: _Known, now: float, why: str) -> None:
        known.left = now
        _log.info("an adapter that registered itself left", extra={"address": known.client.address, "why": why})
        self._adapters.leave(known.client)
        self._count()

    def _forget(self, address: Address) -> None:
        known = self._known.pop(address)
        self._adapters.forget(known.client)
        self._forgotten.append(known.client)

    def _has_room(self) -> bool:
        """One that left makes room for one that is there."""
        if len(self._known) >= MOST:
            left = {address: known.left for address, known in self._known.items() if known.left is not None}
            if left:
                self._forget(min(left, key=lambda address: left[address]))
        return len(self._known) < MOST

    def _refuse(self, address: str, why: str) -> None:
        address = address[:_LONGEST_TOLD]
        if (address, why) in self._told:
            return
        if len(self._told) >= _TOLD:
            del self._told[next(iter(self._told))]
        self._told[address, why] = None
        metrics.REGISTRATIONS_REFUSED.labels(why).inc()
        _log.warning("an adapter may not register itself", extra={"address": address, "why": why})

    def _count(self) -> None:
        metrics.REGISTERED.set(sum(known.left is None for known in self._known.values()))

    async def _close_forgotten(self) -> None:
        forgotten, self._forgotten = self._forgotten, []
        for client in forgotten:
            await client.close()
