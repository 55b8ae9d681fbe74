"""AWS's credentials, found and renewed by the SDK, off the loop and once for all who wait.

The chain is the SDK's: environment, profiles (keys, roles, single sign-on, processes), web identity, containers,
instance metadata. What is about to expire is renewed while it is still used; only what has expired, or was never found,
makes a caller wait.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from omnix_provider.errors import AuthFailed

from omnix_adapter_bedrock.processes import ProcessTooSlow
from omnix_adapter_bedrock.threads import off_loop

_log = logging.getLogger(__name__)

_FOUND_WITHIN = 30.0
_NOT_AGAIN_BEFORE = 5.0
"""Seconds after a search in which nobody begins another."""


class Keys(Protocol):
    """As the SDK freezes them."""

    access_key: str
    secret_key: str
    token: str | None


class Found(Protocol):
    """What the SDK's chain found; it renews itself where it can."""

    def get_frozen_credentials(self) -> Keys:
        """May wait for a network."""


Search = Callable[[], Found | None]
"""The SDK's chain; may wait for a network."""


class Credentials:
    """Of one account; must be used from one loop."""

    def __init__(self, search: Search, provider: str) -> None:
        self._search = search
        self._provider = provider
        self._found: Found | None = None
        self._keys: Keys | None = None
        self._task: asyncio.Task[None] | None = None
        self._searched_at = -_NOT_AGAIN_BEFORE
        self._problem: str | None = None

    async def current(self) -> Keys:
        """Those to sign with now.

        :raises AuthFailed: when there are none, or they have expired and cannot be renewed.
        """
        keys = self._keys
        if keys is not None and not self._expires_within(None):
            return keys
        self._renew()
        if keys is not None and not self._expires_within(0):
            return keys
        if self._task is not None:
            try:
                async with asyncio.timeout(_FOUND_WITHIN):
                    await asyncio.shield(self._task)
            except TimeoutError:
                raise self._failed(self._problem or "AWS credentials did not come in time.") from None
        if self._keys is None or self._expires_within(0):
            raise self._failed(self._problem or "The AWS credentials have expired.")
        return self._keys

    @property
    def problem(self) -> str | None:
        """Why there are none, since the last search. Asking has them searched for again before long."""
        if self._problem is not None:
            self._renew()
        return self._problem

    def look_again(self) -> None:
        """AWS did not accept those at hand, which may have been replaced, as in a file that was written anew."""
        if self._task is None and self._rested():
            self._found = None
            self._renew()

    def _expires_within(self, seconds: int | None) -> bool:
        """None for the time in which the SDK would renew them."""
        needed = getattr(self._found, "refresh_needed", None)
        return needed is not None and bool(needed(seconds))

    def _rested(self) -> bool:
        return asyncio.get_running_loop().time() - self._searched_at >= _NOT_AGAIN_BEFORE

    def _renew(self) -> None:
        if self._task is None and self._rested():
            self._searched_at = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._look())
            self._task.add_done_callback(self._looked)

    def _looked(self, task: "asyncio.Task[None]") -> None:
        self._task = None

    async def _look(self) -> None:
        try:
            found, keys = await off_loop(self._ask, "aws-credentials")
        except Exception as exc:
            # The SDK's errors name profiles, files and addresses, and no secret; the log keeps their type alone.
            _log.warning("AWS credentials are not to be had", extra={"error": type(exc).__name__})
            why = str(exc) if isinstance(exc, ProcessTooSlow) else type(exc).__name__
            self._problem = f"AWS credentials cannot be had: {why}."
            return
        if keys is None:
            self._problem = "No AWS credentials were found."
            return
        self._found, self._keys, self._problem = found, keys, None

    def _ask(self) -> tuple[Found | None, Keys | None]:
        found = self._found or self._search()
        return found, None if found is None else found.get_frozen_credentials()

    def _failed(self, message: str) -> AuthFailed:
        return AuthFailed(message, provider=self._provider, reached=False)
