"""How plugins end completions and attempts, as callers are told."""

from datetime import timedelta

from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

_COME_AGAIN = timedelta(seconds=1)
_LONGEST_MESSAGE = 1000
_PARAM = "plugins."


class PluginFailed(PlatformError):
    """A plugin failed without which nothing goes on."""

    def __init__(self, plugin: str, what: str) -> None:
        super().__init__(
            f"The plugin {plugin} {what}, and nothing is answered without it.",
            reason=Reason.UNAVAILABLE,
            param=f"{_PARAM}{plugin}",
            retry_after=_COME_AGAIN,
        )


class RequestRefused(CallerError):
    """A plugin refused the request."""

    def __init__(self, plugin: str, message: str, param: str) -> None:
        super().__init__(
            message[:_LONGEST_MESSAGE] or f"The plugin {plugin} refused the request.",
            reason=Reason.CONTENT_REFUSED,
            param=param[:_LONGEST_MESSAGE] or None,
        )


class TargetRefused(RequestRefused):
    """A plugin refused the request for this target alone; the next one may be called."""


def is_of_plugin(error: OmnixError) -> bool:
    """Whether a plugin failed, here or at an adapter, and no target."""
    return error.reason is Reason.UNAVAILABLE and (error.param or "").startswith(_PARAM)


def spares_target(error: OmnixError) -> bool:
    """Whether the failure of an attempt says nothing of its target."""
    return isinstance(error, TargetRefused) or is_of_plugin(error)
