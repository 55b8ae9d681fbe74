"""Whether a call with a key may be made: by one gateway, once, however many ask at the same time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omnix_kit.errors import OmnixError

from omnix_gateway import metrics
from omnix_gateway.errors import KeyConflict
from omnix_gateway.idempotency.holding import Holding, Word
from omnix_gateway.idempotency.keys import HEADER
from omnix_gateway.idempotency.records import Record, State
from omnix_gateway.idempotency.store import Full, Store, Uncertain, away, full

_STEPS: Final = 1000
_AT_ONCE: Final = 0.01
"""Seconds for which nobody need wait any more."""
_PAUSE: Final = 0.1
"""Seconds; after a silence."""


@dataclass(frozen=True, slots=True)
class Claim:
    """This gateway makes the call, and writes down what becomes of it in place of this record."""

    tenant_id: str
    place: str
    sequence: int
    record: Record


@dataclass(frozen=True, slots=True)
class Earlier:
    """A call with the same key and body that was made before, or goes on."""

    claim: Claim
    is_under_way: bool = False
    """Its stream goes on and can be followed; otherwise one that is still claimed has nobody who makes it."""

    @property
    def record(self) -> Record:
        return self.claim.record


class Claims:
    def __init__(self, store: Store, holding: Holding) -> None:
        self._store = store
        self._holding = holding

    async def claim(self, tenant_id: str, place: str, wanted: Record, patience: Callable[[], float]) -> Claim | Earlier:
        """Claim the key, or wait for the call that has it.

        :param patience: how many seconds are left for waiting.
        :raises KeyConflict: the key was given to another body.
        :raises StillRunning: that call takes longer than this one waits.
        :raises PlatformError: nobody can tell now; the call must not be made.
        """
        self._holding.hold(wanted.completion_id)
        try:
            found = await self._claim(tenant_id, place, wanted, patience)
        except Uncertain as exc:
            self._holding.never_made(wanted.completion_id)
            raise away() from exc
        except Full as exc:
            self._holding.let_go(wanted.completion_id)
            metrics.KEYED.labels("full").inc()
            raise full() from exc
        except BaseException:
            # Cancelled while the claim was written, perhaps.
            self._holding.never_made(wanted.completion_id)
            raise
        if isinstance(found, Earlier):
            self._holding.let_go(wanted.completion_id)
        return found

    async def _claim(
        self, tenant_id: str, place: str, wanted: Record, patience: Callable[[], float]
    ) -> Claim | Earlier:
        expected: int | None = 0
        left_alone = -1
        """The number of a claim that nobody sees to."""
        for _ in range(_STEPS):
            if expected is not None:
                sequence = await self._store.write(tenant_id, place, wanted, expected)
                if sequence is not None:
                    return Claim(tenant_id, place, sequence, wanted)
            found = await self._store.read(tenant_id, place)
            if found is None:
                expected = 0
                continue
            sequence, record = found
            if record.state is State.RELEASED or record.until <= time.time():
                expected = sequence
                continue
            if record.fingerprint != wanted.fingerprint:
                metrics.KEYED.labels("reused").inc()
                raise _reused()
            claim = Claim(tenant_id, place, sequence, record)
            if record.state is not State.CLAIMED or left_alone == sequence:
                return Earlier(claim)
            expected = None
            match await self._holding.ask(record.gateway_id, record.completion_id, patience()):
                case Word.BEGUN:
                    return Earlier(claim, is_under_way=True)
                case Word.NEVER:
                    expected = sequence
                case Word.GONE | Word.OVER:
                    # It may have been written down at this moment.
                    left_alone = sequence
                case Word.RUNNING | Word.SILENT as word:
                    if patience() <= _AT_ONCE:
                        raise StillRunning(claim)
                    if word is Word.SILENT:
                        await asyncio.sleep(_PAUSE)
        raise away()


class StillRunning(Exception):
    """The first call goes on."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("the first call with this key goes on")
        self.claim = claim


def _reused() -> OmnixError:
    return KeyConflict(
        f"This '{HEADER}' was given to another request; a key is for one request and its repetitions.",
        code="idempotency_key_reused",
        status=422,
        param=HEADER,
    )
