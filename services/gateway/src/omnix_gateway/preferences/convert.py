"""Preferences among providers to protobuf."""

from typing import Final

from omnix.completion.v1 import completion_pb2 as pb

from omnix_gateway.chat.schema import ProviderPreferences

_SORTS: Final = {"price": pb.ProviderPreferences.SORT_PRICE, "latency": pb.ProviderPreferences.SORT_LATENCY}


def preferences_to_proto(preferences: ProviderPreferences) -> pb.ProviderPreferences:
    return pb.ProviderPreferences(
        order=preferences.order,
        only=preferences.only,
        ignore=preferences.ignore,
        sort=None if preferences.sort is None else _SORTS[preferences.sort],
        allow_fallbacks=preferences.allow_fallbacks,
    )
