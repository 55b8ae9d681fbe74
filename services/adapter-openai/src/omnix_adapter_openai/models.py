"""Which models a server offers, asked in the background and never while somebody waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from omnix_provider.types import ServedModel
from openai import AsyncOpenAI, OpenAIError

if TYPE_CHECKING:
    from omnix_adapter_openai.provider import Upstream

_log = logging.getLogger(__name__)

_REFRESH_EVERY = 300.0
_RETRY_AFTER = 2.0
_ANSWER_WITHIN = 10.0
_AT_MOST = 5000


class Models:
    """What the server offered when it was last asked."""

    def __init__(self) -> None:
        self.current: Sequence[ServedModel] = ()

    @classmethod
    @asynccontextmanager
    async def kept(cls, upstream: "Upstream", client: AsyncOpenAI) -> AsyncIterator["Models"]:
        """Asked anew from time to time while inside."""
        models = cls()
        if upstream.problem is not None:
            yield models
            return
        task = asyncio.create_task(models._refresh(upstream.name, client))
        try:
            yield models
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _refresh(self, name: str, client: AsyncOpenAI) -> None:
        pause = _RETRY_AFTER
        while True:
            try:
                async with asyncio.timeout(_ANSWER_WITHIN):
                    page = await client.models.list(timeout=_ANSWER_WITHIN)
                self.current = [ServedModel(model.id, model.owned_by or "") for model in page.data[:_AT_MOST]]
                pause = _REFRESH_EVERY
            except (OpenAIError, TimeoutError, ValueError, TypeError, AttributeError) as exc:
                _log.info("models are not known", extra={"provider": name, "error": type(exc).__name__})
                pause = min(pause * 2, _REFRESH_EVERY) if pause != _REFRESH_EVERY else _RETRY_AFTER
            await asyncio.sleep(pause)
