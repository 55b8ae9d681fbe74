"""``/openapi.json`` and ``/docs``."""

from litestar.handlers import HTTPRouteHandler


def document_routes() -> list[HTTPRouteHandler]:
    return []
