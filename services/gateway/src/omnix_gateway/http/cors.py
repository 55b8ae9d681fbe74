"""Pages of other origins, where the operator allows them."""

from collections.abc import Sequence
from typing import Any, Final

from omnix_gateway.http.exchange import Scope, Send

_EXPOSED: Final = (
    b"x-request-id, x-omnix-completion-id, x-omnix-model, x-omnix-attempts, x-omnix-attempt-errors, x-omnix-cost, "
    b"x-omnix-cost-micros, x-omnix-sandbox, x-omnix-mode, x-omnix-reasoning, x-omnix-reasoning-note, "
    b"x-omnix-cache, x-omnix-cache-source, age, openai-processing-ms, retry-after, etag"
)


class Cors:
    """Keys travel in headers and never in cookies, so credentials mode is not allowed."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What to add to every answer."""
        origin = _header(scope, b"origin")
        if origin is None:
            return []
        if b"*" in self._origins:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        allowed = [(b"vary", b"origin")]
        if origin in self._origins:
            allowed += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]
        return allowed

    def is_preflight(self, scope: Scope) -> bool:
        return scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None

    async def answer(self, scope: Scope, send: Send) -> None:
        headers = [
            (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
            (b"access-control-allow-headers", _header(scope, b"access-control-request-headers") or b"*"),
            (b"access-control-max-age", b"600"),
        ]
        start: Any = {"type": "http.response.start", "status": 204, "headers": headers}
        await send(start)
        end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(end)


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
