"""``/v1/routes``: for admins.

A route's name may hold slashes and ``*``, so that what follows it in the path is told by the path as it was sent: a
name that itself ends in ``/versions`` or ``/rollback`` is sent with ``%2F``.
"""

import re
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from omnix_kit.errors import CallerError, Reason

from omnix_gateway.chat.decoding import decode
from omnix_gateway.clients import Routes
from omnix_gateway.errors import invalid
from omnix_gateway.http.body import Bodies
from omnix_gateway.http.exchange import Scope, header
from omnix_gateway.identity import Role
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered, query_of
from omnix_gateway.routing import schema
from omnix_gateway.routing.convert import (
    delete_to_proto,
    put_to_proto,
    rollback_to_proto,
    route_from_proto,
    version_from_proto,
)

_PREFIX: Final = "/v1/routes/"
_VERSIONS: Final = "/versions"
_ROLLBACK: Final = "/rollback"
_ETAG: Final = re.compile(r'"?(\d{1,15})"?')

_route_decoder = msgspec.json.Decoder(schema.RouteRequest)
_rollback_decoder = msgspec.json.Decoder(schema.RollbackRequest)

AnyRequest = Request[Any, Any, Any]


def route_routes(routes: Routes, bodies: Bodies, json_depth: int) -> list[HTTPRouteHandler]:
    guards = [open_to(Role.ADMIN)]

    @get("/v1/routes", guards=guards, name="list_routes")
    async def list_routes(request: AnyRequest) -> Response[bytes]:
        query = query_of(request.scope, schema.RouteQuery)
        page = await routes.all(query.limit, query.page_token or "")
        return answered(
            schema.RouteList(
                data=[route_from_proto(route) for route in page.routes],
                has_more=bool(page.next_page_token),
                next_page_token=page.next_page_token or None,
            )
        )

    @get("/v1/routes/{name:path}", guards=guards, name="get_route")
    async def get_route(request: AnyRequest) -> Response[bytes]:
        if (name := _before(request.scope, _VERSIONS)) is not None:
            versions = await routes.versions(name)
            return answered(schema.RouteVersionList(data=[version_from_proto(version) for version in versions]))
        return _told(route_from_proto(await routes.one(_name(request.scope))))

    @put("/v1/routes/{name:path}", guards=guards, name="put_route")
    async def put_route(request: AnyRequest) -> Response[bytes]:
        name, query = _name(request.scope), query_of(request.scope, schema.PutRouteQuery)
        with bodies.in_hand() as in_hand:
            body = await in_hand.read(request.scope, request.receive)
        asked = decode(body, _route_decoder, json_depth)
        if asked.name not in (None, name):
            raise invalid("'name' is not the one of the path.", "name")
        expected = _expected(request.scope, asked.version)
        answer = await routes.put(
            put_to_proto(name, asked, expected, identity_of(request).caller, validate_only=query.validate_only)
        )
        return _told(route_from_proto(answer.route), 201 if answer.created and not query.validate_only else 200)

    @delete("/v1/routes/{name:path}", guards=guards, name="delete_route", status_code=200)
    async def delete_route(request: AnyRequest) -> Response[bytes]:
        name, expected = _name(request.scope), _expected(request.scope)
        version = await routes.delete(delete_to_proto(name, expected, identity_of(request).caller))
        return answered(schema.RouteDeleted(name=name, version=version))

    @post("/v1/routes/{name:path}", guards=guards, name="rollback_route", status_code=200)
    async def rollback_route(request: AnyRequest) -> Response[bytes]:
        if (name := _before(request.scope, _ROLLBACK)) is None:
            raise CallerError("Only /v1/routes/{name}/rollback takes a POST.", reason=Reason.NOT_FOUND)
        with bodies.in_hand() as in_hand:
            body = await in_hand.read(request.scope, request.receive)
        asked = decode(body, _rollback_decoder, json_depth)
        expected = _expected(request.scope)
        route = await routes.roll_back(rollback_to_proto(name, asked.version, expected, identity_of(request).caller))
        return _told(route_from_proto(route))

    return [list_routes, get_route, put_route, delete_route, rollback_route]


def _told(route: schema.Route, status: int = 200) -> Response[bytes]:
    response = answered(route, status)
    if route.version is not None:
        response.set_header("etag", f'"{route.version}"')
    return response


def _sent(scope: Scope) -> str:
    """What follows ``/v1/routes/``, with escapes."""
    return str(scope["raw_path"], "latin-1").partition("?")[0].removeprefix(_PREFIX)


def _before(scope: Scope, end: str) -> str | None:
    """The name before ``/versions`` or ``/rollback``; None when the path does not end so."""
    sent = _sent(scope)
    return _unescaped(sent.removesuffix(end)) if sent.endswith(end) else None


def _name(scope: Scope) -> str:
    """The name that is all of the path."""
    sent = _sent(scope)
    if sent.endswith((_VERSIONS, _ROLLBACK)):
        raise invalid("A name that ends in /versions or /rollback is sent with %2F in place of that slash.", "name")
    return _unescaped(sent)


def _unescaped(sent: str) -> str:
    try:
        return unquote(sent, errors="strict")
    except UnicodeDecodeError:
        raise invalid("The route's name is not UTF-8.", "name") from None


def _expected(scope: Scope, of_body: int | None = None) -> int | None:
    """The version that the caller expects: by ``If-Match``, by ``If-None-Match: *`` for none, or in the body."""
    match, none_match = header(scope, b"if-match"), header(scope, b"if-none-match")
    found = set() if of_body is None else {of_body}
    if none_match is not None:
        if none_match.strip() != "*":
            raise invalid("If-None-Match takes '*' alone: the route must be new.", "if-none-match")
        found.add(0)
    if match is not None:
        version = _ETAG.fullmatch(match.strip())
        if version is None:
            raise invalid("If-Match takes one version, as the ETag of an answer tells it.", "if-match")
        found.add(int(version[1]))
    if len(found) > 1:
        raise invalid("If-Match, If-None-Match and 'version' expect different versions.", "version")
    return found.pop() if found else None
