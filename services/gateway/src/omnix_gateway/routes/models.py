"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.clients import Router
from omnix_gateway.convert import model_from_proto
from omnix_gateway.identity import Role
from omnix_gateway.routes.guards import open_to
from omnix_gateway.routes.plain import answered
from omnix_gateway.schema import ModelList


def model_routes(router: Router) -> list[HTTPRouteHandler]:
    @get("/v1/models", guards=[open_to(Role.MEMBER)], name="list_models")
    async def list_models() -> Response[bytes]:
        return answered(ModelList(data=[model_from_proto(model) for model in await router.models()]))

    @get("/v1/models/{model_id:path}", guards=[open_to(Role.MEMBER)], name="get_model")
    async def get_model(request: Request[Any, Any, Any]) -> Response[bytes]:
        name = str(request.path_params["model_id"]).removeprefix("/")
        return answered(model_from_proto(await router.model(name)))

    return [list_models, get_model]
