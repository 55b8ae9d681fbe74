"""What callers are told of their limits, in OpenAI's words. Pure."""

import math
from collections.abc import Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

from omnix_gateway.chat.answer import decimal
from omnix_gateway.limits.limit import Kind, Limit
from omnix_gateway.limits.slices import Slice

Headers = list[tuple[bytes, bytes]]

_SLOT_AFTER: Final = timedelta(seconds=1)
_COUNTED: Final = MappingProxyType(
    {Kind.REQUESTS_PER_MINUTE: b"requests", Kind.TOKENS_PER_MINUTE: b"tokens"},
)
_CALLED: Final = MappingProxyType(
    {Kind.REQUESTS_PER_MINUTE: "requests per min (RPM)", Kind.TOKENS_PER_MINUTE: "tokens per min (TPM)"}
)
_PERIODS: Final = MappingProxyType({Kind.COST_PER_DAY: "day", Kind.COST_PER_MONTH: "month"})


def refusal(slice: Slice, amount: int, model: str, now: float) -> OmnixError:
    """Why a request is refused, and when it is worth to come again."""
    limit = slice.limit
    if limit.kind.is_cost:
        return quota_exhausted(slice, now)
    if limit.kind is Kind.CONCURRENT_REQUESTS:
        return CallerError(
            f"Too many requests at the same time for {model}{_of(slice)}: Limit {limit.amount}. "
            "Please try again when one of them has ended.",
            reason=Reason.RATE_LIMITED,
            retry_after=_SLOT_AFTER,
        )
    if amount > limit.amount:
        return CallerError(
            f"Request too large for {model}{_of(slice)} on {_CALLED[limit.kind]}: Limit {limit.amount}, Requested "
            f"{amount}. The input or output tokens must be reduced in order to run successfully.",
            reason=Reason.RATE_LIMITED,
            retry_after=_until_reset(slice, now),
        )
    wait = _until_reset(slice, now)
    return CallerError(
        f"Rate limit reached for {model}{_of(slice)} on {_CALLED[limit.kind]}: Limit {limit.amount}, Used "
        f"{limit.amount - min(limit.amount, slice.remaining())}, Requested {amount}. "
        f"Please try again in {_span(wait.total_seconds())}.",
        reason=Reason.RATE_LIMITED,
        retry_after=wait,
    )


def quota_exhausted(slice: Slice, now: float) -> OmnixError:
    """A budget has nothing left, or not as much as the request would cost."""
    limit = slice.limit
    return CallerError(
        "You exceeded your current quota, please check your plan and billing details: "
        f"{decimal(limit.amount)} US dollars a {_PERIODS[limit.kind]}{_of(slice)}.",
        reason=Reason.QUOTA_EXHAUSTED,
        retry_after=_until_reset(slice, now),
    )


def unknown() -> OmnixError:
    """Nobody can say what is left."""
    return PlatformError(
        "Limits cannot be checked at the moment.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=2)
    )


def headers(slices: Sequence[Slice], now: float) -> Headers:
    """OpenAI's, for the tightest hard limit of requests and of tokens."""
    tightest: dict[Kind, Slice] = {}
    for slice in slices:
        kind = slice.limit.kind
        if slice.limit.is_hard and kind in _COUNTED:
            known = tightest.get(kind)
            if known is None or slice.remaining() < known.remaining():
                tightest[kind] = slice
    told: Headers = []
    for kind, slice in tightest.items():
        name = _COUNTED[kind]
        reset = 0.0 if slice.resets is None else max(0.0, slice.resets - now)
        told += [
            (b"x-ratelimit-limit-" + name, b"%d" % slice.limit.amount),
            (b"x-ratelimit-remaining-" + name, b"%d" % min(slice.limit.amount, slice.remaining())),
            (b"x-ratelimit-reset-" + name, _span(reset).encode()),
        ]
    return told


def _of(slice: Slice) -> str:
    limit: Limit = slice.limit
    whose = f" {slice.subject_id}" if slice.subject_id else ""
    return f" in {limit.subject.value}{whose}"


def _until_reset(slice: Slice, now: float) -> timedelta:
    return timedelta(seconds=1 if slice.resets is None else max(0.001, slice.resets - now))


def _span(seconds: float) -> str:
    """As OpenAI writes it: ``6m0s``, ``1.5s``, ``20ms``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 1000) / 1000:g}s"
    whole = math.ceil(seconds)
    hours, rest = divmod(whole, 3600)
    return (f"{hours}h" if hours else "") + f"{rest // 60}m{rest % 60}s"
