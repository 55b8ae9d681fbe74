"""A scripted route service behind the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from omnix.router.v1 import route_pb2, route_service_pb2, route_service_pb2_grpc
from omnix_kit.errors import CallerError, OmnixError, Reason
from omnix_kit.health import Readiness
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings


@dataclass
class FakeRoutes(route_service_pb2_grpc.RouteServiceServicer):
    """Holds one version of each route, and what it was asked."""

    routes: dict[str, route_pb2.Route] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)
    error: OmnixError | None = None
    versions: list[route_pb2.RouteVersion] = field(default_factory=list)
    token: str = ""
    """Of the next page."""
    address: str = ""

    async def ListRoutes(
        self, request: route_service_pb2.ListRoutesRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.ListRoutesResponse:
        self._ask(request)
        return route_service_pb2.ListRoutesResponse(routes=self.routes.values(), next_page_token=self.token)

    async def GetRoute(
        self, request: route_service_pb2.GetRouteRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.GetRouteResponse:
        self._ask(request)
        if request.name not in self.routes:
            raise CallerError(f"There is no route '{request.name}'.", reason=Reason.NOT_FOUND, param="name")
        return route_service_pb2.GetRouteResponse(route=self.routes[request.name])

    async def PutRoute(
        self, request: route_service_pb2.PutRouteRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.PutRouteResponse:
        self._ask(request)
        route, former = request.route, self.routes.get(request.route.name)
        told = route_pb2.Route()
        told.CopyFrom(route)
        told.source, told.in_force = route_pb2.ROUTE_SOURCE_STORE, True
        told.version = 1 if former is None else former.version + 1
        told.change.action = route_pb2.RouteChange.ACTION_UPDATED if former else route_pb2.RouteChange.ACTION_CREATED
        told.change.author.CopyFrom(request.caller)
        told.change.change_time.seconds = 1_700_000_000
        if not request.validate_only:
            self.routes[route.name] = told
        return route_service_pb2.PutRouteResponse(route=told, created=former is None)

    async def DeleteRoute(
        self, request: route_service_pb2.DeleteRouteRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.DeleteRouteResponse:
        self._ask(request)
        return route_service_pb2.DeleteRouteResponse(version=self.routes.pop(request.name).version + 1)

    async def ListRouteVersions(
        self, request: route_service_pb2.ListRouteVersionsRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.ListRouteVersionsResponse:
        self._ask(request)
        return route_service_pb2.ListRouteVersionsResponse(versions=self.versions)

    async def RollbackRoute(
        self, request: route_service_pb2.RollbackRouteRequest, context: grpc.aio.ServicerContext
    ) -> route_service_pb2.RollbackRouteResponse:
        self._ask(request)
        return route_service_pb2.RollbackRouteResponse(route=self.routes[request.name])

    def _ask(self, request: object) -> None:
        self.asked.append(request)
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def fake_routes() -> AsyncIterator[FakeRoutes]:
    """On a port of its own."""
    routes = FakeRoutes()
    settings = ServiceSettings(grace=0)  # type: ignore[arg-type]
    async with grpc_server(
        settings,
        Readiness(),
        [],
        lambda server: route_service_pb2_grpc.add_RouteServiceServicer_to_server(routes, server),
    ) as port:
        routes.address = f"127.0.0.1:{port}"
        yield routes
