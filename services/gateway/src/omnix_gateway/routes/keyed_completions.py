"""Chat completions with an ``Idempotency-Key``, whole and streamed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from omnix_gateway import metrics
from omnix_gateway.http.exchange import Scope, WhileConnected
from omnix_gateway.http.server import ABORT
from omnix_gateway.http.wire import WIRE
from omnix_gateway.idempotency import convert
from omnix_gateway.idempotency.claims import Earlier
from omnix_gateway.idempotency.records import State, messages_from_bytes
from omnix_gateway.routes.answered import REPLAYED
from omnix_gateway.routes.cached import Asked
from omnix_gateway.routes.completed import ID_PREFIX, tell
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.routes.keyed import Keyed, KeyedCall
from omnix_gateway.streaming.convert import Start, start_of
from omnix_gateway.streaming.streams import OpenStream, Streams

_LOOKS: Final = (0, 0.05, 0.2, 0.5)
"""Pauses in seconds: the recording may be a moment behind."""


@dataclass(frozen=True)
class KeyedCompletions:
    """Makes the call of a key once, and gives its answer again."""

    keyed: Keyed
    streams: Streams

    def key(self, scope: Scope) -> str | None:
        """See ``Keyed``."""
        return self.keyed.key(scope)

    async def answer(
        self, asked: Asked, key: str, request: msgspec.Struct, size: int, make: Callable[[KeyedCall], Awaitable[None]]
    ) -> None:
        """:param make: answers with a call that is made through its argument."""
        found = await self.keyed.claim(
            asked.scope, asked.exchange, asked.identity, key, request, size, lambda: asked.left, asked.policy
        )
        if isinstance(found, Earlier):
            await (self._tell_again if asked.policy is None else self._stream_again)(found, asked)
            return
        try:
            await make(found)
        finally:
            found.done()

    async def _tell_again(self, earlier: Earlier, asked: Asked) -> None:
        answer = await self.keyed.again(earlier, asked.identity, asked.exchange)
        response = convert.completion_from_bytes(answer)
        await tell(asked.send, asked.exchange, response)

    async def _stream_again(self, earlier: Earlier, asked: Asked) -> None:
        completion_id, identity, abort = earlier.record.completion_id, asked.identity, asked.scope[ABORT]
        start: Start | None = None
        if earlier.record.state is not State.DONE or not earlier.record.answer:
            with WhileConnected(asked.scope):
                start = await self._recorded(earlier)
        if start is not None:
            self.keyed.replayed(asked.exchange)
            if earlier.record.state is State.CLAIMED and not earlier.is_under_way:
                self.keyed.calls.follow(earlier.claim, identity, None)
            again = self.streams.join(completion_id, identity, owner=True, abort=abort)
        else:
            answer = await self.keyed.again(earlier, identity, asked.exchange)
            messages = messages_from_bytes(answer)
            start = start_of(messages)
            again = self.streams.again(completion_id, messages, identity, abort)
        async with again as stream:
            await self._send(stream, start, asked)

    async def _recorded(self, earlier: Earlier) -> Start | None:
        """How the stream began, when the recording has it from then on."""
        young = earlier.record.state is State.CLAIMED
        for pause in _LOOKS if young else _LOOKS[:1]:
            await asyncio.sleep(pause)
            start = await self.streams.recorded_start(earlier.record.completion_id)
            if start is not None:
                return start
        return None

    async def _send(self, stream: OpenStream, start: Start | None, asked: Asked) -> None:
        exchange = asked.exchange
        headers = [(b"x-omnix-completion-id", ID_PREFIX + exchange.completion_id.encode()), REPLAYED]
        if start is not None:
            exchange.model = start.model
            headers.append((b"x-omnix-model", start.model.encode()))
        metrics.FIRST_CONTENT_SECONDS.observe(exchange.milliseconds / 1000)
        await begin_events(asked.send, headers)
        client = Client(exchange, asked.send, asked.scope[WIRE], asked.include_usage)
        if not await send_events(stream.reader, client):
            await self.streams.leave(stream)
