"""Google Cloud's tokens, kept fresh in the background.

google-auth finds the credentials (a key file, a workload identity, the machine's own) and asks for tokens. It blocks,
so it does both in a thread, and once for all who wait. While a token is good nobody waits at all.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request
from omnix_kit.errors import OmnixError
from omnix_provider.errors import AuthFailed, Unavailable

_log = logging.getLogger(__name__)

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_AHEAD = timedelta(minutes=5)
"""A token is replaced this long before it ends."""
_SOON = timedelta(seconds=20)
"""A token that ends within this time is taken for ended."""
_ANSWER_WITHIN = 10.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

Load = Callable[[], Credentials]


def found(file: Path | None) -> Credentials:
    """Blocks: the operator's file, or what google-auth finds by itself."""
    credentials: Credentials
    if file is not None:
        credentials, _ = google.auth.load_credentials_from_file(str(file), scopes=_SCOPES)  # type: ignore[no-untyped-call]
    else:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    return credentials


class Tokens:
    """Of one credential; made by ``kept``."""

    def __init__(self, load: Load, provider: str) -> None:
        self._load = load
        self._provider = provider
        self._credentials: Credentials | None = None
        self._asking: asyncio.Task[None] | None = None
        self._problem: str | None = None

    @classmethod
    @asynccontextmanager
    async def kept(cls, load: Load, provider: str) -> AsyncIterator["Tokens"]:
        """Asked for anew before they end, while inside."""
        tokens = cls(load, provider)
        keeping = asyncio.create_task(tokens._keep())
        try:
            yield tokens
        finally:
            keeping.cancel()
            waiting = [task for task in (keeping, tokens._asking) if task is not None]
            await asyncio.wait(waiting, timeout=_ANSWER_WITHIN)

    def problem(self) -> str | None:
        """Why there is no token, as far as is known. That Google cannot be reached is not counted as one."""
        credentials = self._credentials
        return None if credentials is not None and _lasts(credentials, _SOON) else self._problem

    @property
    def credentials(self) -> Credentials | None:
        """For the SDK's own calls; None until they are found."""
        return self._credentials

    async def headers(self) -> dict[str, str]:
        """By which a request is accepted. Waits only when there is no good token.

        :raises AuthFailed: when Google does not give one.
        :raises Unavailable: when it cannot be asked.
        """
        credentials = self._credentials
        if credentials is None or not _lasts(credentials, _SOON):
            credentials = await self._fresh()
        headers = {"Authorization": f"Bearer {credentials.token}"}
        if credentials.quota_project_id:
            headers["x-goog-user-project"] = credentials.quota_project_id
        return headers

    async def _fresh(self) -> Credentials:
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(_seen)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await asyncio.shield(self._asking)
        except (TimeoutError, google.auth.exceptions.TransportError) as exc:
            raise self._unreached() from exc
        except Exception as exc:
            raise self._refused() from exc
        if self._credentials is None:
            raise self._refused()
        return self._credentials

    def _unreached(self) -> OmnixError:
        return Unavailable("Google does not answer a request for a token.", provider=self._provider, reached=False)

    def _refused(self) -> OmnixError:
        return AuthFailed("Google gives no token for these credentials.", provider=self._provider, reached=False)

    async def _ask(self) -> None:
        try:
            credentials = self._credentials
            if credentials is None:
                credentials = await asyncio.to_thread(self._load)
            request = Request()
            await asyncio.to_thread(credentials.refresh, partial(request, timeout=_ANSWER_WITHIN))
            self._credentials, self._problem = credentials, None
        except google.auth.exceptions.TransportError:
            raise
        except Exception as exc:
            # Its words may hold a part of the credential.
            self._problem = f"Google Cloud gives no token: {type(exc).__name__}."
            raise
        finally:
            self._asking = None

    async def _keep(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            try:
                credentials = await self._fresh()
                pause = _SHORTEST_PAUSE
                await asyncio.sleep(max(_remaining(credentials) - _AHEAD.total_seconds(), _LONGEST_PAUSE))
            except OmnixError as exc:
                cause = type(exc.__cause__).__name__
                _log.warning("no token of Google Cloud", extra={"provider": self._provider, "error": cause})
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


def _seen(asked: "asyncio.Task[None]") -> None:
    """Nobody may wait any more, and a failure that nobody saw would be logged with its words."""
    if not asked.cancelled():
        asked.exception()


def _lasts(credentials: Credentials, longer: timedelta) -> bool:
    return bool(credentials.token) and _remaining(credentials) > longer.total_seconds()


def _remaining(credentials: Credentials) -> float:
    """Seconds until the token ends; google-auth tells times in UTC without saying so."""
    expiry: Any = credentials.expiry
    if expiry is None:
        return timedelta(hours=1).total_seconds()
    at: datetime = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()
