"""A plugin as an attempt uses it, and how it fails."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct
from omnix_kit.errors import PlatformError, Reason

from omnix_provider.errors import ContentRefused

_COME_AGAIN = timedelta(seconds=1)
_LONGEST_MESSAGE = 1000


class Plugin(Struct, frozen=True):
    """As the router orders it."""

    name: str
    address: str
    timeout: timedelta
    """For each call."""
    closes: bool
    """Its failure fails the attempt; otherwise the answer goes on as if it were not there."""
    settings: Mapping[str, str] = {}


class Why(StrEnum):
    """How a call of a plugin failed."""

    AWAY = "away"
    SILENT = "silent"
    FAILED = "failed"
    """It said so itself, or ended the call."""
    MALFORMED = "malformed"
    TOO_MANY = "too-many"
    """More plugins are in use than this process connects to."""


_SAID = {
    Why.AWAY: "is away",
    Why.SILENT: "did not answer in time",
    Why.FAILED: "failed",
    Why.MALFORMED: "gave an answer that cannot be understood",
    Why.TOO_MANY: "cannot be called, because too many others are in use",
}


class Failure(Exception):
    """A call of a plugin came to nothing; what that means is for its policy to say."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class PluginFailed(PlatformError):
    """A plugin failed without which nothing is told. By ``param`` routers know that no target is at fault."""

    def __init__(self, plugin: str, failure: Failure) -> None:
        super().__init__(
            f"The plugin {plugin} {_SAID[failure.why]}, and nothing is told without it.",
            reason=Reason.UNAVAILABLE,
            param=f"plugins.{plugin}",
            retry_after=_COME_AGAIN,
        )


class PluginRefused(ContentRefused):
    """A plugin refused the answer."""

    def __init__(self, plugin: str, message: str, param: str) -> None:
        super().__init__(
            message[:_LONGEST_MESSAGE] or f"The plugin {plugin} refused the answer.",
            param=param[:_LONGEST_MESSAGE] or None,
        )
