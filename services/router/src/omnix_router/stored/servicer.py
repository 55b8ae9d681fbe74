"""gRPC in: routes are shown and changed."""

import base64
from binascii import Error as NoBase64

import grpc
from omnix.router.v1 import route_service_pb2 as wire
from omnix.router.v1 import route_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_router.stored.convert import caller_from_proto, shown_to_proto, table_from_proto, version_to_proto
from omnix_router.stored.errors import invalid
from omnix_router.stored.managing import Asked, Managing

SERVICE = "omnix.router.v1.RouteService"
_PAGE = 100
_MAX_PAGE = 1000

Expecting = wire.PutRouteRequest | wire.DeleteRouteRequest | wire.RollbackRouteRequest


class RouteServicer(route_service_pb2_grpc.RouteServiceServicer):
    def __init__(self, managing: Managing) -> None:
        self._managing = managing

    async def ListRoutes(
        self, request: wire.ListRoutesRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListRoutesResponse:
        if not 0 <= request.page_size <= _MAX_PAGE:
            raise invalid("page_size", f"page_size must be 1 to {_MAX_PAGE}, or 0 for {_PAGE}.")
        size, after = request.page_size or _PAGE, _after(request.page_token)
        left = [each for each in await self._managing.all() if (each.route.name, not each.in_force) > after]
        page = left[:size]
        token = _token(page[-1].route.name, page[-1].in_force) if len(left) > size else ""
        return wire.ListRoutesResponse(routes=map(shown_to_proto, page), next_page_token=token)

    async def GetRoute(self, request: wire.GetRouteRequest, context: grpc.aio.ServicerContext) -> wire.GetRouteResponse:
        return wire.GetRouteResponse(route=shown_to_proto(await self._managing.get(request.name)))

    async def PutRoute(self, request: wire.PutRouteRequest, context: grpc.aio.ServicerContext) -> wire.PutRouteResponse:
        shown, created = await self._managing.put(
            request.route.name, table_from_proto(request.route), _asked(request), dry=request.validate_only
        )
        return wire.PutRouteResponse(route=shown_to_proto(shown), created=created)

    async def DeleteRoute(
        self, request: wire.DeleteRouteRequest, context: grpc.aio.ServicerContext
    ) -> wire.DeleteRouteResponse:
        return wire.DeleteRouteResponse(version=await self._managing.delete(request.name, _asked(request)))

    async def ListRouteVersions(
        self, request: wire.ListRouteVersionsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListRouteVersionsResponse:
        found = await self._managing.versions(request.name)
        return wire.ListRouteVersionsResponse(
            versions=[version_to_proto(version, self._managing.holds(version)) for version in found]
        )

    async def RollbackRoute(
        self, request: wire.RollbackRouteRequest, context: grpc.aio.ServicerContext
    ) -> wire.RollbackRouteResponse:
        shown = await self._managing.roll_back(request.name, request.version, _asked(request))
        return wire.RollbackRouteResponse(route=shown_to_proto(shown))


def _asked(request: Expecting) -> Asked:
    expected = request.expected_version if request.HasField("expected_version") else None
    if expected is not None and expected < 0:
        raise invalid("expected_version", "expected_version must not be negative.")
    return Asked(caller_from_proto(request.caller), expected)


def _token(name: str, in_force: bool) -> str:
    return base64.urlsafe_b64encode(f"{int(not in_force)}{name}".encode()).decode()


def _after(token: str) -> tuple[str, bool]:
    if not token:
        return "", False
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except (NoBase64, ValueError):
        text = ""
    if text[:1] not in ("0", "1"):
        raise invalid("page_token", "The page token is not one that this listing gave.")
    return text[1:], text[0] == "1"


def register(managing: Managing) -> Register:
    return lambda server: route_service_pb2_grpc.add_RouteServiceServicer_to_server(RouteServicer(managing), server)
