"""``POST /v1/models/select``."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.chat.decoding import decode
from omnix_gateway.clients import Router
from omnix_gateway.http.body import Bodies
from omnix_gateway.identity import Role
from omnix_gateway.routes.guards import open_to
from omnix_gateway.routes.plain import answered
from omnix_gateway.selection.convert import selection_from_proto, selection_to_proto
from omnix_gateway.selection.schema import SelectionRequest

_decoder = msgspec.json.Decoder(SelectionRequest)


def selection_routes(router: Router, bodies: Bodies, json_depth: int) -> list[HTTPRouteHandler]:
    @post("/v1/models/select", guards=[open_to(Role.MEMBER)], name="select_models", status_code=200)
    async def select_models(request: Request[Any, Any, Any]) -> Response[bytes]:
        with bodies.in_hand() as in_hand:
            body = await in_hand.read(request.scope, request.receive)
        asked = decode(body, _decoder, json_depth)
        answer = await router.select(selection_to_proto(asked))
        return answered(selection_from_proto(answer, recommend=asked.recommend))

    return [select_models]
