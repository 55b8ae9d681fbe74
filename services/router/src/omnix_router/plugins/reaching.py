"""The plugins that are set up: their processes, what these say of themselves, and ends that they are to hear."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from omnix_router.plugins import counted
from omnix_router.plugins.clients import About, Caller, CallFailed, PluginClient
from omnix_router.plugins.hooked import End, Hooked
from omnix_router.plugins.plugin import Hook, Plugin, Plugins

_log = logging.getLogger(__name__)

_TICK = 1.0
_ASK_AGAIN_AFTER = 30.0
_SAYS_WITHIN = timedelta(seconds=5)
_MOST_ENDS = 4096
_TELLERS = 8
_TELL_WITHIN = 3.0
"""Seconds, when the process ends."""


class PluginsInForce:
    """As the routes in force set them up."""

    def __init__(self, current: Callable[[], Plugins], token: str | None) -> None:
        self._current = current
        self._token = token
        self._clients: dict[str, PluginClient] = {}
        self._asked: dict[str, float] = {}
        """When each was asked last what it is, by address."""
        self._ends: asyncio.Queue[End] = asyncio.Queue(_MOST_ENDS)
        self._closing: set[asyncio.Task[None]] = set()

    def begin(self, completion_id: str, caller: Caller, *, streamed: bool) -> Hooked | None:
        """For one completion; None when no plugins are set up."""
        if not self._current().by_name:
            return None
        return Hooked(self, About(completion_id, caller, "", streamed))

    @property
    def always(self) -> tuple[str, ...]:
        return self._current().always

    def plugin(self, name: str) -> Plugin | None:
        return self._current().by_name.get(name)

    def client(self, plugin: Plugin) -> PluginClient:
        client = self._clients.get(plugin.address)
        if client is None:
            client = self._clients[plugin.address] = PluginClient(plugin.address, self._token)
        return client

    def tell_end(self, end: End) -> None:
        try:
            self._ends.put_nowait(end)
        except asyncio.QueueFull:
            counted.UNTOLD.labels(end.use.plugin.name, "queue").inc()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Ask them what they are, and tell them ends, while inside. Leaving tells what is left, for a while."""
        tasks = [asyncio.create_task(self._follow()), *(asyncio.create_task(self._tell()) for _ in range(_TELLERS))]
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(_TELL_WITHIN):
                    await self._ends.join()
            except TimeoutError:
                _log.warning("plugins were not told how completions ended", extra={"ends": self._ends.qsize()})
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in list(self._clients.values()):
                await client.close()
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self._ask_all()
                self._leave_old()
            except Exception:
                _log.exception("following plugins failed")
            await asyncio.sleep(_TICK)

    async def _ask_all(self) -> None:
        now = time.monotonic()
        due = []
        for plugin in self._current().by_name.values():
            known = self.client(plugin).hooks is not None
            if not known or now - self._asked.get(plugin.address, -_ASK_AGAIN_AFTER) >= _ASK_AGAIN_AFTER:
                due.append(plugin)
        await asyncio.gather(*(self._ask(plugin) for plugin in due))

    async def _ask(self, plugin: Plugin) -> None:
        client, first = self.client(plugin), plugin.address not in self._asked
        self._asked[plugin.address] = time.monotonic()
        before = client.hooks
        try:
            # One that is silent does not keep the others from being asked for long.
            await client.describe(replace(plugin, timeout=min(plugin.timeout, _SAYS_WITHIN)))
        except CallFailed as failed:
            counted.HEARD.labels(plugin.name).set(0)
            if first or before is not None:
                told = {"plugin": plugin.name, "address": plugin.address, "error": str(failed)}
                _log.warning("a plugin does not say what it is", extra=told)
            return
        counted.HEARD.labels(plugin.name).set(1)
        if client.hooks != before:
            hooks = sorted(client.hooks or ())
            _log.info("a plugin is there", extra={"plugin": plugin.name, "address": plugin.address, "hooks": hooks})

    def _leave_old(self) -> None:
        """Of addresses at which no plugin is any more; a completion that still needs one connects again."""
        addresses = {plugin.address for plugin in self._current().by_name.values()}
        for address, client in list(self._clients.items()):
            if address not in addresses and not client.calls:
                del self._clients[address]
                self._asked.pop(address, None)
                closing = asyncio.create_task(client.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def _tell(self) -> None:
        while True:
            end = await self._ends.get()
            try:
                await self._tell_one(end)
            except CallFailed as failed:
                counted.UNTOLD.labels(end.use.plugin.name, failed.why).inc()
            except Exception:
                counted.UNTOLD.labels(end.use.plugin.name, "defect").inc()
                _log.exception("a plugin could not be told how a completion ended", extra={"hook": Hook.END})
            finally:
                self._ends.task_done()

    async def _tell_one(self, end: End) -> None:
        client = self.client(end.use.plugin)
        await client.observe_end(
            end.use.plugin, end.about, end.use.settings, end.model, end.attempts, end.error, end.usage
        )
