"""The adapters that are there, what they serve, and whose turn it is.

Addresses are configured; what stands behind one it says itself, at the start and every few seconds. One that is away
keeps what it last said: its providers are known and away, not unknown.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from omnix_kit.errors import OmnixError, PlatformError, ProviderError, Reason

from omnix_router import metrics
from omnix_router.catalogue.models import Catalogue
from omnix_router.clients import AdapterClient
from omnix_router.health.reporting import Served
from omnix_router.naming import Names
from omnix_router.providers import Announcement, Provider

_log = logging.getLogger(__name__)

_ASK_AGAIN_AFTER = timedelta(seconds=1)
"""While an adapter is away."""


class Adapters:
    """Knows every configured adapter."""

    def __init__(
        self, clients: Sequence[AdapterClient], catalogue: Catalogue, poll: timedelta, patience: timedelta
    ) -> None:
        """:param patience: how long, after the start, readiness waits for adapters that were not heard yet."""
        self._clients = tuple(clients)
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
        for name in {*self._serving, *self._problems}:
            clients = self._serving.get(name, ())
            away = [problem for client in clients if (problem := client.lacking()) is not None]
            problem = "" if clients else self._problems.get(name, "")
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
                f"No adapter for the provider {provider} was reached yet.",
                reason=Reason.UNAVAILABLE,
                retry_after=timedelta(seconds=2),
            )
        if len(serving) == 1:
            return serving[0]
        candidates = [client for client in serving if client.lacking() is None] or serving
        turn = self._turn[provider] = self._turn.get(provider, -1) + 1
        return candidates[turn % len(candidates)]

    def lacking(self) -> str | None:
        """For readiness: None when at least one adapter is connected and has said what it serves.

        Shortly after the start every adapter has its chance, so that a new router does not refuse what its neighbours
        answer.
        """
        problems = []
        for client in self._clients:
            problem = client.lacking()
            if problem is not None or client not in self._said:
                problems.append(problem or f"the adapter at {client.address} has not said yet what it serves")
        if len(problems) == len(self._clients) or (
            len(self._said) < len(self._clients) and time.monotonic() - self._started < self._patience.total_seconds()
        ):
            return "; ".join(problems)
        return None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Ask every adapter again and again while inside."""
        tasks = [asyncio.create_task(self._follow(client)) for client in self._clients]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, client: AdapterClient) -> None:
        heard = metrics.ADAPTER_HEARD.labels("/".join(sorted(client.names)), client.address)
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
            _log.info(
                "an adapter serves a provider",
                extra={
                    "address": client.address,
                    "provider": provider.name,
                    "sandbox": provider.sandbox,
                    "problem": provider.problem,
                },
            )

    def _update(self) -> None:
        serving: dict[str, list[AdapterClient]] = {}
        problems: dict[str, str] = {}
        providers: list[Provider] = []
        for client in self._clients:
            said = self._said.get(client)
            if said is None:
                # Until it speaks, the operator's word is all there is.
                for name in client.names:
                    serving.setdefault(name, []).append(client)
                continue
            for provider in said.providers:
                providers.append(provider)
                if provider.problem:
                    problems[provider.name] = provider.problem
                else:
                    serving.setdefault(provider.name, []).append(client)
        self._serving = {name: tuple(clients) for name, clients in serving.items()}
        self._problems = problems
        self._sandboxes = frozenset(provider.name for provider in providers if provider.sandbox)
        self._names = Names(
            self._catalogue,
            providers=frozenset(serving) | frozenset(problems),
            announced=frozenset(model for said in self._said.values() for model in said.models),
            complete=len(self._said) == len(self._clients),
        )
