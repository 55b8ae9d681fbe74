"""One streamed attempt, from the call of the vendor to the last message.

It lives in a task of its own: whoever asked for it may leave. Its end is told exactly once to each of four: who waits
for the first content, who reads the chunks, the router that may begin another attempt, and the meter.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit import subjects
from omnix_kit.errors import OmnixError, PlatformError, Reason

from omnix_provider import estimate, tracing
from omnix_provider.attempts import Running
from omnix_provider.continuing import Continuation, continuing
from omnix_provider.convert.answered import head_to_proto, usage_to_proto
from omnix_provider.errors import Cancelled, Cut, Departed, Malformed, TimedOut
from omnix_provider.outcome import cost_of, credible, may_be_mended, outcome_of, usage_of
from omnix_provider.plugins.chain import Chain
from omnix_provider.publisher import ChunkStream, MessageTooLarge, Publisher
from omnix_provider.types import Attempt, AttemptPurpose, Batch, Chunk, CompletionRequest, Head, Provider, Usage
from omnix_provider.usage import Metered, told

_log = logging.getLogger(__name__)

_USAGE_WITHIN = 2.0
"""After the last finish reason, seconds in which the vendor may send usage and its end marker."""


@dataclass(frozen=True)
class Limits:
    first_content: timedelta
    idle: timedelta
    whole: timedelta


@dataclass(frozen=True)
class Recovery:
    """What an attempt has to do with others at the same answer."""

    continuation: Continuation | None = None
    """Of what an earlier one began, which broke off."""
    router_id: str = ""
    """Who hears how this one ends; empty for nobody."""
    beside: int = 0
    """The slow one that it runs beside; 0 for none."""


class Streaming:
    """A streamed attempt."""

    def __init__(
        self,
        provider: Provider,
        request: CompletionRequest,
        attempt: Attempt,
        metered: Metered,
        publisher: Publisher,
        chunks: ChunkStream,
        limits: Limits,
        input_tokens: int,
        first_content: "asyncio.Future[None]",
        recovery: Recovery = Recovery(),
        chain: Chain | None = None,
    ) -> None:
        """:param first_content: done when the first new content was published; fails with the error when none came.
        :param chain: what everything goes through before it is told; None for nothing.
        """
        self._provider = provider
        self._request = request
        self._attempt = attempt
        self._metered = metered
        self._publisher = publisher
        self._chunks = chunks
        self._limits = limits
        self._input_tokens = input_tokens
        self._output = estimate.OutputEstimate()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._watch = _Watch(self._loop, self._began + limits.whole.total_seconds(), self._expired)
        self._head: Head | None = None
        self._usage: Usage | None = None
        self._unfinished: set[int] = set()
        self._finished = 0
        self._end_marker = False
        self._running: Running | None = None
        self._first_content = first_content
        self._recovery = recovery
        self._chain = chain
        self._call: tracing.VendorCall | None = None
        self._in_chain = False
        """Something went into the chain and did not come out."""
        self._continuing = (
            None if recovery.continuation is None else continuing(recovery.continuation, attempt.provider)
        )

    async def run(self, running: Running) -> None:
        """Never raises."""
        self._running = running
        running.begun = self._recovery.continuation is not None
        self._call = tracing.vendor_call(self._provider, self._request, self._attempt, streamed=True)
        self._watch.within(self._limits.first_content.total_seconds())
        error: OmnixError | None
        untold = False  # something that came may not have gone out
        try:
            await self._relay(running)
            error = self._missing()
        except asyncio.CancelledError:
            error = running.ending or Cancelled("The attempt was cancelled.")
        except OmnixError as exc:
            untold = isinstance(exc, Departed)
            error = exc
        except MessageTooLarge:
            untold = True
            error = Malformed("A piece of the provider's answer is too large.", provider=self._attempt.provider)
        except Exception:
            untold = True
            _log.exception("attempt failed by a defect")
            error = PlatformError("OmniX failed; the log of the adapter says why.", reason=Reason.INTERNAL)
        running.over = True
        self._watch.stop()
        if self._whole() and not untold and not self._in_chain:
            error = None  # what went wrong after the last finish reason takes nothing from the answer
        if self._chain is not None:
            if error is None:
                error = await self._tell_rest(self._chain)
            self._chain.close()
        try:
            await self._finish(error, running.purpose)
        except Exception:
            _log.exception("the end of a stream could not be told")

    async def _relay(self, running: Running) -> None:
        async with aclosing(
            self._provider.stream(self._request, self._attempt, self._metered.handed_over)  # type: ignore[type-var]
        ) as batches:
            async for batch in batches:
                await self._take(batch)
                if running.ending is not None:
                    raise running.ending  # the broker's client swallows a cancellation that meets it in a flush
                if batch.done:
                    self._end_marker = True
                    if self._usage is not None or not self._finished:
                        return

    async def _take(self, batch: Batch) -> None:
        if self._call is not None:
            self._call.take(batch)
        if batch.head is not None:
            self._head = batch.head
        if batch.usage is not None:
            self._usage = credible(batch.usage) or self._usage
        if not batch.chunks:
            return
        content = False
        for chunk in batch.chunks:
            content |= self._output.add(chunk)
            self._note(chunk)
        self._metered.progress(self._output.tokens)
        within = 0.0
        if self._whole():
            within = _USAGE_WITHIN
        elif content:
            within = self._limits.idle.total_seconds()
        chunks = batch.chunks
        if self._chain is not None:
            chunks = await self._through(self._chain, chunks, within)
        elif within:
            self._watch.within(within)
        await self._tell(chunks)

    async def _through(self, chain: Chain, chunks: Sequence[Chunk], within: float) -> Sequence[Chunk]:
        """The plugins' time is not the vendor's."""
        if within:
            self._watch.within(within + chain.patience)
        self._in_chain = True
        chunks = await chain.through(chunks)
        self._in_chain = False
        if within:
            self._watch.within(within)
        return chunks

    async def _tell(self, chunks: Sequence[Chunk]) -> None:
        if self._continuing is not None:
            chunks = [new for chunk in chunks for new in self._continuing.new(chunk)]
        if not chunks:
            return  # a sign of life that the caller has already, or that a plugin holds back
        if not self._first_content.done():
            self._metered.first_content()
            self._chunks.start(self._start())
            await self._chunks.send(chunks)
            self._first_content.set_result(None)
            if self._running is not None:
                self._running.begun = True
        else:
            await self._chunks.send(chunks)

    async def _tell_rest(self, chain: Chain) -> OmnixError | None:
        """The vendor's answer is whole: tell what plugins hold back of it. Gives why it cannot be told."""
        try:
            await self._tell(await chain.rest())
        except OmnixError as exc:
            return exc
        except MessageTooLarge:
            return Malformed("A piece of the provider's answer is too large.", provider=self._attempt.provider)
        except Exception:
            _log.exception("the rest of an answer could not be told")
            return PlatformError("OmniX failed; the log of the adapter says why.", reason=Reason.INTERNAL)
        return None

    def _note(self, chunk: Chunk) -> None:
        if chunk.finish_reason is None:
            self._unfinished.add(chunk.choice_index)
        else:
            self._unfinished.discard(chunk.choice_index)
            self._finished += 1

    def _whole(self) -> bool:
        """Every alternative has its finish reason. A vendor that properly ends with fewer than asked is done too."""
        expected = 1 if self._end_marker else self._request.candidate_count or 1
        return not self._unfinished and self._finished >= expected

    def _missing(self) -> OmnixError | None:
        if self._whole():
            return None
        return Cut("The provider broke off in the middle of the answer.", provider=self._attempt.provider)

    def _expired(self) -> None:
        if self._running is None:
            return
        what = "more content" if self._output.tokens else "the first content"
        self._running.end(TimedOut(f"The provider did not send {what} in time.", provider=self._attempt.provider))

    async def _finish(self, error: OmnixError | None, purpose: AttemptPurpose | None) -> None:
        """Who waits is told first, and whatever fails in telling one keeps nothing from the others."""
        usage = usage_of(error, self._usage, self._input_tokens, self._output.tokens)
        begun = self._first_content.done()
        if not begun:
            self._publisher.abandon(self._chunks)
            self._first_content.set_exception(error or _EMPTY)
            self._first_content.exception()  # whoever waited may have left
        try:
            self._metered.close(outcome_of(error), usage, error, purpose)
        finally:
            if begun:
                end = self._end(usage, error)
                await self._chunks.end(end, self._ended(end) if self._recovery.router_id else None)
            if self._call is not None:
                cost = cost_of(usage, self._attempt.price)
                reason = None if error is None else error.reason.value
                self._call.ended(usage, cost, self._metered.first_content_us, reason)

    def _start(self) -> pb.Start:
        start = head_to_proto(self._head, self._attempt, self._publisher.sender_id)
        start.router_id = self._recovery.router_id
        if self._recovery.continuation is not None:
            start.continued_attempt = self._recovery.continuation.attempt
        elif self._recovery.beside:
            start.continued_attempt = self._recovery.beside
        return start

    def _end(self, usage: Usage, error: OmnixError | None) -> pb.End:
        end = pb.End(
            error=None if error is None else told(error),
            first_content_us=self._metered.first_content_us,
            may_go_on=error is not None and bool(self._recovery.router_id) and may_be_mended(error),
        )
        try:
            end.usage.CopyFrom(usage_to_proto(usage))
            cost = cost_of(usage, self._attempt.price)
            if cost is not None:
                end.cost_micros = cost
        except ValueError:
            _log.exception("the end of a stream is told without its usage")
        return end

    def _ended(self, end: pb.End) -> tuple[str, pb.AttemptEnded]:
        attempt = self._attempt
        return subjects.attempts_ended(self._recovery.router_id, attempt.completion_id), pb.AttemptEnded(
            completion_id=attempt.completion_id,
            attempt_id=attempt.attempt_id,
            attempt=attempt.number,
            error=end.error if end.HasField("error") else None,
        )


_EMPTY = PlatformError("The stream ended without a word.", reason=Reason.INTERNAL)


class _Watch:
    """One timer for all of a stream's limits: it is set anew only when it fires early or the limit becomes shorter."""

    __slots__ = ("_at", "_expired", "_handle", "_last", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, last: float, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._last = last
        self._expired = expired
        self._at = last
        self._handle = loop.call_at(last, self._fire)

    def within(self, seconds: float) -> None:
        at = min(self._loop.time() + seconds, self._last)
        self._at = at
        if at < self._handle.when():
            self._handle.cancel()
            self._handle = self._loop.call_at(at, self._fire)

    def stop(self) -> None:
        self._handle.cancel()

    def _fire(self) -> None:
        if self._loop.time() < self._at:
            self._handle = self._loop.call_at(self._at, self._fire)
        else:
            self._expired()
