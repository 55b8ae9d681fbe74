"""Which models Google offers, asked in the background and never while somebody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from google import genai
from google.auth.credentials import Credentials
from google.genai.types import Model
from omnix_provider.offered import Offered, offered
from omnix_provider.types import ServedModel

_AT_MOST = 5000
_PAGE = 1000
_LOOK_AGAIN = 1.0
_METHODS = frozenset({"generateContent", "embedContent", "predict", "batchEmbedContents"})


class Models:
    """What was offered when Google was last asked."""

    def __init__(self) -> None:
        self._offered = Offered()
        self._limits: Mapping[str, int] = {}

    @property
    def current(self) -> Sequence[ServedModel]:
        return self._offered.current

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

        async def ask() -> Sequence[ServedModel]:
            if credentials is not None:
                while (found := credentials()) is None:  # noqa: ASYNC110 - for the moment in which they are looked for
                    await asyncio.sleep(_LOOK_AGAIN)
                client._api_client._credentials = found
            return models._taken(await _listed(client))

        async with offered(provider, ask) as models._offered:
            yield models

    def _taken(self, listed: Sequence[Model]) -> Sequence[ServedModel]:
        served = [(_short(each.name), each.input_token_limit) for each in listed if each.name and _is_served(each)]
        self._limits = {name: limit for name, limit in served if limit}
        return [ServedModel(name, "google") for name, _ in served]


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
