"""Routes between protobuf and the router's own words."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType

from google.protobuf import duration_pb2
from omnix.common.v1 import caller_pb2
from omnix.router.v1 import route_pb2
from omnix_kit.caller import Caller
from omnix_kit.convert import duration, timestamp
from omnix_kit.settings import duration_text

from omnix_router.catalogue.models import Mode
from omnix_router.conditions import Conditions
from omnix_router.preferring import Policy
from omnix_router.routes_rules import RouteError, When, sticky_text
from omnix_router.routes_table import FirstContentTable, MirrorTable, RouteTable, RuleTable, TargetTable
from omnix_router.routing import Route, RouteLimits, RouteTarget
from omnix_router.stored.errors import invalid
from omnix_router.stored.managing import Shown
from omnix_router.stored.versions import Action, Change, Version

_ACTIONS: Mapping[Action, "route_pb2.RouteChange.Action.ValueType"] = MappingProxyType(
    {
        Action.CREATED: route_pb2.RouteChange.ACTION_CREATED,
        Action.UPDATED: route_pb2.RouteChange.ACTION_UPDATED,
        Action.ROLLED_BACK: route_pb2.RouteChange.ACTION_ROLLED_BACK,
        Action.DELETED: route_pb2.RouteChange.ACTION_DELETED,
    }
)


def caller_from_proto(caller: caller_pb2.Caller) -> Caller:
    return Caller(tenant_id=caller.tenant_id, team_id=caller.team_id, user_id=caller.user_id, key_id=caller.key_id)


def table_from_proto(route: route_pb2.Route) -> RouteTable:
    """As it would stand in the file; whether it is good is for the file's own code to say.

    :raises CallerError: ``INVALID_REQUEST`` for what could not stand in a file.
    """
    return RouteTable(
        targets=_tables(route.targets),
        policy=route.policy or Policy.ORDERED.value,
        sticky=route.sticky or None,
        rules=[
            RuleTable(_when(rule.when), _tables(rule.targets), rule.policy if rule.HasField("policy") else None)
            for rule in route.rules
        ],
        attempts=route.attempts if route.HasField("attempts") else None,
        first_content_timeout=_first_content(route.first_content_timeout)
        if route.HasField("first_content_timeout")
        else None,
        idle_timeout=_text(route.idle_timeout) if route.HasField("idle_timeout") else None,
        hedge_after=_text(route.hedge_after) if route.HasField("hedge_after") else None,
        deadline=_text(route.deadline) if route.HasField("deadline") else None,
        shadows=route.shadows,
        strict_reasoning=route.strict_reasoning if route.HasField("strict_reasoning") else None,
        mirror=MirrorTable(route.mirror.target, route.mirror.share) if route.HasField("mirror") else None,
    )


def shown_to_proto(shown: Shown) -> route_pb2.Route:
    message = route_to_proto(shown.route)
    message.in_force = shown.in_force
    message.source = route_pb2.ROUTE_SOURCE_FILE
    if shown.version is not None:
        message.source = route_pb2.ROUTE_SOURCE_STORE
        message.version = shown.version.number
        message.change.CopyFrom(_change(shown.version.change))
    return message


def version_to_proto(version: Version, in_force: bool) -> route_pb2.RouteVersion:
    """A version that cannot be read is told without its route."""
    message = route_pb2.RouteVersion(version=version.number, change=_change(version.change))
    try:
        route = version.route
    except RouteError:
        route = None
    if route is not None:
        message.route.CopyFrom(shown_to_proto(Shown(route, in_force, version)))
    return message


def route_to_proto(route: Route) -> route_pb2.Route:
    limits = route.limits
    return route_pb2.Route(
        name=route.name,
        targets=_targets(route.targets),
        policy=route.policy.value,
        sticky=sticky_text(route.sticky) or "",
        rules=[
            route_pb2.RouteRule(
                when=_conditions(rule.when),
                targets=_targets(rule.targets),
                policy=None if rule.policy is None else rule.policy.value,
            )
            for rule in route.rules
        ],
        attempts=limits.attempts,
        first_content_timeout=_first_content_to_proto(limits),
        idle_timeout=_duration(limits.idle_timeout),
        hedge_after=_duration(limits.hedge_after),
        deadline=_duration(limits.deadline),
        shadows=route.shadows,
        strict_reasoning=limits.strict_reasoning,
        mirror=None
        if route.mirror is None
        else route_pb2.RouteMirror(target=route.mirror.model, share=route.mirror.share),
    )


def _tables(targets: Iterable[route_pb2.RouteTarget]) -> list[TargetTable | str]:
    return [
        TargetTable(
            target.model,
            target.weight if target.HasField("weight") else 1,
            target.rank if target.HasField("rank") else None,
        )
        for target in targets
    ]


def _when(when: route_pb2.RouteConditions) -> When:
    metadata: dict[str, str | list[str]] = {each.field: list(each.values) for each in when.metadata}
    if len(metadata) < len(when.metadata):
        raise invalid("rules", "A field of the metadata stands twice among the conditions of a rule.")
    return When(
        mode=list(when.modes) or None,
        modality=list(when.modalities) or None,
        min_input_tokens=when.min_input_tokens if when.HasField("min_input_tokens") else None,
        max_input_tokens=when.max_input_tokens if when.HasField("max_input_tokens") else None,
        tenant=list(when.tenants) or None,
        metadata=metadata,
    )


def _first_content(given: route_pb2.FirstContentTimeout) -> FirstContentTable:
    return FirstContentTable(
        _text(given.default) if given.HasField("default") else None,
        _text(given.flash) if given.HasField("flash") else None,
        _text(given.think) if given.HasField("think") else None,
        _text(given.ultra_think) if given.HasField("ultra_think") else None,
    )


def _text(value: duration_pb2.Duration) -> str | None:
    """What is no duration becomes a text that is none."""
    try:
        return duration_text(value.ToTimedelta())
    except (ValueError, OverflowError):
        return "no duration"


def _targets(targets: Iterable[RouteTarget]) -> list[route_pb2.RouteTarget]:
    return [route_pb2.RouteTarget(model=each.model, weight=each.weight, rank=each.rank) for each in targets]


def _conditions(when: Conditions) -> route_pb2.RouteConditions:
    return route_pb2.RouteConditions(
        modes=sorted(mode.value for mode in when.modes),
        modalities=sorted(when.modalities),
        min_input_tokens=when.min_input_tokens,
        max_input_tokens=when.max_input_tokens,
        tenants=sorted(when.tenants),
        metadata=[
            route_pb2.MetadataCondition(field=field, values=sorted(values))
            for field, values in sorted(when.metadata.items())
        ],
    )


def _first_content_to_proto(limits: RouteLimits) -> route_pb2.FirstContentTimeout | None:
    by_mode = limits.first_content_timeouts
    if limits.first_content_timeout is None and not by_mode:
        return None
    return route_pb2.FirstContentTimeout(
        default=_duration(limits.first_content_timeout),
        flash=_duration(by_mode.get(Mode.FLASH)),
        think=_duration(by_mode.get(Mode.THINK)),
        ultra_think=_duration(by_mode.get(Mode.ULTRA_THINK)),
    )


def _duration(value: timedelta | None) -> duration_pb2.Duration | None:
    return None if value is None else duration(value)


def _change(change: Change) -> route_pb2.RouteChange:
    author = change.author
    return route_pb2.RouteChange(
        action=_ACTIONS[change.action],
        author=caller_pb2.Caller(
            tenant_id=author.tenant_id, team_id=author.team_id, user_id=author.user_id, key_id=author.key_id
        ),
        change_time=timestamp(change.time),
        restored_version=change.restored_version,
    )
