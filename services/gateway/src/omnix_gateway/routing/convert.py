"""Routes between protobuf and what the API tells and takes."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

from google.protobuf import duration_pb2
from omnix.router.v1 import route_pb2, route_service_pb2
from omnix_kit.caller import Caller
from omnix_kit.convert import datetime_from, duration
from omnix_kit.settings import duration_text, parse_duration

from omnix_gateway.chat.convert import caller_to_proto
from omnix_gateway.errors import invalid
from omnix_gateway.routing import schema

_ACTIONS: Final[Mapping[int, Literal["created", "updated", "rolled_back", "deleted"]]] = MappingProxyType(
    {
        route_pb2.RouteChange.ACTION_CREATED: "created",
        route_pb2.RouteChange.ACTION_UPDATED: "updated",
        route_pb2.RouteChange.ACTION_ROLLED_BACK: "rolled_back",
        route_pb2.RouteChange.ACTION_DELETED: "deleted",
    }
)
_LONGEST: Final = timedelta(days=1)


def put_to_proto(
    name: str, asked: schema.RouteRequest, expected: int | None, caller: Caller, *, validate_only: bool
) -> route_service_pb2.PutRouteRequest:
    """:raises CallerError: for a duration that is none."""
    return route_service_pb2.PutRouteRequest(
        route=route_to_proto(name, asked),
        expected_version=expected,
        validate_only=validate_only,
        caller=caller_to_proto(caller),
    )


def delete_to_proto(name: str, expected: int | None, caller: Caller) -> route_service_pb2.DeleteRouteRequest:
    return route_service_pb2.DeleteRouteRequest(name=name, expected_version=expected, caller=caller_to_proto(caller))


def rollback_to_proto(
    name: str, version: int, expected: int | None, caller: Caller
) -> route_service_pb2.RollbackRouteRequest:
    return route_service_pb2.RollbackRouteRequest(
        name=name, version=version, expected_version=expected, caller=caller_to_proto(caller)
    )


def route_to_proto(name: str, asked: schema.RouteRequest) -> route_pb2.Route:
    return route_pb2.Route(
        name=name,
        targets=_targets(asked.targets),
        policy=asked.policy or "",
        sticky=asked.sticky or "",
        rules=[
            route_pb2.RouteRule(when=_conditions(rule.when), targets=_targets(rule.targets), policy=rule.policy)
            for rule in asked.rules
        ],
        attempts=asked.attempts,
        first_content_timeout=_first_content(asked.first_content_timeout),
        idle_timeout=_duration("idle_timeout", asked.idle_timeout),
        hedge_after=_duration("hedge_after", asked.hedge_after),
        deadline=_duration("deadline", asked.deadline),
        shadows=asked.shadows,
        strict_reasoning=asked.strict_reasoning,
        mirror=None
        if asked.mirror is None
        else route_pb2.RouteMirror(target=asked.mirror.target, share=asked.mirror.share),
    )


def route_from_proto(route: route_pb2.Route) -> schema.Route:
    stored = route.source == route_pb2.ROUTE_SOURCE_STORE
    return schema.Route(
        name=route.name,
        source="store" if stored else "file",
        in_force=route.in_force,
        version=route.version if stored else None,
        change=_change(route.change) if route.HasField("change") else None,
        targets=_targets_from_proto(route.targets),
        policy=route.policy,
        sticky=route.sticky or None,
        rules=[
            schema.RouteRule(
                when=_conditions_from_proto(rule.when),
                targets=_targets_from_proto(rule.targets),
                policy=rule.policy if rule.HasField("policy") else None,
            )
            for rule in route.rules
        ],
        attempts=route.attempts if route.HasField("attempts") else None,
        first_content_timeout=_first_content_from_proto(route.first_content_timeout)
        if route.HasField("first_content_timeout")
        else None,
        idle_timeout=_text(route.idle_timeout) if route.HasField("idle_timeout") else None,
        hedge_after=_text(route.hedge_after) if route.HasField("hedge_after") else None,
        deadline=_text(route.deadline) if route.HasField("deadline") else None,
        shadows=route.shadows,
        strict_reasoning=route.strict_reasoning if route.HasField("strict_reasoning") else None,
        mirror=schema.RouteMirror(target=route.mirror.target, share=route.mirror.share)
        if route.HasField("mirror")
        else None,
    )


def version_from_proto(version: route_pb2.RouteVersion) -> schema.RouteVersion:
    return schema.RouteVersion(
        version=version.version,
        change=_change(version.change),
        route=route_from_proto(version.route) if version.HasField("route") else None,
    )


def _targets(targets: Iterable[schema.RouteTarget | str]) -> list[route_pb2.RouteTarget]:
    return [
        route_pb2.RouteTarget(model=each)
        if isinstance(each, str)
        else route_pb2.RouteTarget(model=each.model, weight=each.weight, rank=each.rank)
        for each in targets
    ]


def _targets_from_proto(targets: Iterable[route_pb2.RouteTarget]) -> list[schema.RouteTarget | str]:
    return [schema.RouteTarget(model=each.model, weight=each.weight, rank=each.rank) for each in targets]


def _conditions(when: schema.RouteConditions) -> route_pb2.RouteConditions:
    return route_pb2.RouteConditions(
        modes=_listed(when.mode),
        modalities=_listed(when.modality),
        min_input_tokens=when.min_input_tokens,
        max_input_tokens=when.max_input_tokens,
        tenants=_listed(when.tenant),
        metadata=[
            route_pb2.MetadataCondition(field=field, values=_listed(values)) for field, values in when.metadata.items()
        ],
    )


def _conditions_from_proto(when: route_pb2.RouteConditions) -> schema.RouteConditions:
    return schema.RouteConditions(
        mode=list(when.modes) or None,
        modality=list(when.modalities) or None,
        min_input_tokens=when.min_input_tokens if when.HasField("min_input_tokens") else None,
        max_input_tokens=when.max_input_tokens if when.HasField("max_input_tokens") else None,
        tenant=list(when.tenants) or None,
        metadata={each.field: list(each.values) for each in when.metadata},
    )


def _listed(given: str | list[str] | None) -> list[str]:
    if given is None:
        return []
    return [given] if isinstance(given, str) else given


def _first_content(given: str | schema.FirstContentTimeout | None) -> route_pb2.FirstContentTimeout | None:
    name = "first_content_timeout"
    if given is None:
        return None
    if isinstance(given, str):
        return route_pb2.FirstContentTimeout(default=_duration(name, given))
    return route_pb2.FirstContentTimeout(
        default=_duration(f"{name}.default", given.default),
        flash=_duration(f"{name}.flash", given.flash),
        think=_duration(f"{name}.think", given.think),
        ultra_think=_duration(f"{name}.ultra-think", given.ultra_think),
    )


def _first_content_from_proto(given: route_pb2.FirstContentTimeout) -> str | schema.FirstContentTimeout | None:
    texts = {
        name: _text(getattr(given, name))
        for name in ("default", "flash", "think", "ultra_think")
        if given.HasField(name)
    }
    return texts["default"] if texts.keys() == {"default"} else schema.FirstContentTimeout(**texts)


def _duration(param: str, text: str | None) -> duration_pb2.Duration | None:
    if text is None:
        return None
    try:
        value = parse_duration(text)
    except (ValueError, OverflowError):
        value = None
    if not isinstance(value, timedelta):
        raise invalid(f"Invalid value for '{param}': must be a duration such as 250ms, 5s, 1.5m or 2h.", param)
    # What is longer than a route may say is no less too long.
    return duration(min(value, 2 * _LONGEST))


def _text(value: duration_pb2.Duration) -> str:
    return duration_text(value.ToTimedelta())


def _change(change: route_pb2.RouteChange) -> schema.RouteChange:
    author = change.author
    return schema.RouteChange(
        action=_ACTIONS.get(change.action, "updated"),
        author=schema.RouteAuthor(
            tenant_id=author.tenant_id or None, user_id=author.user_id or None, key_id=author.key_id or None
        ),
        time=datetime_from(change.change_time),
        restored_version=change.restored_version or None,
    )
