"""One unary attempt.

It runs in the task of the call: when the caller leaves, gRPC cancels that task, which closes the vendor's connection,
and metering never waits.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from omnix_kit.errors import OmnixError, PlatformError, Reason

from omnix_provider import estimate
from omnix_provider.attempts import Attempts, Running
from omnix_provider.errors import Cancelled, DeadlineExceeded
from omnix_provider.outcome import cost_of, credible, outcome_of, usage_of
from omnix_provider.types import Attempt, Completion, CompletionRequest, Provider, Text, Usage
from omnix_provider.usage import Meter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    completion: Completion
    usage: Usage
    """As metered."""
    cost_micros: int | None


async def complete(
    provider: Provider,
    request: CompletionRequest,
    attempt: Attempt,
    attempts: Attempts,
    meter: Meter,
    timeout: timedelta,
) -> Answer:
    """Make the attempt, in the current task.

    :raises OmnixError: how it failed, or that there was no room for it.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call needs a task")
    with attempts.call():
        input_tokens = estimate.input_tokens(request)
        metered = meter.open(attempt, request, streamed=False, sandbox=provider.sandbox, input_tokens=input_tokens)
        running = Running(attempt, task)
        error: OmnixError
        deadline = task.get_loop().call_later(timeout.total_seconds(), _too_late, running)
        try:
            with attempts.running(running):
                completion = await provider.complete(request, attempt, metered.handed_over)
        except asyncio.CancelledError:
            if running.ending is None:
                left = Cancelled("The caller left.")
                metered.close(outcome_of(left), usage_of(left, None, input_tokens, 0), left)
                raise
            task.uncancel()
            error = running.ending
        except OmnixError as exc:
            error = exc
        except Exception:
            _log.exception("attempt failed by a defect")
            error = PlatformError("OmniX failed; the log of the adapter says why.", reason=Reason.INTERNAL)
        else:
            usage = credible(completion.usage) or usage_of(None, None, input_tokens, _output_tokens(completion))
            metered.close(outcome_of(None), usage)
            return Answer(completion, usage, cost_of(usage, attempt.price))
        finally:
            deadline.cancel()
        metered.close(outcome_of(error), usage_of(error, None, input_tokens, 0), error)
        raise error


def _too_late(running: Running) -> None:
    running.end(DeadlineExceeded("The provider did not answer before the caller's deadline."))


def _output_tokens(completion: Completion) -> int:
    tokens = 0
    for choice in completion.choices:
        for part in choice.message.parts:
            if isinstance(part, Text):
                tokens += estimate.tokens(part.text)
        tokens += estimate.tokens(choice.message.refusal)
        for call in choice.message.tool_calls:
            tokens += estimate.tokens(call.name) + estimate.tokens(call.arguments_json)
    return tokens
