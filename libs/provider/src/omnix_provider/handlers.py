"""NATS in."""

import logging

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2
from omnix_kit.messaging import Messaging

from omnix_provider.attempts import Attempts
from omnix_provider.convert.open_streams import open_streams_to_bytes

_log = logging.getLogger(__name__)


async def on_cancel(message: Msg, attempts: Attempts) -> None:
    """Every adapter hears it; the one that runs the completion ends it."""
    try:
        asked = completion_pb2.CancelRequested.FromString(message.data)
    except DecodeError:
        _log.warning("a request to cancel cannot be read", extra={"subject": message.subject})
        return
    attempts.cancel(asked.completion_id, "", asked.cause)


async def on_streams_sought(message: Msg, messaging: Messaging, attempts: Attempts, sender_id: str) -> None:
    """Every adapter hears it and answers, also with none."""
    try:
        reply = open_streams_to_bytes(message.data, attempts, sender_id)
    except DecodeError:
        _log.warning("a request for open streams cannot be read", extra={"subject": message.subject})
        return
    if message.reply:
        await messaging.publish(message.reply, reply)
