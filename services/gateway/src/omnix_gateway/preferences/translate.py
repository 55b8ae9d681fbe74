"""What a caller says of who shall answer, and what of it contradicts itself. Pure."""

import math
from collections.abc import Sequence
from datetime import timedelta

from omnix_gateway.chat.schema import ProviderPreferences
from omnix_gateway.errors import invalid

TIMEOUT = "x-omnix-timeout"
MOST_MODELS = 10
MOST_SECONDS = 86_400


def models(model: str, more: Sequence[str] | None) -> Sequence[str]:
    """The names that are asked for, in order; at least one."""
    if more is None:
        if not model:
            raise invalid("Missing required parameter: 'model'.", "model")
        return (model,)
    if len(set(more)) < len(more):
        raise invalid("'models' names a model twice.", "models")
    if not model or model == more[0]:
        return more
    if model in more:
        raise invalid("'model' must be the first of 'models', or none of them.", "models")
    if len(more) == MOST_MODELS:
        raise invalid(f"'model' and 'models' may be {MOST_MODELS} models together.", "models")
    return (model, *more)


def refuse_contradictions(preferences: ProviderPreferences, asked: Sequence[str]) -> None:
    """Name the first preference that contradicts another one."""
    order, only, ignore = (set(given or ()) for given in (preferences.order, preferences.only, preferences.ignore))
    if both := sorted(only & ignore):
        raise invalid(f"'provider.only' and 'provider.ignore' both name {both[0]!r}.", "provider.ignore")
    if both := sorted(order & ignore):
        raise invalid(f"'provider.order' and 'provider.ignore' both name {both[0]!r}.", "provider.ignore")
    if only and (left_out := sorted(order - only)):
        raise invalid(f"'provider.order' names {left_out[0]!r}, and 'provider.only' does not.", "provider.order")
    if preferences.allow_fallbacks is False and len(asked) > 1:
        raise invalid("'provider.allow_fallbacks' is false, and 'models' names fallbacks.", "provider.allow_fallbacks")


def timeout(header: str | None, field: float | None) -> timedelta | None:
    """How long the caller waits, by header or field; None when it says nothing."""
    if header is None:
        return None if field is None else timedelta(seconds=field)
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MOST_SECONDS:
        raise invalid(f"'{TIMEOUT}' must be seconds, more than 0 and at most {MOST_SECONDS}.", TIMEOUT)
    if field not in (None, seconds):
        raise invalid(f"'timeout' and the header '{TIMEOUT}' are given and differ.", "timeout")
    return timedelta(seconds=seconds)
