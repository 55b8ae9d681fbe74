"""``/openapi.json`` and ``/docs``, made once."""

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.openapi.document import document
from omnix_gateway.page import page

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def document_routes() -> list[HTTPRouteHandler]:
    told = document()
    as_json = msgspec.json.encode(told)
    as_page = page(told).encode()

    @get("/openapi.json", name="openapi")
    async def openapi() -> Response[bytes]:
        return Response(as_json, media_type="application/json")

    @get("/docs", name="docs")
    async def docs() -> Response[bytes]:
        return Response(as_page, media_type="text/html; charset=utf-8", headers={"content-security-policy": _POLICY})

    return [openapi, docs]
