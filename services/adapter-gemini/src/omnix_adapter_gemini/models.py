"""Which models Google offers, asked in the background and never while somebody waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import httpx2
from google import genai
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.genai import errors
from google.genai.types import Model
from omnix_provider.types import ServedModel

_log = logging.getLogger(__name__)

_REFRESH_EVERY = 300.0
_RETRY_AFTER = 2.0
_ANSWER_WITHIN = 20.0
_AT_MOST = 5000
_PAGE = 1000
_METHODS = frozenset({"generateContent", "embedContent", "predict", "batchEmbedContents"})


class Models:
    """What was offered when Google was last asked."""

    def __init__(self) -> None:
        self.current: Sequence[ServedModel] = ()
        self._limits: Mapping[str, int] = {}

    def input_limit(self, model: str) -> int | None:
        """Tokens that the model takes; None when Google did not tell."""
        return self._limits.get(_short(model))

    @classmethod
    @asynccontextmanager
    async def kept(
        cls, client: genai.Client, provider: str, credentials: Callable[[], Credentials | None] | None
    ) -> AsyncIterator["Models"]:
        """Asked anew from time to time while inside.

        :param credentials: those of the calls, where they are no key; until there are any, nobody is asked.
        """
        models = cls()
        task = asyncio.create_task(models._refresh(client, provider, credentials))
        try:
            yield models
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _refresh(
        self, client: genai.Client, provider: str, credentials: Callable[[], Credentials | None] | None
    ) -> None:
        pause = _RETRY_AFTER
        while True:
            if credentials is not None:
                client._api_client._credentials = credentials()
                if client._api_client._credentials is None:
                    await asyncio.sleep(_RETRY_AFTER)
                    continue
            try:
                async with asyncio.timeout(_ANSWER_WITHIN):
                    self._take(await _listed(client))
                pause = _REFRESH_EVERY
            except (
                errors.APIError,
                GoogleAuthError,
                aiohttp.ClientError,
                httpx2.HTTPError,
                OSError,
                TimeoutError,
                ValueError,
                TypeError,
                AttributeError,
            ) as exc:
                _log.info("models are not known", extra={"provider": provider, "error": type(exc).__name__})
                pause = min(pause * 2, _REFRESH_EVERY) if pause != _REFRESH_EVERY else _RETRY_AFTER
            await asyncio.sleep(pause)

    def _take(self, listed: Sequence[Model]) -> None:
        served = [each for each in listed if each.name and _is_served(each)]
        self.current = [ServedModel(_short(each.name or ""), "google") for each in served]
        self._limits = {_short(each.name or ""): each.input_token_limit for each in served if each.input_token_limit}


async def _listed(client: genai.Client) -> list[Model]:
    listed: list[Model] = []
    async for model in await client.aio.models.list(config={"page_size": _PAGE, "query_base": True}):
        listed.append(model)
        if len(listed) == _AT_MOST:
            break
    return listed


def _is_served(model: Model) -> bool:
    """Google Cloud does not tell what a model can be asked."""
    return model.supported_actions is None or bool(_METHODS & set(model.supported_actions))


def _short(name: str) -> str:
    return name.rpartition("/")[2]
