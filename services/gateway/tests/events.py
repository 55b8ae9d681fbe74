"""Reading server-sent events as a client does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec


@dataclass(frozen=True)
class Event:
    raw: str

    @property
    def id(self) -> str | None:
        return next((line[4:] for line in self.raw.split("\n") if line.startswith("id: ")), None)

    @property
    def data(self) -> str:
        return "".join(line[6:] for line in self.raw.split("\n") if line.startswith("data: "))

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.data)

    @property
    def text(self) -> str:
        if self.data.startswith("[DONE]") or not self.data:
            return ""
        return "".join(choice["delta"].get("content") or "" for choice in self.json.get("choices", []))


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    buffer = b""
    async for data in response.aiter_bytes():
        buffer += data
        while b"\n\n" in buffer:
            event, _, buffer = buffer.partition(b"\n\n")
            yield Event(event.decode())
    assert buffer == b""


async def all_events(response: httpx.Response) -> list[Event]:
    return [event async for event in events(response)]


def joined(found: list[Event]) -> str:
    return "".join(event.text for event in found)


def error_in(found: list[Event]) -> dict[str, Any]:
    """The error that the stream ended with."""
    error: dict[str, Any] = found[-1].json["error"]
    return error
