"""``/v1/keys``: for admins."""

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from omnix_gateway import convert
from omnix_gateway.chat.decoding import decode
from omnix_gateway.clients import Accounts
from omnix_gateway.http.body import Bodies
from omnix_gateway.identity import Role
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered, query_of
from omnix_gateway.schema import KeyList, KeyQuery, KeyRequest

_decoder = msgspec.json.Decoder(KeyRequest)


def key_routes(accounts: Accounts, bodies: Bodies, json_depth: int) -> list[HTTPRouteHandler]:
    @post("/v1/keys", guards=[open_to(Role.ADMIN)], name="create_key")
    async def create_key(request: Request[Any, Any, Any]) -> Response[bytes]:
        with bodies.in_hand() as in_hand:
            body = await in_hand.read(request.scope, request.receive)
        asked = convert.new_key_to_proto(decode(body, _decoder, json_depth), identity_of(request))
        response = answered(convert.new_key_from_proto(await accounts.create_key(asked)), 201)
        response.set_header("cache-control", "no-store")
        return response

    @get("/v1/keys", guards=[open_to(Role.ADMIN)], name="list_keys")
    async def list_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
        query = query_of(request.scope, KeyQuery)
        tenant_id = identity_of(request).tenant_id
        page = await accounts.list_keys(convert.list_keys_to_proto(tenant_id, query.limit, query.page_token or ""))
        return answered(
            KeyList(
                data=[convert.key_from_proto(key) for key in page.keys],
                has_more=bool(page.next_page_token),
                next_page_token=page.next_page_token or None,
            )
        )

    @delete("/v1/keys/{key_id:str}", guards=[open_to(Role.ADMIN)], name="revoke_key", status_code=200)
    async def revoke_key(request: Request[Any, Any, Any]) -> Response[bytes]:
        key_id = str(request.path_params["key_id"])
        return answered(convert.key_from_proto(await accounts.revoke_key(identity_of(request).tenant_id, key_id)))

    return [create_key, list_keys, revoke_key]
