"""Calls with an ``Idempotency-Key``: made once, and answered again with what came of it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason

from omnix_gateway import metrics
from omnix_gateway.chat.convert import CompletionRequest
from omnix_gateway.clients import Router, Started, UsageMetering
from omnix_gateway.embeddings.convert import ProtoRequest, refuse_wrong_count
from omnix_gateway.errors import KeyConflict
from omnix_gateway.http.exchange import Exchange, Scope, WhileConnected, header
from omnix_gateway.idempotency import convert
from omnix_gateway.idempotency.calls import Calls
from omnix_gateway.idempotency.claims import Claim, Claims, Earlier, StillRunning
from omnix_gateway.idempotency.convert import CompleteResponse, EmbedResponse, to_bytes
from omnix_gateway.idempotency.keys import FIELD, fingerprint, place_of, readable
from omnix_gateway.idempotency.records import Record, State
from omnix_gateway.idempotency.schema import KeyState, KnownAttempt
from omnix_gateway.identity import Identity
from omnix_gateway.policies import CANCEL, OnDisconnect
from omnix_gateway.streaming.streams import OpenStream, Streams

T = TypeVar("T")

_HASHED_HERE: Final = 256 * 1024
"""Bytes of a body; more would hold everybody up for milliseconds."""
_SOON: Final = timedelta(seconds=2)
_LEDGER_WITHIN: Final = 2.0


class KeyedCall:
    """Stands for the router, and the streams, before the request that claimed a key: the call belongs to the key.

    A client that leaves does not end it, unless it wished so.
    """

    def __init__(
        self, calls: Calls, claim: Claim, identity: Identity, router: Router, streams: Streams, *, ends: bool
    ) -> None:
        """:param ends: a stream ends when its client leaves before it began."""
        self._calls = calls
        self._claim = claim
        self._identity = identity
        self._router = router
        self._streams = streams
        self._ends = ends
        self._made = False
        self._begun: asyncio.Task[Started] | None = None

    async def complete(
        self, completion_id: str, caller: Caller, request: CompletionRequest, within: timedelta | None = None
    ) -> CompleteResponse:
        return await self._answered(self._router.complete(completion_id, caller, request, within), to_bytes)

    async def embed(
        self, completion_id: str, caller: Caller, request: ProtoRequest, within: timedelta | None = None
    ) -> EmbedResponse:
        async def call() -> EmbedResponse:
            response = await self._router.embed(completion_id, caller, request, within)
            refuse_wrong_count(response, request)
            return response

        return await self._answered(call(), to_bytes)

    async def _answered(self, call: Coroutine[Any, Any, T], to_bytes: Callable[[T], bytes]) -> T:
        self._made = True
        task = self._calls.make(self._claim, call, to_bytes)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._calls.left(task)
            raise

    async def start(
        self,
        completion_id: str,
        caller: Caller,
        request: CompletionRequest,
        chunk_subject: str,
        within: timedelta | None = None,
    ) -> Started:
        self._made = True
        call = self._router.start(completion_id, caller, request, chunk_subject, within)
        self._begun = self._calls.begin(self._claim, call)
        return await asyncio.shield(self._begun)

    async def cancel(self, completion_id: str, cause: str) -> None:
        """The client left before the answer began, or something failed."""
        if self._begun is None or (cause == "client" and not self._ends):
            return
        self._begun.cancel()
        await self._streams.cancel(completion_id, cause)

    async def leave(self, stream: OpenStream) -> None:
        """The client left in the middle."""
        await self._streams.leave(stream)

    def done(self) -> None:
        """The request is done, however: what was not made frees its key."""
        if not self._made:
            self._calls.release(self._claim)
        elif self._begun is not None:
            self._calls.follow(self._claim, self._identity, self._begun)


@dataclass(frozen=True)
class Keyed:
    """What calls of every kind share. Times in seconds."""

    claims: Claims
    calls: Calls
    router: Router
    streams: Streams
    metering: UsageMetering
    gateway_id: str
    id_prefix: bytes
    ttl: float
    wait: float
    """How long a request waits for the same one that is under way."""

    def key(self, scope: Scope) -> str | None:
        """The key that a request gives its call; None for the many that give none."""
        key = header(scope, FIELD)
        return None if key is None else readable(key)

    async def claim(
        self,
        scope: Scope,
        exchange: Exchange,
        identity: Identity,
        key: str,
        request: msgspec.Struct,
        size: int,
        within: Callable[[], timedelta | None],
        policy: OnDisconnect | None = None,
    ) -> KeyedCall | Earlier:
        """Claim the key for this call; or find the earlier one, which has ended, goes on as a stream, or is lost.

        :param size: bytes of the body.
        :param policy: of a stream.
        :param within: what is left of the time that the caller gave.
        :raises KeyConflict: when there is nothing to wait for.
        :raises ClientGone: and then nothing was claimed.
        """
        path = str(scope["path"])
        if size > _HASHED_HERE:
            print_of_body = await asyncio.to_thread(fingerprint, path, request)
        else:
            print_of_body = fingerprint(path, request)
        now, began = time.time(), time.monotonic()
        wanted = Record(
            State.CLAIMED,
            print_of_body,
            self.gateway_id,
            exchange.completion_id,
            policy is not None,
            claimed=now,
            until=now + self.ttl,
        )

        def patience() -> float:
            left = within()
            waited = time.monotonic() - began
            return self.wait - waited if left is None else min(self.wait - waited, left.total_seconds())

        try:
            with WhileConnected(scope):
                found = await self.claims.claim(identity.tenant_id, place_of(identity, key), wanted, patience)
        except StillRunning as exc:
            exchange.completion_id = exc.claim.record.completion_id
            raise await self._conflict(exc.claim.record, identity, _IN_PROGRESS) from exc
        if isinstance(found, Earlier):
            exchange.completion_id = found.record.completion_id
            return found
        metrics.KEYED.labels("called").inc()
        return KeyedCall(self.calls, found, identity, self.router, self.streams, ends=policy == CANCEL)

    async def again(self, earlier: Earlier, identity: Identity, exchange: Exchange) -> bytes:
        """What was answered to an earlier call that has ended.

        :raises OmnixError: with what it failed.
        :raises KeyConflict: when its answer is not to be had.
        """
        record = earlier.record
        if record.state is State.DONE and record.answer:
            self.replayed(exchange)
            return record.answer
        if record.state is State.FAILED and record.answer:
            error = convert.error_from_bytes(record.answer)
            if error.reason in (Reason.CANCELLED, Reason.KEY_REVOKED):
                raise await self._conflict(record, identity, _CANCELLED)
            self.replayed(exchange)
            raise error
        if earlier.is_under_way:  # and cannot be followed yet
            raise await self._conflict(record, identity, _IN_PROGRESS)
        not_kept = record.state in (State.DONE, State.FAILED)
        raise await self._conflict(record, identity, _NOT_KEPT if not_kept else _IN_DOUBT)

    def replayed(self, exchange: Exchange) -> None:
        exchange.replayed = True
        metrics.KEYED.labels("replayed").inc()

    async def _conflict(self, record: Record, identity: Identity, why: "_Why") -> KeyConflict:
        metrics.KEYED.labels(why.state.replace("_", "-")).inc()
        state = KeyState(
            state=why.state,
            completion_id=self.id_prefix.decode() + record.completion_id,
            claim_time=_time(record.claimed),
            expire_time=_time(record.until),
            attempts=None if why is _IN_PROGRESS else await self._attempts(identity, record.completion_id),
            advice=why.advice,
        )
        return KeyConflict(
            why.message,
            code=f"idempotency_{why.state}",
            state=state,
            retry_after=_SOON if why is _IN_PROGRESS else None,
        )

    async def _attempts(self, identity: Identity, completion_id: str) -> list[KnownAttempt] | None:
        try:
            async with asyncio.timeout(_LEDGER_WITHIN):
                page = await self.metering.entries(convert.attempts_to_ask(identity, completion_id))
        except (TimeoutError, OmnixError):
            return None
        return convert.attempts_from_proto(page.entries)


@dataclass(frozen=True, slots=True)
class _Why:
    state: Any
    message: str
    advice: str


_IN_PROGRESS: Final = _Why(
    "in_progress",
    "The first request with this key is still being answered.",
    "Come again with the same key.",
)
_IN_DOUBT: Final = _Why(
    "in_doubt",
    "What became of the first request with this key is not known; it may have been made and billed.",
    "Look at the attempts, which are billed, and decide whether to ask again with another key.",
)
_CANCELLED: Final = _Why(
    "cancelled",
    "The first request with this key was cancelled before its end.",
    "Ask again with another key; what was produced until then is billed.",
)
_NOT_KEPT: Final = _Why(
    "answer_not_kept",
    "The first request with this key has ended, and its answer was too large to be kept.",
    "It is billed; ask again with another key to have another answer.",
)


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
