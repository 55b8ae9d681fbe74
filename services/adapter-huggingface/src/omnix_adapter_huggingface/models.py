"""Which models the router, or an endpoint, offers: https://huggingface.co/docs/inference-providers/hub-api."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
import msgspec
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined] # lazy
from msgspec import Struct
from omnix_provider.offered import Offered, offered
from omnix_provider.types import ServedModel

from omnix_adapter_huggingface.places import Place

_LARGEST = 32 * 1024 * 1024


class _Model(Struct):
    id: str
    owned_by: str | None = None


class _Page(Struct):
    data: list[_Model]


_decode = msgspec.json.Decoder(_Page).decode


@asynccontextmanager
async def models_of(place: Place, client: httpx2.AsyncClient) -> AsyncIterator[Offered]:
    """Those of the configuration, or else what the server tells."""
    if place.models or place.problem is not None:
        known = Offered()
        known.current = [ServedModel(model) for model in place.models]
        yield known
        return
    url = f"{place.base_url.rstrip('/')}/models"

    async def ask() -> Sequence[ServedModel]:
        async with client.stream("GET", url, timeout=10.0) as response:
            if response.status_code >= 400:
                await response.aread()
            hf_raise_for_status(response)
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _LARGEST:
                    raise ValueError("the list of models is too large")
        return [ServedModel(model.id, model.owned_by or "") for model in _decode(bytes(body)).data]

    async with offered(place.name, ask) as kept:
        yield kept
