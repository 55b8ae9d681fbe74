"""Which answers are being streamed now, wherever they were begun: every adapter is asked."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from nats.aio.msg import Msg
from omnix_kit import subjects
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.messaging import Messaging

from omnix_gateway.streaming.convert import OpenStream, open_streams_from_bytes, open_streams_sought_to_bytes

_FIRST_WITHIN = 1.0
_NEXT_WITHIN = 0.15
"""Adapters answer at once; whoever has not by then is stuck, and its streams are missing from the list."""
_ALL_WITHIN = 2.0
_MOST_REPLIES = 1000


async def open_streams(messaging: Messaging, tenant_id: str, key_id: str) -> tuple[Sequence[OpenStream], bool]:
    """The open streams of a tenant, newest first, and whether an adapter had more than it told.

    :param key_id: only those of this key; empty for all of the tenant.
    :raises PlatformError: ``UNAVAILABLE`` while NATS is away.
    """
    replies: asyncio.Queue[bytes] = asyncio.Queue(_MOST_REPLIES)

    async def on_reply(message: Msg) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            replies.put_nowait(message.data)

    if not messaging.client.is_connected:
        raise PlatformError("The message broker is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1))
    inbox = messaging.client.new_inbox()
    subscription = await messaging.subscribe(inbox, on_reply)
    found: dict[str, OpenStream] = {}
    more = False
    try:
        asked = open_streams_sought_to_bytes(tenant_id, key_id)
        await messaging.publish(subjects.OPEN_STREAMS_SOUGHT, asked, reply=inbox)
        within = _FIRST_WITHIN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ALL_WITHIN):
                while True:
                    async with asyncio.timeout(within):
                        streams, has_more = open_streams_from_bytes(await replies.get())
                    within = _NEXT_WITHIN
                    more |= has_more
                    for stream in streams:
                        known = found.get(stream.completion_id)
                        # Of two attempts at one answer the later one counts: the other is being ended.
                        if known is None or known.attempt < stream.attempt:
                            found[stream.completion_id] = stream
    finally:
        await messaging.unsubscribe(subscription)
    return sorted(found.values(), key=lambda stream: stream.completion_id, reverse=True), more
