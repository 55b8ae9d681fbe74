"""The plugins of one completion, asked in their order."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from omnix_kit.errors import OmnixError

from omnix_router.orders import Order
from omnix_router.plugins import counted
from omnix_router.plugins.clients import About, CallFailed, Ordered, PluginClient, Refusal, Request, Usage, Why, ordered
from omnix_router.plugins.failing import PluginFailed, RequestRefused, TargetRefused
from omnix_router.plugins.plugin import NO_SETTINGS, Hook, Named, Plugin

_log = logging.getLogger(__name__)

_SAID = {Why.AWAY: "is away", Why.SILENT: "did not answer in time", Why.FAILED: "failed"}


class Reach(Protocol):
    """What reaches plugins."""

    def plugin(self, name: str) -> Plugin | None:
        """As it is set up now."""

    def client(self, plugin: Plugin) -> PluginClient:
        """Its process."""

    def tell_end(self, end: "End") -> None:
        """Soon, and without waiting."""


@dataclass(frozen=True, slots=True)
class Use:
    """One plugin of one completion."""

    plugin: Plugin
    settings: Mapping[str, str]
    hooks: frozenset[Hook]


@dataclass(frozen=True, slots=True)
class End:
    """How a completion ended, for one plugin."""

    use: Use
    about: About
    model: str
    attempts: int
    error: OmnixError | None
    usage: Usage | None


class Hooked:
    """From before a request is routed until its answer ended."""

    __slots__ = ("_about", "_attempts", "_last", "_over", "_reach", "_uses")

    def __init__(self, reach: Reach, about: About) -> None:
        self._reach = reach
        self._about = about
        self._uses: list[Use] = []
        self._over = False
        self._attempts = 0
        self._last: Order | None = None

    @property
    def looks_at_answers(self) -> bool:
        return any(Hook.ANSWER in use.hooks for use in self._uses)

    @property
    def answering(self) -> Sequence[Ordered]:
        """Those that look at the answer, for the adapter."""
        return [ordered(use.plugin, use.settings) for use in self._uses if Hook.ANSWER in use.hooks]

    async def before_routing(self, request: Request, always: Iterable[str]) -> None:
        """Ask those that are called for every completion; the request is changed in place.

        :raises RequestRefused: by one of them.
        :raises PluginFailed: when one failed whose failure closes.
        """
        for name in always:
            await self._take_up(Named(name), request, routed=False)

    async def on_route(self, request: Request, route: str, named: Iterable[Named]) -> None:
        """Ask those that the route names besides; what they make of the model's name does not count.

        :raises RequestRefused: by one of them.
        :raises PluginFailed: when one failed whose failure closes.
        """
        self._about = replace(self._about, route=route)
        for each in named:
            at = next((at for at, use in enumerate(self._uses) if use.plugin.name == each.name), None)
            if at is None:
                await self._take_up(each, request, routed=True)
            else:
                use = self._uses[at]
                self._uses[at] = replace(use, settings={**use.settings, **each.settings})

    async def before_attempt(self, request: Request, order: Order) -> Request:
        """The request for this attempt; the one that is given stays as it is.

        :raises TargetRefused: by one of them.
        :raises PluginFailed: when one failed whose failure closes.
        """
        if not order.shadow:
            self._attempts, self._last = self._attempts + 1, order
        for use in self._uses:
            if Hook.ATTEMPT not in use.hooks:
                continue
            plugin = use.plugin
            try:
                client = self._reach.client(plugin)
                answer = await client.transform_attempt(plugin, self._about, use.settings, request, order)
                changed = None if answer is None or isinstance(answer, Refusal) else _sound(answer, request)
            except CallFailed as failed:
                self._without(plugin, Hook.ATTEMPT, failed)
                continue
            if isinstance(answer, Refusal):
                counted.REFUSALS.labels(plugin.name, Hook.ATTEMPT).inc()
                raise TargetRefused(plugin.name, answer.message, answer.param)
            request = changed or request
        return request

    def end(self, error: OmnixError | None, order: Order | None = None, usage: Usage | None = None) -> None:
        """The completion ended; said again, it changes nothing.

        :param order: the attempt that answered, or was the last; None for the last one that began.
        """
        if self._over:
            return
        self._over = True
        order = order or self._last
        model = "" if order is None else order.target.id
        for use in self._uses:
            if Hook.END in use.hooks:
                self._reach.tell_end(End(use, self._about, model, self._attempts, error, usage))

    async def _take_up(self, named: Named, request: Request, *, routed: bool) -> None:
        plugin = self._reach.plugin(named.name)
        if plugin is None:
            raise PluginFailed(named.name, "is not set up")
        settings = {**plugin.settings, **named.settings} if plugin.settings or named.settings else NO_SETTINGS
        try:
            hooks = await self._hooks(plugin)
            # Before it is asked, so that it hears of the end whatever comes.
            self._uses.append(Use(plugin, settings, hooks))
            if Hook.REQUEST not in hooks:
                return
            answer = await self._reach.client(plugin).transform_request(plugin, self._about, settings, request)
            if not isinstance(answer, Refusal | None):
                request.CopyFrom(_sound(answer, request if routed else None))
        except CallFailed as failed:
            self._without(plugin, Hook.REQUEST, failed)
            # It is not there for the rest of the completion, either.
            self._uses = [use for use in self._uses if use.plugin is not plugin]
            return
        if isinstance(answer, Refusal):
            counted.REFUSALS.labels(plugin.name, Hook.REQUEST).inc()
            raise RequestRefused(plugin.name, answer.message, answer.param)

    async def _hooks(self, plugin: Plugin) -> frozenset[Hook]:
        """:raises CallFailed: when nobody knows when it is to be called."""
        if plugin.hooks is not None:
            return plugin.hooks
        client = self._reach.client(plugin)
        if client.hooks is None and plugin.closes:
            await client.describe(plugin)
        if client.hooks is None:
            raise CallFailed(Why.AWAY, "it has not said yet when it wants to be called")
        return client.hooks

    def _without(self, plugin: Plugin, hook: Hook, failed: CallFailed) -> None:
        """:raises PluginFailed: when nothing goes on without it."""
        if plugin.closes:
            raise PluginFailed(plugin.name, _SAID[failed.why]) from failed
        counted.SKIPPED.labels(plugin.name, hook).inc()
        _log.warning(
            "a completion goes on without a plugin",
            extra={
                "plugin": plugin.name,
                "hook": hook,
                "why": failed.why,
                "error": str(failed),
                "completion_id": self._about.completion_id,
            },
        )


def _sound(changed: Request, routed: Request | None) -> Request:
    """A plugin's request.

    :param routed: the request so far, when its model was found already.
    :raises CallFailed: when it is none.
    """
    if not changed.messages or not (changed.model or routed is not None):
        raise CallFailed(Why.FAILED, "the request that came back has no messages, or no model")
    if routed is not None:
        changed.model = routed.model
    return changed
