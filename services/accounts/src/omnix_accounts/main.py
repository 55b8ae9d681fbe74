"""The accounts service: what it is made of, and in which order it starts and stops."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import NoReturn

from omnix_kit.errors import ConfigurationError
from omnix_kit.messaging import nats_connection
from omnix_kit.rpc import grpc_server
from omnix_kit.runtime import Process, run
from omnix_store import StoreConfigurationError, StoreError, StoreUnavailableError, open_store

from omnix_accounts.accounts import Accounts, milliseconds
from omnix_accounts.announcer import Announcer, announcing
from omnix_accounts.bootstrap import DEFAULT_TENANT, bootstrap
from omnix_accounts.readiness import store_readiness
from omnix_accounts.repository import Repository
from omnix_accounts.servicer import register
from omnix_accounts.settings import Settings

_log = logging.getLogger(__name__)
_TRY_AGAIN_AFTER = 1.0


def main() -> NoReturn:
    run("accounts", Settings, serve)


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(open_store(settings.store))
        except StoreError as exc:
            raise ConfigurationError(f"OMNIX_STORE_URL: {exc}") from exc
        repository = Repository(store)
        await stack.enter_async_context(store_readiness(store, process.readiness))
        messaging = await stack.enter_async_context(nats_connection(settings, process.readiness, process.service))
        announcer = Announcer(repository, messaging, _now)
        await stack.enter_async_context(announcing(announcer))
        await stack.enter_async_context(_bootstrapped(settings, process, repository, announcer))
        accounts = Accounts(
            repository, clock=_now, changed=announcer.changed, rotates_admin_key=settings.admin_key is not None
        )
        await stack.enter_async_context(
            grpc_server(settings, process.readiness, ["omnix.account.v1.AccountService"], register(accounts))
        )
        yield


@asynccontextmanager
async def _bootstrapped(
    settings: Settings, process: Process, repository: Repository, announcer: Announcer
) -> AsyncIterator[None]:
    """Bootstrap now if the store is there, or as soon as it is; not ready before that.

    :raises ConfigurationError: at once, where the store is there to tell.
    """
    missing: str | None = "the first admin key is not stored yet"
    process.readiness.need("admin_key", lambda: missing)

    async def once() -> None:
        nonlocal missing
        secret = None if settings.admin_key is None else settings.admin_key.get_secret_value()
        try:
            await bootstrap(repository, secret, lambda: milliseconds(_now()))
        except StoreConfigurationError as exc:
            raise ConfigurationError(f"OMNIX_STORE_URL: {exc}") from exc
        if secret is None and not await repository.has_admin(DEFAULT_TENANT):
            _log.warning("there is no admin key; set OMNIX_ADMIN_KEY to make one")
        missing = None
        announcer.changed()

    async def until_done() -> None:
        nonlocal missing
        while missing is not None:
            await asyncio.sleep(_TRY_AGAIN_AFTER)
            try:
                await once()
            except StoreUnavailableError:
                continue
            except ConfigurationError as exc:
                missing = str(exc)
                _log.error("bad configuration", extra={"error": str(exc)})
                return

    try:
        await once()
    except StoreUnavailableError as exc:
        _log.warning("the store is away", extra={"error": str(exc)})
    task = asyncio.create_task(until_done())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)
