"""``/v1/limits``: for admins; what is used of one's own is for everybody."""

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, put
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.chat.decoding import decode
from omnix_gateway.http.body import Bodies
from omnix_gateway.identity import Role
from omnix_gateway.limits import schema
from omnix_gateway.limits.admission import Limits
from omnix_gateway.limits.clients import Quotas
from omnix_gateway.limits.convert import limit_to_schema, put_to_proto, usage_asked, usage_to_schema
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered

_decoder = msgspec.json.Decoder(schema.LimitRequest)

AnyRequest = Request[Any, Any, Any]


def limit_routes(quotas: Quotas, limits: Limits, bodies: Bodies, json_depth: int) -> list[HTTPRouteHandler]:
    guards = [open_to(Role.ADMIN)]

    @get("/v1/limits", guards=guards, name="list_limits")
    async def list_limits(request: AnyRequest) -> Response[bytes]:
        found = await quotas.all(identity_of(request).tenant_id)
        return answered(schema.LimitList(data=[limit_to_schema(limit) for limit in found]))

    @get("/v1/limits/usage", guards=[open_to(Role.MEMBER)], name="get_limit_usage")
    async def get_limit_usage(request: AnyRequest) -> Response[bytes]:
        found = await quotas.usage(usage_asked(identity_of(request)))
        return answered(schema.LimitUsageList(data=[usage_to_schema(usage) for usage in found]))

    @get("/v1/limits/{limit_id:str}", guards=guards, name="get_limit")
    async def get_limit(request: AnyRequest) -> Response[bytes]:
        return answered(limit_to_schema(await quotas.get(identity_of(request).tenant_id, _id(request))))

    @put("/v1/limits/{limit_id:str}", guards=guards, name="put_limit")
    async def put_limit(request: AnyRequest) -> Response[bytes]:
        identity = identity_of(request)
        with bodies.in_hand() as in_hand:
            body = await in_hand.read(request.scope, request.receive)
        answer = await quotas.put(put_to_proto(_id(request), decode(body, _decoder, json_depth), identity))
        limits.forget(identity.tenant_id)
        return answered(limit_to_schema(answer.limit), 201 if answer.created else 200)

    @delete("/v1/limits/{limit_id:str}", guards=guards, name="delete_limit", status_code=200)
    async def delete_limit(request: AnyRequest) -> Response[bytes]:
        identity = identity_of(request)
        await quotas.delete(identity.tenant_id, _id(request))
        limits.forget(identity.tenant_id)
        return answered(schema.LimitDeleted(id=_id(request)))

    return [list_limits, get_limit_usage, get_limit, put_limit, delete_limit]


def _id(request: AnyRequest) -> str:
    return str(request.path_params["limit_id"])
