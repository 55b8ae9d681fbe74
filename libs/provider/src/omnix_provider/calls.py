"""One unary attempt.

It runs in the task of the call: when the caller leaves, gRPC cancels that task, which closes the vendor's connection,
and metering never waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from omnix_kit.errors import OmnixError, PlatformError, Reason

from omnix_provider import estimate, tracing
from omnix_provider.attempts import Attempts, Running
from omnix_provider.errors import Cancelled, DeadlineExceeded, Ended, Malformed
from omnix_provider.outcome import cost_of, credible, outcome_of, usage_of
from omnix_provider.types import (
    Attempt,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    HandedOver,
    Provider,
    Text,
    Usage,
)
from omnix_provider.usage import Meter

_log = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT", Completion, Embeddings)

_EARLY = 0.1
"""Seconds. The caller's gRPC ends a call at its deadline by a clock of its own, perhaps a little before ours."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[AnswerT]):
    answer: AnswerT
    usage: Usage
    """As metered."""
    cost_micros: int | None


@dataclass(frozen=True, slots=True)
class Means:
    """What an attempt needs of this process."""

    attempts: Attempts
    meter: Meter
    timeout: timedelta


async def complete(
    provider: Provider, request: CompletionRequest, attempt: Attempt, means: Means
) -> Answered[Completion]:
    """Make the attempt, in the current task.

    :raises OmnixError: how it failed, or that there was no room for it.
    """
    input_tokens = estimate.input_tokens(request)

    def call(handed_over: HandedOver) -> Awaitable[Completion]:
        return provider.complete(request, attempt, handed_over)

    return await _made(call, _output_tokens, provider, request, attempt, means, input_tokens)


async def embed(provider: Provider, request: EmbeddingRequest, attempt: Attempt, means: Means) -> Answered[Embeddings]:
    """Make the attempt, in the current task.

    :raises OmnixError: how it failed, or that there was no room for it.
    """
    input_tokens = estimate.embedding_tokens(request)

    async def call(handed_over: HandedOver) -> Embeddings:
        embeddings = await provider.embed(request, attempt, handed_over)
        if len(embeddings.vectors) != len(request.inputs):
            raise Malformed("The provider did not answer with one vector for each input.", provider=provider.name)
        return embeddings

    return await _made(call, lambda _: 0, provider, request, attempt, means, input_tokens)


async def _made(
    call: Callable[[HandedOver], Awaitable[AnswerT]],
    output_tokens: Callable[[AnswerT], int],
    provider: Provider,
    request: CompletionRequest | EmbeddingRequest,
    attempt: Attempt,
    means: Means,
    input_tokens: int,
) -> Answered[AnswerT]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call needs a task")
    with means.attempts.call():
        metered = means.meter.open(
            attempt, request, streamed=False, sandbox=provider.sandbox, input_tokens=input_tokens
        )
        running = Running(attempt, task)
        error: OmnixError
        deadline = task.get_loop().call_later(means.timeout.total_seconds(), _too_late, running)
        traced = tracing.vendor_call(provider, request, attempt, streamed=False)
        try:
            with means.attempts.running(running):
                answer = await call(metered.handed_over)
        except asyncio.CancelledError:
            if running.ending is None:
                left = _left(deadline)
                metered.close(outcome_of(left), usage_of(left, None, input_tokens, 0), left)
                if traced is not None:
                    traced.failed(left.reason.value)
                raise
            task.uncancel()
            error = running.ending
        except OmnixError as exc:
            error = exc
        except Exception:
            _log.exception("attempt failed by a defect")
            error = PlatformError("OmniX failed; the log of the adapter says why.", reason=Reason.INTERNAL)
        else:
            usage = credible(answer.usage) or usage_of(None, None, input_tokens, output_tokens(answer))
            metered.close(outcome_of(None), usage)
            cost = cost_of(usage, attempt.price)
            if traced is not None:
                traced.answered(answer, usage, cost)
            return Answered(answer, usage, cost)
        finally:
            deadline.cancel()
        metered.close(outcome_of(error), usage_of(error, None, input_tokens, 0), error, running.purpose)
        if traced is not None:
            traced.failed(error.reason.value)
        raise error


def _left(deadline: asyncio.TimerHandle) -> Ended:
    """Why gRPC cancelled the call."""
    if asyncio.get_running_loop().time() > deadline.when() - _EARLY:
        return _late()
    return Cancelled("The caller left.")


def _too_late(running: Running) -> None:
    running.end(_late())


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("The provider did not answer before the caller's deadline.")


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
