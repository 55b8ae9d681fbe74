"""gRPC in: the router's calls."""

import random
from datetime import UTC, datetime, timedelta

import grpc
from omnix.router.v1 import router_service_pb2 as wire
from omnix.router.v1 import router_service_pb2_grpc
from omnix_kit.convert import duration
from omnix_kit.errors import CallerError, Reason
from omnix_kit.ids import is_id
from omnix_kit.rpc import Register, remaining

from omnix_router import listing
from omnix_router.adapters import Adapters
from omnix_router.attempts import Attempts
from omnix_router.calling import Calling
from omnix_router.clients import Asked
from omnix_router.convert import listed_to_proto, reports_to_proto, thinking
from omnix_router.handlers import Cancellations
from omnix_router.routes_watch import RoutesInForce
from omnix_router.routing import Plan, plan

SERVICE = "omnix.router.v1.RouterService"


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Answers the gateway."""

    def __init__(
        self,
        adapters: Adapters,
        routes: RoutesInForce,
        attempts: Attempts,
        calling: Calling,
        cancellations: Cancellations,
        deadline: timedelta,
    ) -> None:
        self._adapters = adapters
        self._routes = routes
        self._attempts = attempts
        self._calling = calling
        self._cancellations = cancellations
        self._deadline = deadline

    async def Complete(self, request: wire.CompleteRequest, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        asked = Asked(_id(request.completion_id), request.caller, request.request)
        chosen = self._plan(asked)
        answered = await self._attempts.run(
            asked.completion_id,
            chosen,
            self._until(chosen, context),
            lambda order: self._calling.complete(asked, order),
        )
        answer = answered.answer
        return wire.CompleteResponse(
            completion=answer.completion,
            model=answered.order.target.id,
            attempts=reports_to_proto(answered.reports),
            # Only the attempt that answered tells a cost: one that failed has no answer to tell it in, and what it
            # cost, usually nothing, is in the ledger.
            cost_micros=answer.cost_micros if answer.HasField("cost_micros") else None,
            sandbox=answer.sandbox,
        )

    async def StartCompletion(
        self, request: wire.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.StartCompletionResponse:
        asked = Asked(_id(request.completion_id), request.caller, request.request)
        chosen = self._plan(asked)
        start = self._calling.starting(asked, request.chunk_subject, thinking(asked.request), chosen.limits)
        answered = await self._attempts.run(asked.completion_id, chosen, self._until(chosen, context), start)
        return wire.StartCompletionResponse(
            attempt=answered.order.number,
            model=answered.order.target.id,
            attempts=reports_to_proto(answered.reports),
            sender_id=answered.answer.sender_id,
            sandbox=answered.answer.sandbox,
            idle_timeout=duration(self._calling.idle_timeout(chosen.limits)),
        )

    async def CancelCompletion(
        self, request: wire.CancelCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.CancelCompletionResponse:
        await self._cancellations.publish(_id(request.completion_id), request.cause)
        return wire.CancelCompletionResponse()

    async def ListModels(
        self, request: wire.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListModelsResponse:
        listed = listing.everything(
            self._adapters.names, self._routes.current, self._adapters.sandboxes, datetime.now(UTC)
        )
        return wire.ListModelsResponse(models=[listed_to_proto(one) for one in listed])

    async def GetModel(self, request: wire.GetModelRequest, context: grpc.aio.ServicerContext) -> wire.GetModelResponse:
        listed = listing.one(
            request.name, self._adapters.names, self._routes.current, self._adapters.sandboxes, datetime.now(UTC)
        )
        return wire.GetModelResponse(model=listed_to_proto(listed))

    def _plan(self, asked: Asked) -> Plan:
        chance = random.random()  # noqa: S311 - it spreads load, it guards nothing
        return plan(asked.request.model, self._adapters.names, self._routes.current, chance)

    def _until(self, chosen: Plan, context: grpc.aio.ServicerContext) -> timedelta:
        own = chosen.limits.deadline
        return remaining(context, self._deadline if own is None else min(own, self._deadline))


def _id(completion_id: str) -> str:
    if not is_id(completion_id):
        raise CallerError(
            "completion_id must be 32 hexadecimal digits.", reason=Reason.INVALID_REQUEST, param="completion_id"
        )
    return completion_id


def register(servicer: RouterServicer) -> Register:
    return lambda server: router_service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
