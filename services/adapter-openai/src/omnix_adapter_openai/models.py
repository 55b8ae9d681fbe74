"""Which models a server offers, in the SDK's words."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from omnix_provider.offered import Offered, offered
from omnix_provider.types import ServedModel
from openai import AsyncOpenAI

_ANSWER_WITHIN = 10.0


@asynccontextmanager
async def models_of(provider: str, client: AsyncOpenAI, *, callable_: bool) -> AsyncIterator[Offered]:
    """:param callable_: there is a server to ask."""
    if not callable_:
        yield Offered()
        return

    async def ask() -> Sequence[ServedModel]:
        page = await client.models.list(timeout=_ANSWER_WITHIN)
        return [ServedModel(model.id, model.owned_by or "") for model in page.data]

    async with offered(provider, ask) as kept:
        yield kept
