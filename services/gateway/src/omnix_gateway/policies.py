"""What happens to a streamed completion whose client leaves."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from omnix_kit.settings import parse_duration

from omnix_gateway.errors import invalid

HEADER: Final = "x-omnix-on-disconnect"
LONGEST_GRACE: Final = timedelta(minutes=10)
"""As long as the recording keeps an answer for those who come back."""


@dataclass(frozen=True, slots=True)
class OnDisconnect:
    """How long the answer goes on with nobody who reads it. Written ``cancel``, ``continue`` or ``grace=30s``."""

    grace: timedelta | None
    """Zero ends it at once: the vendor's connection is closed within a second. None lets it come to its end; it is
    recorded, and can be resumed."""

    def __str__(self) -> str:
        if self.grace is None:
            return "continue"
        return f"grace={self.grace.total_seconds():g}s" if self.grace else "cancel"


CANCEL: Final = OnDisconnect(timedelta(0))
CONTINUE: Final = OnDisconnect(None)


def on_disconnect(wish: str, param: str = HEADER) -> OnDisconnect:
    """Read a policy.

    :raises CallerError: ``INVALID_REQUEST``, naming ``param``.
    """
    word, _, given = (part.strip() for part in wish.lower().partition("="))
    if word == "grace" and given:
        try:
            grace = parse_duration(given)
        except (ValueError, OverflowError):
            grace = None
        if isinstance(grace, timedelta) and timedelta(0) < grace <= LONGEST_GRACE:
            return OnDisconnect(grace)
    elif not given and word in ("cancel", "continue"):
        return CANCEL if word == "cancel" else CONTINUE
    raise invalid(f"'{param}' must be 'cancel', 'continue', or 'grace=30s' with at most 10 minutes.", param)
