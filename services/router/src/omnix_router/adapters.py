"""The adapters that are there, what they serve, and whose turn it is.

Addresses are configured, or registered by the adapters themselves; what stands behind one it says itself, at the start
and every few seconds. One that is away keeps what it last said: its providers are known and away, not unknown.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from omnix_kit.errors import OmnixError, PlatformError, ProviderError, Reason

from omnix_router import metrics
from omnix_router.catalogue.models import Catalogue
from omnix_router.clients import AdapterClient
from omnix_router.health.reporting import Served
from omnix_router.naming import Names
from omnix_router.providers import Announcement
from omnix_router.registration.granting import Refusal, granted

_log = logging.getLogger(__name__)

_ASK_AGAIN_AFTER = timedelta(seconds=1)
"""While an adapter is away."""
_NOTHING = Announcement((), frozenset())


class Adapters:
    """Knows every adapter."""

    def __init__(
        self, clients: Sequence[AdapterClient], catalogue: Catalogue, poll: timedelta, patience: timedelta
    ) -> None:
        """:param patience: how long, after the start, readiness waits for adapters that were not heard yet."""
        self._clients = tuple(clients)
        self._registered: dict[AdapterClient, bool] = {}
        """Whether each is there, in the order in which they came."""
        self._refusals: frozenset[Refusal[AdapterClient]] = frozenset()
        self._following: dict[AdapterClient, asyncio.Task[None]] | None = None
        self._catalogue = catalogue
        self._poll = poll
        self._patience = patience
        self._started = time.monotonic()
        self._said: dict[AdapterClient, Announcement] = {}
        self._turn: dict[str, int] = {}
        self._update()

    @property
    def names(self) -> Names:
        """What names can mean by all that was announced."""
        return self._names

    def know(self, catalogue: Catalogue) -> None:
        """Use another catalogue from now on; completions in hand keep what they were planned with."""
        self._catalogue = catalogue
        self._update()

    @property
    def sandboxes(self) -> frozenset[str]:
        """Providers that the sandbox stands in for."""
        return self._sandboxes

    @property
    def callable(self) -> frozenset[str]:
        """Providers whose configuration is good at one adapter at least, as far as was heard."""
        return frozenset(self._serving)

    def served(self) -> dict[str, Served]:
        """What is known of each provider: which cannot be called now, and why."""
        found = {}
        for name in self._names.providers:
            clients = self._serving.get(name, ())
            away = [problem for client in clients if (problem := client.lacking()) is not None]
            problem = "" if clients else self._problems.get(name) or self._left.get(name, "")
            if clients and len(away) == len(clients):
                problem = away[0]
            found[name] = Served(name in self._sandboxes, problem)
        return found

    def pick(self, provider: str) -> AdapterClient:
        """An adapter for one attempt: those that are connected take turns.

        :raises OmnixError: ``UNAVAILABLE`` when none is known, ``PROVIDER_AUTH_FAILED`` when its configuration is bad.
        """
        serving = self._serving.get(provider, ())
        if not serving:
            if problem := self._problems.get(provider):
                raise ProviderError(
                    f"The provider {provider} cannot be called: {problem}",
                    reason=Reason.PROVIDER_AUTH_FAILED,
                    provider=provider,
                )
            raise PlatformError(
                f"The provider {provider} cannot be called: {self._left[provider]}."
                if provider in self._left
                else f"No adapter for the provider {provider} was reached yet.",
                reason=Reason.UNAVAILABLE,
                retry_after=timedelta(seconds=2),
            )
        if len(serving) == 1:
            return serving[0]
        # One that just died does not count as away before somebody tried to connect; that shall not be this attempt.
        candidates = (
            [client for client in serving if client.is_connected]
            or [client for client in serving if client.lacking() is None]
            or serving
        )
        turn = self._turn[provider] = self._turn.get(provider, -1) + 1
        return candidates[turn % len(candidates)]

    def serving(self, provider: str) -> Sequence[AdapterClient]:
        """Every adapter that an attempt at this provider may run at."""
        return self._serving.get(provider, ())

    def is_reachable(self, provider: str) -> bool:
        """Whether an attempt could be sent at once, as far as is known."""
        return any(client.is_connected for client in self.serving(provider))

    def lacking(self) -> str | None:
        """For readiness: None when at least one adapter is connected and has said what it serves.

        Shortly after the start every configured adapter has its chance, so that a new router does not refuse what its
        neighbours answer.
        """
        problems = []
        for client in self._clients:
            problem = client.lacking()
            if problem is not None or client not in self._said:
                problems.append(problem or f"the adapter at {client.address} has not said yet what it serves")
        none = len(problems) == len(self._clients) and not any(
            here and client in self._said and client.lacking() is None for client, here in self._registered.items()
        )
        if none or (not self._all_heard() and time.monotonic() - self._started < self._patience.total_seconds()):
            return "; ".join(problems)
        return None

    def register(self, client: AdapterClient) -> None:
        """Ask and call an adapter that was not configured, or one that had left, from now on."""
        self._registered[client] = True
        self._follow_from_now(client)
        self._update()

    def leave(self, client: AdapterClient) -> None:
        """A registered adapter is not called any longer. What it served is known, and away."""
        self._registered[client] = False
        self._follow_no_more(client)
        self._update()

    def forget(self, client: AdapterClient) -> None:
        """Know nothing any longer of a registered adapter."""
        del self._registered[client]
        self._said.pop(client, None)
        self._follow_no_more(client)
        self._update()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Ask every adapter again and again while inside."""
        self._following = {}
        for client in (*self._clients, *(client for client, here in self._registered.items() if here)):
            self._follow_from_now(client)
        try:
            yield
        finally:
            tasks, self._following = self._following.values(), None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _follow_from_now(self, client: AdapterClient) -> None:
        if self._following is not None and client not in self._following:
            self._following[client] = asyncio.create_task(self._follow(client))

    def _follow_no_more(self, client: AdapterClient) -> None:
        if self._following is not None and client in self._following:
            self._following.pop(client).cancel()
        with suppress(KeyError):
            metrics.ADAPTER_HEARD.remove(_label(client), client.address)

    async def _follow(self, client: AdapterClient) -> None:
        heard = metrics.ADAPTER_HEARD.labels(_label(client), client.address)
        answered: bool | None = None
        while True:
            try:
                said = await client.announcement()
            except OmnixError as exc:
                if answered is not False:
                    _log.warning("an adapter does not answer", extra={"address": client.address, "error": exc.message})
                answered, pause = False, _ASK_AGAIN_AFTER
            except Exception:
                # Whatever an adapter answers, it must not end the watch over it.
                _log.exception("an adapter's announcement cannot be read", extra={"address": client.address})
                answered, pause = False, self._poll
            else:
                answered, pause = True, self._poll
                self._hear(client, said)
            heard.set(int(answered))
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311

    def _hear(self, client: AdapterClient, said: Announcement) -> None:
        if self._said.get(client) == said:
            return
        self._said[client] = said
        self._update()
        for provider in said.providers:
            if client in self._registered and provider not in self._granted[client].providers:
                continue
            _log.info(
                "an adapter serves a provider",
                extra={
                    "address": client.address,
                    "provider": provider.name,
                    "sandbox": provider.sandbox,
                    "problem": provider.problem,
                },
            )

    def _all_heard(self) -> bool:
        return all(client in self._said for client in self._clients)

    def _update(self) -> None:
        own = {client: self._said[client] for client in self._clients if client in self._said}
        taken = {name for client in self._clients for name in client.names}
        taken.update(provider.name for said in own.values() for provider in said.providers)
        came = granted(taken, self._announcements_of_registered(here=True))
        serving: dict[str, list[AdapterClient]] = {}
        problems: dict[str, str] = {}
        for client in self._clients:
            if client not in own:
                # Until it speaks, the operator's word is all there is.
                for name in client.names:
                    serving.setdefault(name, []).append(client)
        for client, said in (*own.items(), *came.announcements.items()):
            for provider in said.providers:
                if provider.problem:
                    problems[provider.name] = provider.problem
                else:
                    serving.setdefault(provider.name, []).append(client)
        known = taken | serving.keys() | problems.keys()
        left = granted(known, self._announcements_of_registered(here=False)).announcements
        said_by_all = (*own.values(), *came.announcements.values(), *left.values())
        self._granted = {client: came.announcements.get(client, _NOTHING) for client in self._registered}
        self._serving = {name: tuple(clients) for name, clients in serving.items()}
        self._problems = problems
        self._left = _told_of_those_who_left(left)
        self._sandboxes = frozenset(
            provider.name for said in said_by_all for provider in said.providers if provider.sandbox
        )
        providers = frozenset((*serving, *problems, *self._left))
        self._names = Names(
            self._catalogue,
            providers=providers,
            announced=frozenset(model for said in said_by_all for model in said.models),
            registered=providers - taken,
            complete=self._all_heard(),
        )
        self._tell_refused(came.refusals)

    def _announcements_of_registered(self, *, here: bool) -> dict[AdapterClient, Announcement]:
        return {
            client: self._said[client]
            for client, is_here in self._registered.items()
            if is_here is here and client in self._said
        }

    def _tell_refused(self, refusals: frozenset[Refusal[AdapterClient]]) -> None:
        for refusal in refusals - self._refusals:
            metrics.REGISTRATIONS_REFUSED.labels(refusal.why).inc()
            _log.warning(
                "a registered adapter is not called for a provider that it announces",
                extra={"address": refusal.adapter.address, "provider": refusal.provider, "why": refusal.why.value},
            )
        self._refusals = refusals


def _told_of_those_who_left(left: Mapping[AdapterClient, Announcement]) -> Mapping[str, str]:
    addresses: dict[str, list[str]] = {}
    for client, said in left.items():
        for provider in said.providers:
            addresses.setdefault(provider.name, []).append(client.address)
    return {
        name: f"the adapter at {known[0]} left" if len(known) == 1 else f"the {len(known)} adapters that served it left"
        for name, known in addresses.items()
    }


def _label(client: AdapterClient) -> str:
    return "/".join(sorted(client.names)) or "registered"
