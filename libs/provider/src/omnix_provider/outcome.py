"""What is written down about an ended attempt."""

from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.money import Price, Tokens, cost_micros

from omnix_provider.errors import Cancelled, DeadlineExceeded, Failed, Refused, ShuttingDown
from omnix_provider.types import Usage

_MOST_TOKENS = 10**9
"""In one attempt. The ledger takes no entry with more."""


def outcome_of(error: OmnixError | None) -> "usage_pb2.AttemptOutcome.ValueType":
    match error:
        case None:
            return usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
        case Cancelled() | DeadlineExceeded():
            return usage_pb2.ATTEMPT_OUTCOME_CANCELLED
        case ShuttingDown():
            return usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED
        case _:
            return usage_pb2.ATTEMPT_OUTCOME_FAILED


def may_be_mended(error: OmnixError) -> bool:
    """Whether another attempt may bring what this one did not."""
    return isinstance(error, Failed | ShuttingDown) or error.reason is Reason.INTERNAL


def usage_of(error: OmnixError | None, counted: Usage | None, input_tokens: int, output_tokens: int) -> Usage:
    """The vendor's count where it came; nothing for a refusal by status; otherwise the estimate."""
    if counted is None and isinstance(error, Refused | Failed):
        counted = credible(error.usage)
    if counted is not None:
        return counted
    status = None if error is None else error.provider_status
    if status is not None and not 200 <= status < 300:
        return Usage()
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)


def credible(usage: Usage | None) -> Usage | None:
    """The vendor's count, or None when a number in it is negative or beyond any answer: then the estimate holds."""
    if usage is None:
        return None
    counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
        usage.cache_write_input_tokens,
        usage.audio_input_tokens,
        usage.audio_output_tokens,
        usage.long_cache_write_input_tokens,
    )
    return usage if min(counts) >= 0 and max(counts) <= _MOST_TOKENS else None


def cost_of(usage: Usage, price: Price | None) -> int | None:
    if price is None:
        return None
    tokens = Tokens(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cached_input=usage.cached_input_tokens,
        cache_write_input=usage.cache_write_input_tokens,
        reasoning=usage.reasoning_tokens,
        long_cache_write_input=usage.long_cache_write_input_tokens,
        audio_input=usage.audio_input_tokens,
        audio_output=usage.audio_output_tokens,
    )
    return cost_micros(tokens, price)
