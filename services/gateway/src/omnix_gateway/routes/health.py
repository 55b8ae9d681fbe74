"""``/livez``, ``/readyz`` and ``/``."""

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from omnix_kit.health import Readiness

_ROOT = msgspec.json.encode(
    {"name": "OmniX", "documentation": "/docs", "openapi": "/openapi.json", "models": "/v1/models"}
)


def health_routes(readiness: Readiness) -> list[HTTPRouteHandler]:
    @get("/livez", name="livez", include_in_schema=False)
    async def livez() -> Response[bytes]:
        return _json(200, b'{"status":"ok"}')

    @get("/readyz", name="readyz", include_in_schema=False)
    async def readyz() -> Response[bytes]:
        # Where things are is told on the ops port alone; here everybody may ask.
        missing = dict.fromkeys(readiness.lacking(), "is away")
        body = {"service": "gateway", "status": "not ready" if missing else "ok", "lacking": missing}
        return _json(503 if missing else 200, msgspec.json.encode(body))

    @get("/", name="root", include_in_schema=False)
    async def root() -> Response[bytes]:
        return _json(200, _ROOT)

    return [livez, readyz, root]


def _json(status: int, body: bytes) -> Response[bytes]:
    response = Response(body, status_code=status, media_type="application/json")
    if status == 503:
        response.set_header("retry-after", "1")
    return response
