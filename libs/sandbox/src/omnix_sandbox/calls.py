"""Takes a call, records it, and answers it well or badly, in any vendor's format."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
from aiohttp import web

from omnix_sandbox import script
from omnix_sandbox.faults import REFUSALS, Fault, FaultKind
from omnix_sandbox.formats import Asked, AskedChat, Billing, Format, Making, Refusal
from omnix_sandbox.record import Accepted, Closed, Finished, Outcome
from omnix_sandbox.recorder import Recorder, RecordError
from omnix_sandbox.rules import Rules
from omnix_sandbox.settings import Settings
from omnix_sandbox.steering import Steering
from omnix_sandbox.stream import Ending, Plan, Pump, start
from omnix_sandbox.transport import Connection, Request, Sent
from omnix_sandbox.words import ring_tokens

HTML_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Just a moment\xe2\x80\xa6</title></head>"
    b"<body><h1>Checking your browser</h1></body></html>\n"
)

Take = Callable[[Request, bytes], Asked]
"""Reads a request's head and body; raises `Refusal` where the vendor would refuse it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that was understood: what to answer, how fast, and with which fault."""

    asked: Asked
    answers: tuple[script.Answer, ...]
    billing: Billing
    steering: Steering
    fault: Fault | None
    rule: str | None

    @property
    def produced(self) -> int:
        """Tokens of the whole answer that the caller gets to see."""
        shown = sum(len(answer.reasoning) for answer in self.answers) if self.asked.shows_reasoning else 0
        return sum(answer.output_tokens for answer in self.answers) + shown


@dataclass(slots=True)
class Result:
    """What went out."""

    outcome: Outcome
    status: int = 200
    produced: int = 0
    output: int | None = None
    usage_sent: bool = False
    bytes_sent: int = 0
    keep_alive: bool = True
    pump: Pump | None = None
    plan: Plan | None = None


class Calls:
    """Answers one vendor's calls on any number of connections."""

    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules, format_: Format) -> None:
        self._settings = settings
        self._recorder = recorder
        self._rules = rules
        self._format = format_

    async def handle(self, request: Request, take: Take) -> web.StreamResponse:
        accepted_time = time.time()
        connection = request.connection
        call = self._format.call_id()
        body = b""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            taken: Taken | Refusal = self._format.refusal(Fault(FaultKind.STATUS, status=413))
            connection.keep_alive(False)
        else:
            taken = self._take(request, body, take)
        answer_id = None if isinstance(taken, Refusal) else self._format.answer_id(call, taken.asked)
        accepted = self._accepted(call, answer_id, accepted_time, request, taken)
        if self._settings.keep_requests:
            accepted = _with_request(accepted, taken, body)
        try:
            await self._recorder.accept(accepted)
        except RecordError as exc:
            self._refuse(connection, call, self._format.refusal(Fault(FaultKind.STATUS, status=500, message=str(exc))))
            return Sent(keep_alive=request.keep_alive)
        connection.call = call
        connection.on_closed = self._closed
        if connection.transport is None:
            self._recorder.add(Closed(call, time.time(), "client"))
        result = Result(Outcome.STOPPED)
        try:
            result = await self._answer(connection, call, answer_id, taken)
        except asyncio.CancelledError:
            if connection.writer is not None and isinstance(connection.writer, Pump):
                result.pump = connection.writer
                result.produced, result.bytes_sent = result.pump.produced, result.pump.bytes_sent
                result.pump.stop()
            raise
        finally:
            self._recorder.add(_finished(call, result))
        return Sent(keep_alive=result.keep_alive and request.keep_alive)

    def _closed(self, call: str, moment: float, by: str) -> None:
        self._recorder.add(Closed(call, moment, by))

    def _take(self, request: Request, body: bytes, take: Take) -> Taken | Refusal:
        try:
            asked = take(request, body)
            steering = asked.steering
            if isinstance(asked, AskedChat):
                self._continue(asked, steering)
            request_id = request.headers.get("X-Client-Request-Id", "")
            rule = self._rules.find(self._format.vendor, asked.model, request_id, asked.stream, asked.operation)
            answers = asked.answers()
        except Refusal as refusal:
            return refusal
        except (script.SteeringError, script.SchemaError) as exc:
            return self._format.invalid(str(exc))
        billing = Billing(
            input_tokens=asked.input_tokens(),
            output_tokens=sum(answer.output_tokens + len(answer.reasoning) for answer in answers),
            cached_tokens=steering.cached,
            cache_write_tokens=steering.cache_write,
            reasoning_tokens=sum(len(answer.reasoning) for answer in answers),
        )
        fault = rule.fault if rule is not None else steering.fault
        if fault is not None and fault.times is not None:
            word = rule.name if rule is not None else fault.spec()
            if self._rules.conversations.earlier(word, asked.conversation) >= fault.times:
                fault = rule = None
        if fault is not None and fault.kind is FaultKind.HUGE and answers:
            # The huge text is one delta and one token, in front of the answer.
            first = replace(answers[0], tokens=[_huge(fault.size), *answers[0].tokens], tool_calls=(), refusal=False)
            answers = (first,)
            billing = replace(billing, output_tokens=first.output_tokens + len(first.reasoning))
        return Taken(asked, answers, billing, steering, fault, rule.name if rule is not None else None)

    def _continue(self, asked: AskedChat, steering: Steering) -> None:
        """See what comes of the beginning that a request gives, and of the calls before it."""
        if asked.prompt.prefix and steering.no_prefix:
            raise asked.prefix_refused()
        if steering.depart_later is not None:
            earlier = self._rules.conversations.earlier("depart_later", asked.conversation)
            asked.prompt = replace(asked.prompt, earlier=earlier)

    def _accepted(
        self, call: str, answer_id: str | None, moment: float, request: Request, taken: Taken | Refusal
    ) -> Accepted:
        request_id = request.headers.get("X-Client-Request-Id")
        if isinstance(taken, Refusal):
            return Accepted(call, moment, self._format.vendor, request_id)
        return Accepted(
            call,
            moment,
            self._format.vendor,
            request_id,
            taken.asked.model,
            taken.asked.stream,
            taken.billing.input_tokens,
            answer_id,
            taken.fault.spec() if taken.fault is not None else None,
            taken.rule,
            taken.asked.operation,
            taken.asked.reasoning,
        )

    async def _answer(self, connection: Connection, call: str, answer_id: str | None, taken: Taken | Refusal) -> Result:
        if isinstance(taken, Refusal):
            return self._refuse(connection, call, taken)
        fault = taken.fault
        if fault is not None:
            if fault.kind in REFUSALS:
                return self._refuse(connection, call, taken.asked.refusal(fault) or self._format.refusal(fault))
            if fault.kind is FaultKind.RESET:
                connection.reset()
                return Result(Outcome.BROKEN, status=0, keep_alive=False)
            if fault.kind is FaultKind.SILENCE:
                return await self._silence(connection)
            if fault.kind is FaultKind.HTML:
                head = self._format.head(call, 200, length=len(HTML_PAGE), content_type="text/html; charset=utf-8")
                connection.write(head + HTML_PAGE)
                return Result(Outcome.COMPLETED, output=0, bytes_sent=len(head) + len(HTML_PAGE))
        if taken.asked.stream and isinstance(taken.asked, AskedChat):
            return await self._stream(connection, call, answer_id, taken, taken.asked)
        return await self._unary(connection, call, answer_id, taken)

    def _refuse(self, connection: Connection, call: str, refusal: Refusal) -> Result:
        body = refusal.body
        head = self._format.head(
            call, refusal.status, length=len(body), content_type=refusal.content_type, extra=refusal.headers
        )
        connection.write(head + body)
        return Result(Outcome.REFUSED, status=refusal.status, output=0, bytes_sent=len(head) + len(body))

    async def _silence(self, connection: Connection) -> Result:
        if await connection.wait(self._settings.longest_hold):
            connection.finish_and_close()
            return Result(Outcome.BROKEN, status=0, keep_alive=False)
        return Result(Outcome.LEFT, status=0, keep_alive=False)

    def _first(self, taken: Taken) -> float:
        asked = taken.steering.first
        first = self._settings.first_token if asked is None else asked
        if taken.fault is not None and taken.fault.kind is FaultKind.SLOW:
            first += 10.0 if taken.fault.for_seconds is None else taken.fault.for_seconds
        return first

    def _interval(self, taken: Taken) -> float:
        pace = self._settings.pace if taken.steering.pace is None else taken.steering.pace
        return 1 / pace if pace else 0.0

    async def _unary(self, connection: Connection, call: str, answer_id: str | None, taken: Taken) -> Result:
        """A unary answer comes when its last token would have."""
        kind = taken.fault.kind if taken.fault is not None else None
        delay = self._first(taken) + self._interval(taken) * max(0, taken.produced - 1)
        if delay and not await connection.wait(delay):
            return Result(Outcome.LEFT, status=0, output=0, keep_alive=False)
        usage = None if kind is FaultKind.NO_USAGE else taken.billing
        making = Making(call, answer_id, taken.answers, usage, int(delay * 1000))
        body = taken.asked.unary(making)
        if kind is FaultKind.MALFORMED:
            body = body[: len(body) // 2]
        head = self._format.head(
            call,
            200,
            length=len(body),
            input_tokens=taken.billing.input_tokens,
            extra=taken.asked.head_fields(making),
        )
        whole = head + body
        if kind in (FaultKind.CUT, FaultKind.STALL, FaultKind.HANG):
            return await self._half(connection, taken, whole[: len(head) + len(body) // 2])
        if kind is FaultKind.DRIP:
            for at in range(len(whole)):
                connection.write(whole[at : at + 1])
                await asyncio.sleep(0)
        elif not connection.write(whole):
            return Result(Outcome.LEFT, status=0, output=0, keep_alive=False)
        return Result(
            Outcome.COMPLETED,
            produced=taken.produced,
            output=taken.billing.output_tokens,
            usage_sent=usage is not None and kind is not FaultKind.MALFORMED,
            bytes_sent=len(whole),
        )

    async def _half(self, connection: Connection, taken: Taken, half: bytes) -> Result:
        """Half an answer, then a broken connection or nothing at all."""
        fault = taken.fault
        connection.write(half)
        outcome = Outcome.BROKEN
        if fault is not None and fault.kind is not FaultKind.CUT:
            hold = self._settings.longest_hold
            if fault.for_seconds is not None:
                hold = fault.for_seconds
            if not await connection.wait(hold):
                outcome = Outcome.LEFT
        if fault is not None and fault.rst:
            connection.reset()
        else:
            connection.finish_and_close()
        return Result(outcome, output=taken.billing.output_tokens, bytes_sent=len(half), keep_alive=False)

    async def _stream(
        self, connection: Connection, call: str, answer_id: str | None, taken: Taken, asked: AskedChat
    ) -> Result:
        plan, tells_usage = self._plan(call, answer_id, taken, asked)
        pump = start(connection, plan)
        longest = plan.first + plan.interval * len(plan.tails) + (plan.stall_seconds or 0) + self._settings.longest_hold
        try:
            async with asyncio.timeout(longest):
                carried_out = await pump.done
            outcome = Outcome.COMPLETED if carried_out else Outcome.LEFT
        except TimeoutError:
            pump.stop()
            connection.finish_and_close()
            carried_out, outcome = False, Outcome.BROKEN
        if plan.ending in (Ending.CLOSE, Ending.RESET) and carried_out:
            outcome = Outcome.BROKEN
        cut_short = taken.fault is not None and taken.fault.kind in (FaultKind.CUT, FaultKind.ERROR, FaultKind.END)
        return Result(
            outcome,
            produced=pump.produced,
            output=taken.billing.output_tokens if pump.closing_sent and not cut_short else pump.produced,
            usage_sent=tells_usage and pump.closing_sent,
            bytes_sent=pump.bytes_sent,
            keep_alive=carried_out and plan.ending is Ending.CLEAN,
            pump=pump,
            plan=plan,
        )

    def _plan(self, call: str, answer_id: str | None, taken: Taken, asked: AskedChat) -> tuple[Plan, bool]:
        """Lay out the stream with its fault; also tells whether usage is part of it."""
        fault = taken.fault
        billing = None if fault is not None and fault.kind is FaultKind.NO_USAGE else taken.billing
        first, interval = self._first(taken), self._interval(taken)
        latency = int((first + interval * max(0, taken.produced - 1)) * 1000)
        pieces = asked.streamed(Making(call, answer_id, taken.answers, billing, latency))
        opening, tails = pieces.opening, pieces.tails
        finish, usage, done, tells_usage = pieces.finish, pieces.usage, pieces.done, pieces.tells_usage
        ending = Ending.CLEAN
        stall_after: int | None = None
        stall_seconds: float | None = None
        if fault is not None:
            after = min(fault.after, len(tails))
            match fault.kind:
                case FaultKind.CUT:
                    tails, finish, usage, done, tells_usage = tails[:after], b"", b"", b"", False
                    ending = Ending.RESET if fault.rst else Ending.CLOSE
                case FaultKind.END:
                    tails, finish, usage, done, tells_usage = tails[:after], b"", b"", b"", False
                case FaultKind.ERROR:
                    tails, finish = tails[:after], asked.error_event(fault)
                    usage, done, tells_usage = b"", b"", False
                case FaultKind.MALFORMED:
                    broken = asked.broken_event(fault)
                    if after:
                        tails = [*tails[: after - 1], tails[after - 1] + broken, *tails[after:]]
                    else:
                        opening += broken
                case FaultKind.STALL:
                    stall_after, stall_seconds = after, fault.for_seconds
                case FaultKind.HANG:
                    ending = Ending.HANG
                    done = done if fault.done else b""
                case FaultKind.NO_DONE:
                    done = b""
                case FaultKind.NO_FINISH:
                    finish, usage, done, tells_usage = b"", b"", b"", False
                case _:
                    pass
        plan = Plan(
            head=self._format.head(
                call, 200, content_type=pieces.content_type, input_tokens=taken.billing.input_tokens
            ),
            opening=opening,
            prefix=pieces.prefix,
            tails=tails,
            closing=finish + usage + done,
            first=first,
            interval=interval,
            ending=ending,
            clock=taken.steering.clock and pieces.stampable,
            stamped=pieces.stamped,
            drip=fault is not None and fault.kind is FaultKind.DRIP,
            stall_after=stall_after,
            stall_seconds=stall_seconds,
        )
        return plan, tells_usage


def _with_request(accepted: Accepted, taken: Taken | Refusal, body: bytes) -> Accepted:
    asked = taken.asked if isinstance(taken, Taken) else None
    prompt = asked.prompt if isinstance(asked, AskedChat) else None
    return msgspec.structs.replace(accepted, prompt=prompt, body=body.decode(errors="replace"))


def _huge(size: int) -> str:
    """Text of about `size` UTF-8 bytes."""
    piece = "".join(ring_tokens()[:2000])
    length = len(piece.encode())
    return (piece * (size // length + 1)).encode()[:size].decode(errors="ignore")


def _finished(call: str, result: Result) -> Finished:
    pump, plan = result.pump, result.plan
    return Finished(
        call=call,
        time=time.time(),
        outcome=result.outcome,
        status=result.status,
        produced_tokens=result.produced,
        output_tokens=result.produced if result.output is None else result.output,
        usage_sent=result.usage_sent,
        bytes_sent=result.bytes_sent,
        first_due=pump.first_due if pump is not None else None,
        interval=plan.interval if plan is not None else 0.0,
        stall_after=plan.stall_after if plan is not None else None,
        stall_seconds=(plan.stall_seconds or 0.0) if plan is not None else 0.0,
    )
