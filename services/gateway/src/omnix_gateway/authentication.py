"""Whose key a request shows: asked once, known for a minute at most, forgotten as soon as it changes."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from omnix_kit.errors import CallerError, OmnixError, Reason

from omnix_gateway import metrics
from omnix_gateway.clients import Accounts
from omnix_gateway.convert import identity_from_proto
from omnix_gateway.identity import Identity

_LONGEST_KEY: Final = 512
_REFUSED_FOR: Final = 5.0
_REVOKED_REMEMBERED: Final = 10_000

_HIT = metrics.KEY_CACHE.labels("hit")
_MISS = metrics.KEY_CACHE.labels("miss")
_REFUSED = metrics.KEY_CACHE.labels("refused")


@dataclass(frozen=True, slots=True)
class _Known:
    identity: Identity | None
    """None for a key that does not hold."""
    until: float


class Authenticator:
    """The one way in, whichever header the key comes in.

    A key that holds is known for ``ttl`` seconds, and never past its expiry; one that does not, for a few. Both caches
    are bounded: the one used longest ago leaves first.
    """

    def __init__(self, accounts: Accounts, *, ttl: float, size: int) -> None:
        self._accounts = accounts
        self._ttl = ttl
        self._size = size
        self._held: OrderedDict[bytes, _Known] = OrderedDict()
        self._refused: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Identity]] = {}
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._changes = 0

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Identity:
        """Find the key in the headers of a request and whose it is.

        :raises CallerError: ``UNAUTHENTICATED``.
        :raises PlatformError: ``UNAVAILABLE`` while accounts is away and the key is not known.
        """
        digest = hashlib.sha256(_key_in(headers)).digest()
        known = self._held.get(digest)
        if known is not None and known.identity is not None and known.until > time.monotonic():
            self._held.move_to_end(digest)
            _HIT.inc()
            return known.identity
        refused = self._refused.get(digest)
        if refused is not None and refused.until > time.monotonic():
            _REFUSED.inc()
            raise _wrong()
        _MISS.inc()
        return await self.ask(digest)

    async def ask(self, digest: bytes) -> Identity:
        """Ask accounts, once for all who want to know at the same time."""
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest))
            self._asking[digest] = task
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        # Shielded: whoever leaves does not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, digest: bytes) -> Identity:
        changes = self._changes
        try:
            key = await self._accounts.key_of(digest)
        except OmnixError as exc:
            if exc.reason in (Reason.UNAUTHENTICATED, Reason.NOT_FOUND, Reason.KEY_REVOKED):
                self._held.pop(digest, None)
                self._keep(self._refused, digest, _Known(None, time.monotonic() + min(_REFUSED_FOR, self._ttl)))
                raise _wrong() from exc
            raise
        identity = identity_from_proto(key, digest)
        left = self._ttl
        if identity.expire_time is not None:
            left = min(left, (identity.expire_time - datetime.now(UTC)).total_seconds())
        if left <= 0 or identity.key_id in self._revoked:
            raise _wrong()
        if changes == self._changes:  # otherwise the answer may be older than the change
            self._keep(self._held, digest, _Known(identity, time.monotonic() + left))
        return identity

    def _keep(self, cache: OrderedDict[bytes, _Known], digest: bytes, known: _Known) -> None:
        cache[digest] = known
        cache.move_to_end(digest)
        while len(cache) > self._size:
            cache.popitem(last=False)

    def is_revoked(self, identity: Identity) -> bool:
        """Whether the key was revoked while a request with it was under way."""
        return identity.key_id in self._revoked

    def forget(self, tenant_id: str, key_id: str, *, revoked: bool) -> None:
        """A key changed, or with an empty ``key_id`` something that concerns all keys of the tenant."""
        self._changes += 1
        if revoked and key_id:
            self._revoked[key_id] = None
            while len(self._revoked) > _REVOKED_REMEMBERED:
                self._revoked.popitem(last=False)
        for digest, known in list(self._held.items()):
            identity = known.identity
            if identity is None or (identity.tenant_id == tenant_id and key_id in ("", identity.key_id)):
                del self._held[digest]
        self._refused.clear()

    def forget_all(self) -> None:
        """Changes may have been missed."""
        self._changes += 1
        self._held.clear()
        self._refused.clear()


def _key_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key, in any of its header forms; several forms must agree."""
    keys = set()
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() != b"bearer":
                raise _unauthenticated("The header 'Authorization' must have the form 'Bearer <key>'.")
            keys.add(key.strip())
        elif name in (b"x-api-key", b"api-key"):
            keys.add(value.strip())
    if len(keys) > 1:
        raise _unauthenticated("The request shows several different API keys.")
    key = keys.pop() if keys else b""
    if not key:
        raise _unauthenticated(
            "You did not provide an API key. Send it in the header 'Authorization: Bearer <key>', 'x-api-key' or "
            "'api-key'."
        )
    if len(key) > _LONGEST_KEY:
        raise _wrong()
    return key


def _wrong() -> CallerError:
    return _unauthenticated("Incorrect API key provided: it is unknown, expired or revoked.")


def _unauthenticated(message: str) -> CallerError:
    return CallerError(message, reason=Reason.UNAUTHENTICATED)
