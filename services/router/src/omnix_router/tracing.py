"""An attempt as a span."""

from collections.abc import Mapping

from omnix_kit import telemetry

from omnix_router.orders import Order
from omnix_router.recovery.delivered import Continuation


def attempt_span(
    completion_id: str,
    order: Order,
    others: Mapping[int, telemetry.Trace | None] | None = None,
    continuation: Continuation | None = None,
) -> telemetry.Span:
    """Linked to the attempt that it goes on for, or runs beside.

    :param others: earlier attempts of the completion, by number.
    """
    kind, other = "answer", 0
    if order.shadow:
        kind = "shadow"
    elif order.beside:
        kind, other = "hedge", order.beside
    elif continuation is not None:
        kind, other = "recovery", continuation.attempt
    return telemetry.Span(
        "attempt",
        {
            "omnix.completion_id": completion_id,
            "omnix.attempt_id": order.attempt_id,
            "omnix.attempt": order.number,
            "omnix.attempt.kind": kind,
            "omnix.target": order.target.id,
            "omnix.route": order.route,
        },
        links=[(others or {}).get(other)],
    )
