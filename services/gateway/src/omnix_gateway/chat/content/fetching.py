"""What callers name by its address, fetched before anybody is asked to answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from omnix_kit.guarded import Fetched, Fetcher

from omnix_gateway.chat.content.media import Kind, Media, Sought, accepts

Hold = Callable[[int], None]
"""Called with bytes that the process is about to hold for this request; may refuse."""


@dataclass(frozen=True)
class Fetching:
    """Fetches all addresses of one request at once, each of them once."""

    fetcher: Fetcher

    async def fetch(self, media: Media, owner: str, hold: Hold) -> list[tuple[Sought, Fetched]]:
        """:raises OmnixError: the first one, when anything cannot be had; the rest is given up."""
        tasks: dict[tuple[str, Kind], asyncio.Task[Fetched]] = {}
        for sought in media.sought:
            if (sought.url, sought.kind) not in tasks:
                tasks[sought.url, sought.kind] = asyncio.create_task(self._fetch(sought, media, owner, hold))
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        found: list[tuple[Sought, Fetched]] = []
        for sought in media.sought:
            task = tasks[sought.url, sought.kind]
            fetched = task.result()
            if any(before.url == sought.url and before.kind is sought.kind for before, _ in found):
                self._took(sought, media, hold, len(fetched.data))  # every use of it is a copy
            found.append((sought, fetched))
        return found

    @staticmethod
    def _took(sought: Sought, media: Media, hold: Hold, size: int) -> None:
        media.take(size, sought.param)
        hold(size)

    async def _fetch(self, sought: Sought, media: Media, owner: str, hold: Hold) -> Fetched:
        return await self.fetcher.fetch(
            sought.url,
            owner=owner,
            most=media.limit_of(sought.kind),
            param=sought.param,
            accepts=accepts(sought.kind),
            take=lambda size: self._took(sought, media, hold, size),
        )
