"""Plugins between protobuf and the router's own words."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from omnix.plugin.v1 import plugin_pb2
from omnix_kit.convert import duration

from omnix_router.plugins.plugin import Hook, Plugin

_HOOKS: Mapping["plugin_pb2.Hook.ValueType", Hook] = MappingProxyType(
    {
        plugin_pb2.HOOK_REQUEST: Hook.REQUEST,
        plugin_pb2.HOOK_ATTEMPT: Hook.ATTEMPT,
        plugin_pb2.HOOK_ANSWER: Hook.ANSWER,
        plugin_pb2.HOOK_END: Hook.END,
    }
)


def hooks_from_proto(hooks: "Iterable[plugin_pb2.Hook.ValueType]") -> frozenset[Hook]:
    """Those that this version knows."""
    return frozenset(_HOOKS[hook] for hook in hooks if hook in _HOOKS)


def plugin_to_proto(plugin: Plugin, settings: Mapping[str, str]) -> plugin_pb2.Plugin:
    """For an adapter, which asks it about answers."""
    return plugin_pb2.Plugin(
        name=plugin.name,
        address=plugin.address,
        hooks=[plugin_pb2.HOOK_ANSWER],
        timeout=duration(plugin.timeout),
        on_failure=plugin_pb2.ON_FAILURE_CLOSED if plugin.closes else plugin_pb2.ON_FAILURE_OPEN,
        settings=settings,
    )
