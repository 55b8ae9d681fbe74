"""The recorded chunks of one completion, read from ``OMNIX_CHUNKS``.

Batched direct gets: the server makes no consumer, and sends at most what was asked for.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from nats.aio.msg import Msg

from omnix_kit import subjects
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.messaging import Messaging
from omnix_kit.streams import CHUNKS

_API = f"$JS.API.DIRECT.GET.{CHUNKS.name}"
_BATCH_MESSAGES = 256
_BATCH_BYTES = 1024 * 1024
_WITHIN = 2.0
_AT_ONCE = 32
_END_OF_BATCH = "204"
_NO_STREAM = "503"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message of the recording."""

    subject: str
    data: bytes


class Recording:
    """Reads back what was published, in the order in which it was published."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, completion_id: str) -> AsyncGenerator[bytes, None]:
        """Every message of the completion that is still there; whoever reads sets the pace.

        :raises PlatformError: ``UNAVAILABLE`` when the recording cannot be reached.
        """
        subject = subjects.chunks_of_completion(completion_id)
        sequence, more = 1, True
        while more:
            batch, sequence, more = await self._get(
                {"seq": sequence, "next_by_subj": subject, "batch": _BATCH_MESSAGES, "max_bytes": _BATCH_BYTES}
            )
            for recorded in batch:
                yield recorded.data

    async def first(self, completion_id: str) -> Recorded | None:
        """The oldest message of the completion that is still there."""
        subject = subjects.chunks_of_completion(completion_id)
        batch, _, _ = await self._get({"seq": 1, "next_by_subj": subject, "batch": 1})
        return batch[0] if batch else None

    async def last(self, subject: str) -> Recorded | None:
        """The newest message on one subject."""
        batch, _, _ = await self._get({"last_by_subj": subject})
        return batch[0] if batch else None

    async def _get(self, asked: dict[str, object]) -> tuple[list[Recorded], int, bool]:
        """Ask once; answers the messages, the sequence to go on from, and whether there is more."""
        client = self._messaging.client
        if not client.is_connected:
            raise _away()
        batch: list[Recorded] = []
        done: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        sequence = 1
        single = "batch" not in asked

        async def on_message(message: Msg) -> None:
            nonlocal sequence
            headers = message.headers or {}
            if "Nats-Sequence" in headers:
                batch.append(Recorded(headers["Nats-Subject"], message.data))
                sequence = int(headers["Nats-Sequence"]) + 1
                if not single:
                    return
            if not done.done():
                done.set_result(headers)

        inbox = client.new_inbox()
        try:
            async with asyncio.timeout(_WITHIN):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise _away() from exc
        try:
            # Each step has a time of its own: one around them all could be swallowed by the client in the first step.
            subscription = await self._messaging.subscribe(inbox, on_message)
            try:
                await self._messaging.publish(_API, msgspec.json.encode(asked), reply=inbox)
                async with asyncio.timeout(_WITHIN):
                    told = await done
            finally:
                await self._messaging.unsubscribe(subscription)
        except TimeoutError as exc:
            raise _away() from exc
        finally:
            self._turns.release()
        status = told.get("Status")
        if status == _NO_STREAM:
            raise _away()
        # The end of a batch (204) tells how many messages are left; 404 says that there is none.
        left = int(told.get("Nats-Num-Pending", "0")) if status == _END_OF_BATCH else 0
        return batch, sequence, left > 0 and bool(batch)


def _away() -> PlatformError:
    return PlatformError(
        "The recording of streams is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1)
    )
