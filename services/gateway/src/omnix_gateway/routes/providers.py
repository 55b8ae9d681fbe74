"""``GET /v1/providers/health``: how the providers fare."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.clients import Router
from omnix_gateway.identity import Role
from omnix_gateway.providers.convert import health_from_proto
from omnix_gateway.providers.schema import HealthQuery
from omnix_gateway.routes.guards import open_to
from omnix_gateway.routes.plain import answered, query_of


def provider_routes(router: Router) -> list[HTTPRouteHandler]:
    @get("/v1/providers/health", guards=[open_to(Role.MEMBER)], name="list_provider_health")
    async def list_provider_health(request: Request[Any, Any, Any]) -> Response[bytes]:
        query = query_of(request.scope, HealthQuery)
        # A query of the bare word has no value.
        history = query.history or request.scope["query_string"] in (b"history", b"history=")
        return answered(health_from_proto(await router.provider_health(history=history), history=history))

    return [list_provider_health]
