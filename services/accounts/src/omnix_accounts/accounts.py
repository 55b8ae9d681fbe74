"""What may be done with keys, and by whom."""

from collections.abc import Callable
from datetime import datetime

from omnix_kit.errors import CallerError, Reason
from omnix_kit.ids import is_id, uuid7

from omnix_accounts import keys
from omnix_accounts.errors import invalid, not_authenticated, store_errors
from omnix_accounts.keys import Key, Wish
from omnix_accounts.repository import Repository

_DIGEST_BYTES = 32
_PAGE = 100
_MAX_PAGE = 1000


def milliseconds(time: datetime) -> datetime:
    """Cut to what the store keeps, so that a key reads the same at any time."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Accounts:
    """Every change is stored when its call returns; ``changed`` is then called, so that it is announced."""

    def __init__(
        self,
        repository: Repository,
        *,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
        rotates_admin_key: bool,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._changed = changed
        self._rotates_admin_key = rotates_admin_key

    async def authenticate(self, digest: bytes) -> Key:
        """Whose key it is.

        :raises CallerError: ``UNAUTHENTICATED``, with one message whatever the cause.
        """
        if len(digest) != _DIGEST_BYTES:
            raise invalid("key_sha256", f"key_sha256 must be {_DIGEST_BYTES} bytes, the SHA-256 of a key.")
        with store_errors():
            found = await self._repository.by_digest(digest.hex())
        if found is None or not found.has_digest(digest) or not found.is_valid(self._clock()):
            raise not_authenticated()
        return found

    async def create(self, wish: Wish) -> tuple[Key, str]:
        """Make a key; the second value is its secret, which exists nowhere else.

        :raises CallerError: ``INVALID_REQUEST``; ``PERMISSION_DENIED`` when the maker has not the right itself.
        """
        now = milliseconds(self._clock())
        _check_tenant(wish.tenant_id)
        keys.check(wish, now)
        with store_errors():
            maker = await self._repository.get(wish.tenant_id, wish.maker_key_id) if wish.maker_key_id else None
        if maker is None or not maker.is_valid(now) or not keys.may_make(maker, wish):
            raise CallerError(
                "A key gives no more rights than its maker has, nor for longer, and only admin keys make keys.",
                reason=Reason.PERMISSION_DENIED,
            )
        secret = keys.new_secret()
        key = Key(
            key_id=uuid7(),
            tenant_id=wish.tenant_id,
            team_id=wish.team_id,
            user_id=wish.user_id,
            name=wish.name,
            role=wish.role,
            sha256=keys.digest(secret),
            hint=keys.hint(secret),
            create_time=now,
            expire_time=None if wish.expire_time is None else milliseconds(wish.expire_time),
            on_disconnect=wish.on_disconnect,
        )
        with store_errors():
            await self._repository.add(key)
        self._changed()
        return key, secret

    async def page(self, tenant_id: str, size: int, token: str) -> tuple[list[Key], str | None]:
        """Keys of a tenant, newest first, and the token of the next page."""
        _check_tenant(tenant_id)
        if not 0 <= size <= _MAX_PAGE:
            raise invalid("page_size", f"page_size must be 1 to {_MAX_PAGE}, or 0 for {_PAGE}.")
        with store_errors():
            return await self._repository.page(tenant_id, size or _PAGE, token)

    async def revoke(self, tenant_id: str, key_id: str) -> Key:
        """End a key for good; one that has ended stays as it is.

        :raises CallerError: ``NOT_FOUND`` when the tenant has no such key; ``CONFLICT`` for the bootstrap key while
            ``OMNIX_ADMIN_KEY`` holds it, because it would be back, or locked out, at the next start.
        """
        _check_tenant(tenant_id)
        with store_errors():
            found = await self._repository.get(tenant_id, key_id) if is_id(key_id) else None
            if found is None:
                raise CallerError("There is no such key.", reason=Reason.NOT_FOUND, param="key_id")
            if found.revoke_time is not None:
                return found
            if found.bootstrap and self._rotates_admin_key:
                raise CallerError(
                    "This is the admin key that OMNIX_ADMIN_KEY sets. To rotate it, change that variable and restart "
                    "the accounts service: the former key is revoked then.",
                    reason=Reason.CONFLICT,
                    param="key_id",
                )
            revoked = await self._repository.revoke(tenant_id, key_id, milliseconds(self._clock()))
            if revoked is None:  # somebody else was quicker
                return await self._repository.get(tenant_id, key_id) or found
        self._changed()
        return revoked


def _check_tenant(tenant_id: str) -> None:
    if not tenant_id:
        raise invalid("tenant_id", "tenant_id is missing.")
