"""Authentication of the plain routes: rights are declared where the handler is."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from omnix_gateway.authentication import Authenticator
from omnix_gateway.http.exchange import exchange_of
from omnix_gateway.identity import Identity, Role

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def open_to(role: Role) -> Guard:
    """Let pass whose key carries the role; handlers find the identity as ``request.user``."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        authenticator: Authenticator = connection.app.state.authenticator
        identity = await authenticator.identify(connection.scope["headers"])
        exchange = exchange_of(connection.scope)
        exchange.key_id, exchange.tenant_id = identity.key_id, identity.tenant_id
        identity.needs(role)
        connection.scope["user"] = identity

    return guard


def identity_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Identity:
    identity = connection.scope["user"]
    if not isinstance(identity, Identity):
        raise TypeError("the route has no guard")
    return identity
