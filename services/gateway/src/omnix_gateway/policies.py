"""What happens to a completion whose client leaves."""

from enum import StrEnum

from omnix_gateway.errors import invalid

HEADER = "x-omnix-on-disconnect"


class OnDisconnect(StrEnum):
    CANCEL = "cancel"
    """The vendor's connection is closed, within a second."""
    CONTINUE = "continue"
    """The answer goes on, is recorded, and can be resumed."""


def on_disconnect(wish: str | None) -> OnDisconnect:
    """The policy for one completion: what the caller wishes, or to cancel."""
    if wish is None:
        return OnDisconnect.CANCEL
    try:
        return OnDisconnect(wish.strip().lower())
    except ValueError:
        raise invalid(f"The header '{HEADER}' must be 'cancel' or 'continue'.", HEADER) from None
