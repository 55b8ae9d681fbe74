"""Puts the vendors, the control address and the health checks on one server."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from omnix_sandbox.bedrock.api import Bedrock
from omnix_sandbox.control import Control, respond
from omnix_sandbox.gemini.api import Gemini
from omnix_sandbox.huggingface.api import HuggingFace
from omnix_sandbox.openai.api import OpenAI
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rules
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Request, Server
from omnix_sandbox.words import ring_tokens


class Vendor(Protocol):
    """One vendor's API below its own first path segment."""

    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules) -> None: ...

    async def handle(self, request: Request) -> web.StreamResponse: ...


VENDORS: Final[dict[str, type[Vendor]]] = {
    "openai": OpenAI,
    "gemini": Gemini,
    "huggingface": HuggingFace,
    "bedrock": Bedrock,
}
"""Each vendor's room by its first path segment."""


def server(settings: Settings, recorder: Recorder) -> Server:
    """Make the server; the caller listens with it and shuts it down."""
    ring_tokens()  # made once, and not in the first caller's time
    rules = Rules()
    rooms: dict[str, Callable[[Request], Awaitable[web.StreamResponse]]] = {
        **{name: vendor(settings, recorder, rules).handle for name, vendor in VENDORS.items()},
        "control": Control(recorder, rules).handle,
    }

    async def handle(request: Request) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue":
            request.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # curl waits for it before a large body
        room = rooms.get(request.path.split("/", 2)[1])
        if room is not None:
            return await room(request)
        match request.path:
            case "/livez":
                return respond(request, 200, {"status": "ok"})
            case "/readyz":
                ready = recorder.healthy
                return respond(
                    request, 200 if ready else 503, {"status": "ok" if ready else "record cannot be written"}
                )
            case _:
                return respond(request, 404, {"error": f"there is nothing at {request.path}"})

    return Server(handle, max_body_bytes=settings.max_body_bytes, max_connections=settings.max_connections)
