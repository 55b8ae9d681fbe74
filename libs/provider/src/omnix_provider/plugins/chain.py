"""The chunks of one streamed attempt on their way through its plugins, one after the other in the route's order."""

import logging
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from omnix_provider.plugins import counted
from omnix_provider.plugins.plugin import Failure, Plugin, PluginFailed, PluginRefused
from omnix_provider.types import Chunk, FinishReason

_log = logging.getLogger(__name__)


class Refusal(Struct, frozen=True):
    message: str
    param: str


class Said(Struct, frozen=True):
    """What a plugin answered to a message."""

    chunks: Sequence[Chunk] = ()
    held: Sequence[Chunk] = ()
    refusal: Refusal | None = None
    waits: bool = False
    """It named nothing at all: everything since it last did is held back."""


class Call(Protocol):
    """A plugin's call for one attempt."""

    async def say(self, chunks: Sequence[Chunk], *, last: bool) -> Said:
        """:raises Failure: nothing can be said any more."""

    def close(self) -> None:
        """Said again, it changes nothing."""


class Link:
    """One plugin of a chain."""

    def __init__(self, plugin: Plugin, call: Call, completion_id: str) -> None:
        self.plugin = plugin
        self._call = call
        self._completion_id = completion_id
        self._held: Sequence[Chunk] = ()
        """What it was sent and has not told, as it came."""
        self._failed = False

    async def through(self, chunks: Sequence[Chunk], *, last: bool) -> Sequence[Chunk]:
        """What comes out when this goes in.

        Once the plugin failed, everything comes out as it goes in, after what it held.

        :raises PluginFailed: when nothing may come out without it.
        :raises PluginRefused: when the answer shall break off.
        """
        if self._failed or not (chunks or last):
            return chunks
        try:
            said = await self._call.say(chunks, last=last)
        except Failure as failure:
            return self._without(failure, chunks)
        if said.refusal is not None:
            counted.REFUSALS.labels(self.plugin.name, counted.CHUNKS).inc()
            raise PluginRefused(self.plugin.name, said.refusal.message, said.refusal.param)
        self._held = [*self._held, *chunks] if said.waits else said.held
        return said.chunks

    def close(self) -> None:
        self._call.close()

    def _without(self, failure: Failure, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        self._failed = True
        self._call.close()
        if self.plugin.closes:
            raise PluginFailed(self.plugin.name, failure) from failure
        counted.UNTRANSFORMED.labels(self.plugin.name).inc()
        _log.warning(
            "an answer goes on without a plugin",
            extra={
                "plugin": self.plugin.name,
                "why": failure.why,
                "error": str(failure),
                "completion_id": self._completion_id,
            },
        )
        held, self._held = self._held, ()
        return [*held, *chunks]


class Chain:
    """The plugins of one attempt.

    Finish reasons come out at the end, after everything that a plugin held back, and every alternative that the vendor
    finished has one: a plugin may change it, and cannot lose it.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links
        self._finished: dict[int, FinishReason] = {}
        """By the vendor."""
        self._told: dict[int, FinishReason] = {}
        """By the plugins."""

    @property
    def patience(self) -> float:
        """Seconds that one batch may be on its way."""
        return sum(link.plugin.timeout.total_seconds() for link in self._links)

    async def through(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """What may be told when this came; it may be nothing.

        :raises PluginFailed: when a plugin failed whose failure closes.
        :raises PluginRefused: when one refuses the answer.
        """
        for chunk in chunks:
            if chunk.finish_reason is not None:
                self._finished[chunk.choice_index] = chunk.finish_reason
        return await self._through(chunks, last=False)

    async def rest(self) -> Sequence[Chunk]:
        """The whole answer came: what was held back, and the finish reasons.

        :raises OmnixError: as ``through``.
        """
        rest = await self._through((), last=True)
        finishes = [
            Chunk(choice_index=index, finish_reason=self._told.get(index, reason))
            for index, reason in sorted(self._finished.items())
        ]
        return [*rest, *finishes]

    def close(self) -> None:
        """The attempt is over."""
        for link in self._links:
            link.close()

    async def _through(self, chunks: Sequence[Chunk], *, last: bool) -> Sequence[Chunk]:
        for link in self._links:
            chunks = await link.through(chunks, last=last)
        return [content for chunk in chunks if (content := self._unfinished(chunk)) is not None]

    def _unfinished(self, chunk: Chunk) -> Chunk | None:
        if chunk.finish_reason is None:
            return chunk
        self._told[chunk.choice_index] = chunk.finish_reason
        has_content = chunk.text or chunk.tool_calls or chunk.refusal or chunk.reasoning is not None
        return replace(chunk, finish_reason=None) if has_content else None
