"""Which calls with a key this gateway makes, and asking another one what has become of its own."""

import asyncio
from collections import OrderedDict
from enum import StrEnum
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from omnix_kit import subjects
from omnix_kit.errors import OmnixError
from omnix_kit.messaging import Messaging
from omnix_kit.timeouts import insisting

_NEWS_WITHIN: Final = 2.0
"""Seconds that a question waits for news."""
_ANSWER_WITHIN: Final = 3.0
_MOST_QUESTIONS: Final = 10_000
_MOST_NEVER_MADE: Final = 10_000


class Word(StrEnum):
    """RUNNING: the call goes on. BEGUN: its stream did. OVER: it is not made here, any more or ever. NEVER: it was
    claimed, perhaps, and never made. GONE: there is no such gateway. SILENT: it said nothing."""

    RUNNING = "running"
    BEGUN = "begun"
    OVER = "over"
    NEVER = "never"
    GONE = "gone"
    SILENT = "silent"


class _Held:
    def __init__(self) -> None:
        self.begun = False
        self.news = asyncio.Event()


class Holding:
    """The calls of this process; answers those who ask about one."""

    def __init__(self, messaging: Messaging, gateway_id: str) -> None:
        self.gateway_id = gateway_id
        self._messaging = messaging
        self._subscribed = False
        self._held: dict[str, _Held] = {}
        self._never: OrderedDict[str, None] = OrderedDict()
        self._answering: set[asyncio.Task[None]] = set()

    async def on_connection(self) -> None:
        """At every connection. The library itself subscribes again after the first."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.calls_sought(self.gateway_id), self._on_sought)
            self._subscribed = True

    def hold(self, completion_id: str) -> None:
        """Before its key is claimed."""
        self._held[completion_id] = _Held()

    def begun(self, completion_id: str) -> None:
        """Its stream can be followed."""
        held = self._held.get(completion_id)
        if held is not None:
            held.begun = True
            held.news.set()

    def let_go(self, completion_id: str) -> None:
        """After what became of it was written down, or cannot be."""
        held = self._held.pop(completion_id, None)
        if held is not None:
            held.news.set()

    def never_made(self, completion_id: str) -> None:
        """It is not made, though its key may have been claimed."""
        if len(self._never) >= _MOST_NEVER_MADE:
            self._never.popitem(last=False)
        self._never[completion_id] = None
        self.let_go(completion_id)

    async def ask(self, gateway_id: str, completion_id: str, patience: float) -> Word:
        """What has become of a call; waits a moment, and ``patience`` seconds at most, for news of one that goes on."""
        news_within = int(1000 * max(0.0, min(patience, _NEWS_WITHIN)))
        try:
            with insisting(_ANSWER_WITHIN + 0.5):
                message = await self._messaging.client.request(
                    subjects.calls_sought(gateway_id), f"{completion_id} {news_within}".encode(), timeout=_ANSWER_WITHIN
                )
            return Word(message.data.decode())
        except nats.errors.NoRespondersError:
            return Word.GONE
        except (TimeoutError, nats.errors.Error, OSError, ValueError):
            return Word.SILENT

    async def _on_sought(self, message: Msg) -> None:
        if not message.reply:
            return
        if len(self._answering) >= _MOST_QUESTIONS:
            return  # whoever asks takes it for silence, and asks again
        completion_id, _, news_within = message.data.decode(errors="replace").partition(" ")
        within = min(int(news_within) / 1000, _NEWS_WITHIN) if news_within.isdecimal() else 0.0
        task = asyncio.create_task(self._answer(message.reply, completion_id, within))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reply: str, completion_id: str, within: float) -> None:
        held = self._held.get(completion_id)
        if held is not None and not held.begun:
            try:
                async with asyncio.timeout(within):
                    await held.news.wait()
            except TimeoutError:
                pass
        try:
            await self._messaging.publish(reply, self._word(completion_id).encode())
        except OmnixError:
            return  # it is asked again

    def _word(self, completion_id: str) -> Word:
        held = self._held.get(completion_id)
        if held is not None:
            return Word.BEGUN if held.begun else Word.RUNNING
        return Word.NEVER if completion_id in self._never else Word.OVER

    async def close(self) -> None:
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
