"""``/v1/statements``: for admins."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.identity import Role
from omnix_gateway.ledger.clients import Statements
from omnix_gateway.ledger.convert import statement_from_proto
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered

AnyRequest = Request[Any, Any, Any]


def statement_routes(statements: Statements) -> list[HTTPRouteHandler]:
    guards = [open_to(Role.ADMIN)]

    @get("/v1/statements/{month:str}", guards=guards, name="get_statement")
    async def get_statement(request: AnyRequest) -> Response[bytes]:
        return answered(statement_from_proto(await statements.of(identity_of(request).tenant_id, _month(request))))

    @post("/v1/statements/{month:str}/close", guards=guards, name="close_statement", status_code=200)
    async def close_statement(request: AnyRequest) -> Response[bytes]:
        return answered(statement_from_proto(await statements.close(identity_of(request).caller, _month(request))))

    return [get_statement, close_statement]


def _month(request: AnyRequest) -> str:
    return str(request.path_params["month"])
