"""A unary attempt's own rules, where no vendor and no broker is needed to see them."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from omnix.usage.v1 import usage_pb2
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.ids import uuid7
from omnix_provider import calls
from omnix_provider.attempts import Attempts
from omnix_provider.calls import Means
from omnix_provider.types import Attempt, Completion, CompletionRequest, HandedOver, Provider, Usage
from omnix_provider.usage import Meter, Metered

ATTEMPT = Attempt(uuid7(), uuid7(), 1, Caller("t1", "", "", "k1"), "openai", "gpt-4o")


class Silent:
    """Never answers."""

    name = "openai"
    sandbox = False

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        handed_over()
        self.called.set()
        await asyncio.Event().wait()
        raise AssertionError


class Book:
    """The meter of one attempt."""

    def __init__(self) -> None:
        self.written: list[tuple[int, Reason | None]] = []

    def open(self, *_: object, **__: object) -> Metered:
        return cast(Metered, self)

    def handed_over(self) -> None:
        pass

    def close(
        self, outcome: "usage_pb2.AttemptOutcome.ValueType", usage: Usage, error: OmnixError | None = None
    ) -> None:
        self.written.append((outcome, None if error is None else error.reason))


@pytest.mark.parametrize(
    ("timeout", "reason"),
    [
        (timedelta(hours=1), Reason.CANCELLED),
        (timedelta(milliseconds=90), Reason.DEADLINE_EXCEEDED),
    ],
)
async def test_call_that_grpc_cancels_at_its_deadline_was_too_late_and_nobody_left(
    timeout: timedelta, reason: Reason
) -> None:
    vendor, book = Silent(), Book()
    means = Means(Attempts(1, 1), cast(Meter, book), timeout)
    task = asyncio.create_task(calls.complete(cast(Provider, vendor), CompletionRequest("gpt-4o", ()), ATTEMPT, means))
    async with asyncio.timeout(5):
        await vendor.called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert book.written == [(usage_pb2.ATTEMPT_OUTCOME_CANCELLED, reason)]
