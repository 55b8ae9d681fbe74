"""The tenant and the admin key that exist from the start.

Several replicas may start at once, with the same secret or, while it is being changed, with different ones.
Which secret holds is decided by a compare-and-set on one document, the seat, that numbers the secrets.
Each replica stores its key after it took the seat, and revokes the keys with lower numbers after that: whatever the
order of their steps, the key with the highest number is valid in the end and no other one is.
"""

from collections.abc import Callable
from datetime import datetime

from omnix_kit.errors import ConfigurationError
from omnix_kit.ids import uuid7
from omnix_store import DuplicateKeyError

from omnix_accounts import keys
from omnix_accounts.keys import Key, Role
from omnix_accounts.repository import Repository, Seat

DEFAULT_TENANT = "default"
_REFUSED = "OMNIX_ADMIN_KEY: this key {}; choose another one"


async def bootstrap(repository: Repository, secret: str | None, clock: Callable[[], datetime]) -> None:
    """Make the default tenant, and the admin key if there is to be one. May be repeated.

    :raises ConfigurationError: when the secret is one that was revoked, or that of a key with other rights.
    """
    now = clock()
    await repository.add_tenant(DEFAULT_TENANT, "Default", now)
    if secret is None:
        return
    digest = keys.digest(secret)
    _check(await repository.by_digest(digest), now)
    number = await _take_seat(repository, digest)
    await _store(repository, secret, number, now)
    seat = await repository.seat()  # read after the key was stored, see above
    for former in await repository.bootstrap_before(DEFAULT_TENANT, number if seat is None else seat.number):
        await repository.revoke(DEFAULT_TENANT, former.key_id, now)


async def _take_seat(repository: Repository, digest: str) -> int:
    while True:
        seat = await repository.seat()
        if seat is not None and seat.sha256 == digest:
            return seat.number
        taken = Seat(digest, 1 if seat is None else seat.number + 1)
        if await repository.take_seat(taken, seat):
            return taken.number


async def _store(repository: Repository, secret: str, number: int, now: datetime) -> None:
    key = Key(
        key_id=uuid7(),
        tenant_id=DEFAULT_TENANT,
        name="bootstrap",
        role=Role.ADMIN,
        sha256=keys.digest(secret),
        hint=keys.hint(secret),
        create_time=now,
        bootstrap=number,
    )
    try:
        await repository.add(key)
    except DuplicateKeyError:
        found = await repository.by_digest(key.sha256)
        _check(found, now)
        if found is not None and found.bootstrap != number:
            await repository.make_bootstrap(found, number)


def _check(found: Key | None, now: datetime) -> None:
    if found is None:
        return
    if found.tenant_id != DEFAULT_TENANT or found.role is not Role.ADMIN:
        raise ConfigurationError(_REFUSED.format("belongs to somebody else"))
    if not found.is_valid(now):
        raise ConfigurationError(_REFUSED.format("was revoked or has expired"))
