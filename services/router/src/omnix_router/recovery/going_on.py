"""The attempts that go on with an answer that broke off."""

from omnix_kit.errors import OmnixError, Reason

from omnix_router.calling import Begun, Calling, Streamed
from omnix_router.errors import PrefixRefused
from omnix_router.orders import Order
from omnix_router.policies import Kind, kind_of
from omnix_router.recovery.delivered import Continuation, Delivered, Way
from omnix_router.routing import Target

_SAYS_NOTHING = frozenset({Reason.CANCELLED, Reason.DEADLINE_EXCEEDED})
"""Of what is no other target's business, what has nothing to do with how it was asked."""


class GoingOn:
    """Makes attempts that go on from what the caller has.

    A target that can continue the beginning of an answer is given it. If it does not take it, it may begin anew.
    """

    def __init__(self, calling: Calling, streamed: Streamed, router_id: str, broken: int, delivered: Delivered) -> None:
        """:param broken: the attempt that broke off."""
        self.way: Way | None = None
        """How the last one went on."""
        self._calling = calling
        self._streamed = streamed
        self._router_id = router_id
        self._broken = broken
        self._delivered = delivered
        self._refused: set[str] = set()

    async def make(self, order: Order) -> Begun:
        self.way = way = self._way(order.target)
        continuation = Continuation(self._broken, way, self._delivered)
        try:
            return await self._calling.start(self._streamed, order, self._router_id, continuation)
        except OmnixError as exc:
            if way is not Way.PREFIX or not _asks_otherwise(exc):
                raise
            self._refused.add(order.target.id)
            raise PrefixRefused(
                exc.message, reason=exc.reason, provider=exc.provider, provider_status=exc.provider_status
            ) from exc

    def _way(self, target: Target) -> Way:
        can = target.entry is not None and target.entry.continues_prefix and target.id not in self._refused
        hooked = self._streamed.asked.hooked
        if hooked is not None and hooked.looks_at_answers:
            return Way.RESTART  # the caller has what plugins made of it, which the vendor may not be meant to see
        return Way.PREFIX if can and self._delivered.may_be_prefix else Way.RESTART


def _asks_otherwise(error: OmnixError) -> bool:
    """Whether the same request may be taken without the beginning of an answer."""
    return kind_of(error.reason) in (Kind.FINAL, Kind.TOO_LONG) and error.reason not in _SAYS_NOTHING
