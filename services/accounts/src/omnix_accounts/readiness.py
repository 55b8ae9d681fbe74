"""Whether the store can be used, asked now and then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omnix_kit.health import Readiness
from omnix_store import Store, StoreError

_ASK_EVERY = 5.0
_ASK_AGAIN_AFTER = 1.0


@asynccontextmanager
async def store_readiness(store: Store, readiness: Readiness) -> AsyncIterator[None]:
    """While inside, the process is ready only when the store answers."""
    problem: str | None = "the store was not asked yet"
    readiness.need("store", lambda: problem)

    async def watch() -> None:
        nonlocal problem
        while True:
            try:
                await store.check()
                problem = None
            except StoreError as exc:
                problem = f"the store is away: {exc}"
            await asyncio.sleep(_ASK_EVERY if problem is None else _ASK_AGAIN_AFTER)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
