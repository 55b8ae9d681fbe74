"""gRPC in: the router's calls."""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import grpc
from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2 as wire
from omnix.router.v1 import router_service_pb2_grpc
from omnix_kit.convert import duration
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason
from omnix_kit.ids import is_id
from omnix_kit.rpc import Register, remaining

from omnix_router import fitting, listing, metrics
from omnix_router.adapters import Adapters
from omnix_router.attempts import Attempts
from omnix_router.calling import Calling, Streamed
from omnix_router.choosing.auto import is_auto
from omnix_router.choosing.chooser import Chooser
from omnix_router.choosing.convert import request_from_proto, requirements_from_proto, selection_to_proto
from omnix_router.clients import Asked, AskedEmbeddings
from omnix_router.conditions import Facts
from omnix_router.convert import (
    dimensions_of,
    embedding_facts_of,
    facts_of,
    listed_to_proto,
    needs_of,
    preferences_from_proto,
    reasoning_to_proto,
    reports_to_proto,
    set_mode,
    wish_from_proto,
)
from omnix_router.fitting import NoneFits
from omnix_router.handlers import Cancellations
from omnix_router.health import reporting, state
from omnix_router.health.convert import report_to_proto
from omnix_router.mirroring import Mirroring
from omnix_router.narrowing import NO_PREFERENCES, Preferences, refuse_unknown
from omnix_router.plugins.reaching import PluginsInForce
from omnix_router.reasoning import Wish
from omnix_router.recovery.keeping import Answers
from omnix_router.routes_watch import RoutesInForce
from omnix_router.routing import Circumstances, Plan, Target, parted, plan, plan_all, preferred
from omnix_router.selection import Health
from omnix_router.speeds import Speeds

_MAX_MODELS = 10
_TELLING_CALLS = 20
"""A share of fewer is not believed when models are compared."""
SERVICE = "omnix.router.v1.RouterService"


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Answers the gateway."""

    def __init__(
        self,
        adapters: Adapters,
        routes: RoutesInForce,
        attempts: Attempts,
        calling: Calling,
        answers: Answers,
        mirroring: Mirroring,
        plugins: PluginsInForce,
        cancellations: Cancellations,
        health: state.Health,
        deadline: timedelta,
        *,
        strict_reasoning: bool = False,
    ) -> None:
        self._adapters = adapters
        self._routes = routes
        self._attempts = attempts
        self._calling = calling
        self._answers = answers
        self._mirroring = mirroring
        self._plugins = plugins
        self._cancellations = cancellations
        self._health = health
        self._deadline = deadline
        self._strict_reasoning = strict_reasoning
        # What takes how long depends on what is asked: a whole answer, its first content, vectors.
        self._whole, self._streamed, self._embedded = Speeds(), Speeds(), Speeds()
        self._chooser = Chooser(adapters, self._faring)

    async def Complete(self, request: wire.CompleteRequest, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        asked = self._asked(request, streamed=False)
        try:
            return await self._complete(asked, context)
        except BaseException as exc:
            _end(asked, exc)
            raise

    async def _complete(self, asked: Asked, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        chosen, _ = await self._chosen(asked, self._whole, streamed=False)
        until = self._until(chosen, context)
        series = self._attempts.begin(asked.completion_id, chosen, until, self._whole)
        with self._mirroring.beside(asked, chosen):
            answered = await series.first(lambda order: self._calling.complete(asked, order), self._calling.lose)
        answer = answered.answer
        if asked.hooked is not None:
            asked.hooked.end(None, answered.order, answer.completion.usage)
        return wire.CompleteResponse(
            completion=answer.completion,
            model=answered.order.target.id,
            attempts=reports_to_proto(answered.reports),
            # Only the attempt that answered tells a cost: one that failed has no answer to tell it in, and what it
            # cost, usually nothing, is in the ledger.
            cost_micros=answer.cost_micros if answer.HasField("cost_micros") else None,
            sandbox=answer.sandbox,
            reasoning=_reasoning(answered.order.target),
            route=answered.order.target.route,
            policy=chosen.policy or "",
        )

    async def StartCompletion(
        self, request: wire.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.StartCompletionResponse:
        asked = self._asked(request, streamed=True)
        try:
            return await self._start(asked, request.chunk_subject, context)
        except BaseException as exc:
            _end(asked, exc)
            raise

    async def _start(
        self, asked: Asked, chunk_subject: str, context: grpc.aio.ServicerContext
    ) -> wire.StartCompletionResponse:
        chosen, wish = await self._chosen(asked, self._streamed, streamed=True)
        series = self._attempts.begin(asked.completion_id, chosen, self._until(chosen, context), self._streamed)
        with self._mirroring.beside(asked, chosen):
            answered = await self._answers.start(series, Streamed(asked, chunk_subject, wish, chosen.limits))
        return wire.StartCompletionResponse(
            attempt=answered.order.number,
            model=answered.order.target.id,
            attempts=reports_to_proto(answered.reports),
            sender_id=answered.answer.started.sender_id,
            sandbox=answered.answer.started.sandbox,
            idle_timeout=duration(self._calling.idle_timeout(chosen.limits)),
            reasoning=_reasoning(answered.order.target),
            route=answered.order.target.route,
            policy=chosen.policy or "",
        )

    async def Embed(self, request: wire.EmbedRequest, context: grpc.aio.ServicerContext) -> wire.EmbedResponse:
        asked = AskedEmbeddings(_id(request.completion_id), request.caller, request.request)
        dimensions = dimensions_of(asked.request)
        name, mode = parted(asked.request.model, self._adapters.names, self._routes.current)
        if mode is not None:
            raise CallerError(
                f"Embeddings have no compute mode; leave ':{mode}' out of the model's name.",
                reason=Reason.INVALID_REQUEST,
                param="model",
            )
        if is_auto(name, self._adapters.names, self._routes.current):
            raise CallerError(
                "Vectors of different models cannot be compared, so none is chosen here; name one.",
                reason=Reason.INVALID_REQUEST,
                param="model",
            )
        at = self._circumstances(
            self._embedded,
            lambda: embedding_facts_of(asked.request, asked.caller),
            preferences_from_proto(asked.request),
        )
        found = plan(name, self._adapters.names, self._routes.current, _chance(), at)
        try:
            chosen, skipped = fitting.for_embeddings(found, dimensions)
        except NoneFits as exc:
            metrics.REFUSED.labels(exc.lacks).inc()
            raise
        metrics.skipped(unfit.lacks for unfit in skipped)
        until = self._until(chosen, context)
        series = self._attempts.begin(asked.completion_id, chosen, until, self._embedded)
        with self._mirroring.beside(asked, chosen):
            answered = await series.first(lambda order: self._calling.embed(asked, order))
        answer = answered.answer
        return wire.EmbedResponse(
            embeddings=answer.embeddings,
            model=answered.order.target.id,
            attempts=reports_to_proto(answered.reports),
            cost_micros=answer.cost_micros if answer.HasField("cost_micros") else None,
            sandbox=answer.sandbox,
            route=answered.order.target.route,
            policy=chosen.policy or "",
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

    async def SelectModels(
        self, request: wire.SelectModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.SelectModelsResponse:
        requirements = requirements_from_proto(request.requirements)
        return selection_to_proto(self._chooser.select(requirements), requirements, request.page_size)

    async def ListProviderHealth(
        self, request: wire.ListProviderHealthRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListProviderHealthResponse:
        served = self._adapters.served()
        reports = reporting.report(self._health, served, time.time(), history=request.include_history)
        return wire.ListProviderHealthResponse(
            providers=[report_to_proto(each) for each in reports], window=duration(timedelta(seconds=state.WINDOW))
        )

    def _asked(self, request: wire.CompleteRequest | wire.StartCompletionRequest, *, streamed: bool) -> Asked:
        completion_id = _id(request.completion_id)
        hooked = self._plugins.begin(completion_id, request.caller, streamed=streamed)
        return Asked(completion_id, request.caller, request.request, hooked)

    async def _chosen(self, asked: Asked, speeds: Speeds, *, streamed: bool) -> tuple[Plan, Wish]:
        """The targets that can do what is asked, and what that is of reasoning.

        Plugins may change the request, which is this call's own, before and after its route is known.
        """
        request, hooked = asked.request, asked.hooked
        if hooked is not None:
            await hooked.before_routing(request, self._plugins.always)
        named = self._named(request)
        needs, wish = needs_of(request, streamed=streamed), wish_from_proto(request)
        names, routes, chance = self._adapters.names, self._routes.current, _chance()
        at = self._circumstances(speeds, lambda: facts_of(request, asked.caller), preferences_from_proto(request))

        def resolve(name: str) -> Plan:
            if is_auto(name, names, routes):
                return preferred(self._chooser.plan(request_from_proto(request, needs, wish)), chance, at)
            return plan(name, names, routes, chance, at)

        found = resolve(named[0]) if len(named) == 1 else plan_all(named, resolve)
        if hooked is not None:
            await hooked.on_route(request, found.route, found.plugins)
            needs, wish = needs_of(request, streamed=streamed), wish_from_proto(request)
        own = found.limits.strict_reasoning
        strict = self._strict_reasoning if own is None else own
        try:
            chosen, skipped = fitting.for_chat(found, needs, wish, strict=strict)
        except NoneFits as exc:
            metrics.REFUSED.labels(exc.lacks).inc()
            raise
        if skipped:
            metrics.skipped(unfit.lacks for unfit in skipped)
        return chosen, wish

    def _named(self, request: completion_pb2.CompletionRequest) -> Sequence[str]:
        """What is asked for, in order, without compute modes at the names' ends: they are the request's."""
        if len(request.fallback_models) >= _MAX_MODELS:
            raise CallerError(
                f"models may hold at most {_MAX_MODELS} names.", reason=Reason.INVALID_REQUEST, param="models"
            )
        found: list[str] = []
        for name in (request.model, *request.fallback_models):
            base, mode = parted(name, self._adapters.names, self._routes.current)
            if mode is not None:
                # The message is this call's own, and a copy of it may be megabytes.
                set_mode(request, mode)
            found.append(base)
        return found

    def _circumstances(self, speeds: Speeds, facts: Callable[[], Facts], preferences: Preferences) -> Circumstances:
        names = self._adapters.names
        if preferences is not NO_PREFERENCES and names.complete:
            refuse_unknown(preferences, names.providers | names.catalogue.providers)
        return Circumstances(facts, datetime.now(UTC), speeds.at(time.monotonic()), preferences)

    def _faring(self, target: str) -> Health:
        seconds = self._streamed.of(target, time.monotonic())
        figures = self._health.figures(target, time.time())
        return Health(
            available=self._health.gate(target, time.time()) is not state.Gate.BARRED,
            first_content=None if seconds is None else timedelta(seconds=seconds),
            # One failure of one call says little.
            error_rate=figures.failures / max(figures.calls, _TELLING_CALLS),
        )

    def _until(self, chosen: Plan, context: grpc.aio.ServicerContext) -> timedelta:
        own = chosen.limits.deadline
        return remaining(context, self._deadline if own is None else min(own, self._deadline))


def _end(asked: Asked, error: BaseException) -> None:
    """Tell plugins that the completion failed."""
    if asked.hooked is not None:
        left = PlatformError("The caller left.", reason=Reason.CANCELLED)
        asked.hooked.end(error if isinstance(error, OmnixError) else left)


def _chance() -> float:
    return random.random()  # noqa: S311 - it spreads load, it guards nothing


def _reasoning(target: Target) -> completion_pb2.ReasoningPlan | None:
    if target.reasoning is not None and target.reasoning.approximate:
        metrics.REASONING_APPROXIMATE.labels(target.provider).inc()
    return reasoning_to_proto(target.reasoning)


def _id(completion_id: str) -> str:
    if not is_id(completion_id):
        raise CallerError(
            "completion_id must be 32 hexadecimal digits.", reason=Reason.INVALID_REQUEST, param="completion_id"
        )
    return completion_id


def register(servicer: RouterServicer) -> Register:
    return lambda server: router_service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
