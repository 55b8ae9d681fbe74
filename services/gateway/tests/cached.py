"""Asking for what may be cached, and looking into the cache."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from nats.js.errors import NotFoundError
from omnix.account.v1 import account_pb2
from omnix_gateway.metrics import CACHE, CACHE_ERRORS, CACHE_STORES, SHARING
from omnix_kit.streams import CACHE as STREAM
from omnix_kit.testing import eventually
from prometheus_client import Counter

from .conftest import Gateway
from .events import Event, all_events
from .fakes import Backends

PATH = "/v1/chat/completions"
FOREIGN = "sk-omnix-foreign"
ON = {"x-omnix-cache": "on"}


def body(content: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


async def ask(gateway: Gateway, content: str = "Hello", headers: Mapping[str, str] = ON, **more: Any) -> httpx.Response:
    async with asyncio.timeout(15):
        answer = await gateway.http.post(PATH, json=body(content, **more), headers=dict(headers))
    assert answer.status_code == 200, answer.text
    return answer


async def ask_streamed(
    gateway: Gateway, content: str = "Hello", headers: Mapping[str, str] = ON, **more: Any
) -> tuple[httpx.Headers, list[Event]]:
    async with asyncio.timeout(15):
        asked = body(content, stream=True, **more)
        async with gateway.http.stream("POST", PATH, json=asked, headers=dict(headers)) as answer:
            assert answer.status_code == 200, await answer.aread()
            return answer.headers, await all_events(answer)


def outcome(answer: httpx.Response | httpx.Headers) -> str:
    headers = answer.headers if isinstance(answer, httpx.Response) else answer
    return str(headers["x-omnix-cache"])


def text(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


async def _subjects(behind: Backends) -> list[str] | None:
    """None before the gateway has set the cache up."""
    assert STREAM.name is not None
    try:
        info = await behind.messaging.jetstream.stream_info(STREAM.name, subjects_filter=">")
    except NotFoundError:
        return None
    return sorted(info.state.subjects or {})


async def subjects_kept(behind: Backends) -> list[str]:
    return await _subjects(behind) or []


async def kept(behind: Backends, count: int = 1) -> None:
    """Wait until so many answers lie in the cache, which is set up."""

    async def there() -> bool:
        found = await _subjects(behind)
        return found is not None and len(found) == count

    await eventually(there)


async def sharing(number: int) -> None:
    """Wait until so many requests share the call of another one."""
    await eventually(lambda: SHARING._value.get() == number)


def stranger(behind: Backends, tenant: str = "elsewhere") -> dict[str, str]:
    """The header of a key of another tenant."""
    behind.accounts.add(FOREIGN, "foreign", account_pb2.KEY_ROLE_MEMBER, tenant)
    return {"authorization": f"Bearer {FOREIGN}"}


class Counted:
    """What was counted since."""

    def __init__(self) -> None:
        self._before: dict[tuple[Counter, str], float] = {}
        for counter, labels in (
            (CACHE, ("hit", "miss", "joined", "bypass")),
            (CACHE_STORES, ("stored", "too-large", "not-whole", "failed")),
            (CACHE_ERRORS, ("away", "slow", "garbage")),
        ):
            for label in labels:
                self._before[counter, label] = counter.labels(label)._value.get()

    @property
    def since(self) -> dict[str, int]:
        """By label, which are different for each counter; what did not happen is left out."""
        grown = {
            label: int(counter.labels(label)._value.get() - before) for (counter, label), before in self._before.items()
        }
        return {label: number for label, number in grown.items() if number}
