"""Vectors are given again and shared as answers are."""

import asyncio
import base64
from typing import Any

import httpx
from omnix_kit.errors import Reason, error_for
from omnix_kit.streams import CACHE
from omnix_kit.testing import eventually

from .cached import ON, Counted, kept, outcome, sharing, stranger, subjects_kept
from .conftest import Gateway, Start
from .fakes import Backends, vector

PATH = "/v1/embeddings"
JOIN = {"x-omnix-cache": "join"}


async def embed(gateway: Gateway, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"model": "m", "input": ["a", "b"]} | more
    return await gateway.http.post(PATH, json=body, headers=ON if headers is None else headers)


async def test_vectors_are_given_again_to_their_tenant_in_either_form(gateway: Gateway, behind: Backends) -> None:
    first = await embed(gateway)
    await kept(behind)
    again = await embed(gateway)
    assert (outcome(first), outcome(again)) == ("miss", "hit")
    assert again.json()["data"] == first.json()["data"]
    assert again.json()["usage"] == first.json()["usage"] | {"cost": "0.000000", "cost_micros": 0}
    assert (again.headers["x-omnix-cost-micros"], again.headers["x-omnix-attempts"]) == ("0", "0")
    assert again.headers["x-omnix-cache-source"] == first.headers["x-omnix-completion-id"]
    assert again.headers["x-omnix-completion-id"] != first.headers["x-omnix-completion-id"]
    packed = await embed(gateway, encoding_format="base64", user="u", timeout=9)
    assert outcome(packed) == "hit"
    assert [base64.b64decode(each["embedding"]) for each in packed.json()["data"]] == [vector(0.5, -1), vector(1.5, -1)]
    assert len(behind.router.embedded) == 1
    assert outcome(await embed(gateway, ON | stranger(behind))) == "miss"
    for more in ({"input": ["b", "a"]}, {"input": "a"}, {"dimensions": 2}, {"purpose": "query"}, {"input": [[1], [2]]}):
        behind.router.vectors = None
        assert outcome(await embed(gateway, **more)) == "miss", more
    assert "x-omnix-cache" not in (await embed(gateway, {})).headers


async def test_what_is_no_answer_is_not_kept(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(cache_entry_limit=1024)
    counted = Counted()
    behind.router.vectors = [vector(1)]
    assert (await embed(gateway)).status_code == 502
    behind.router.vectors = None
    behind.router.error = error_for(Reason.RATE_LIMITED, "Slow.", provider="openai")
    assert (await embed(gateway)).status_code == 429
    behind.router.error = None
    behind.router.vectors = [vector(*[0.1] * 200), vector(*[0.1] * 200)]
    assert outcome(await embed(gateway)) == "miss"
    await eventually(lambda: counted.since.get("too-large") == 1)
    assert await subjects_kept(behind) == []


async def test_garbage_is_a_miss(gateway: Gateway, behind: Backends) -> None:
    await embed(gateway)
    await kept(behind)
    [subject] = await subjects_kept(behind)
    await behind.messaging.jetstream.publish(subject, b"garbage")
    assert outcome(await embed(gateway)) == "miss"
    await behind.messaging.jetstream.delete_stream(CACHE.name or "")
    assert outcome(await embed(gateway)) == "miss"


async def test_the_same_asked_at_once_is_asked_once(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    leading = asyncio.create_task(embed(gateway, JOIN))
    await eventually(lambda: len(behind.router.embedded) == 1)
    following = [asyncio.create_task(embed(gateway, JOIN)) for _ in range(3)]
    alone = asyncio.create_task(embed(gateway, {}))
    await eventually(lambda: len(behind.router.embedded) == 2)
    await sharing(3)
    leading.cancel()
    await sharing(2)
    behind.router.hold.set()
    answers = await asyncio.gather(*following)
    assert [outcome(each) for each in answers] == ["joined"] * 3
    assert len({each.text for each in answers}) == 1
    assert (await alone).status_code == 200
    assert len(behind.router.embedded) == 2
    assert behind.router.cancelled == []
