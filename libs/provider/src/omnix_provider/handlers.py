"""NATS in."""

import logging

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2

from omnix_provider.attempts import Attempts

_log = logging.getLogger(__name__)


async def on_cancel(message: Msg, attempts: Attempts) -> None:
    """Every adapter hears it; the one that runs the completion ends it."""
    try:
        asked = completion_pb2.CancelRequested.FromString(message.data)
    except DecodeError:
        _log.warning("a request to cancel cannot be read", extra={"subject": message.subject})
        return
    attempts.cancel(asked.completion_id, "", asked.cause)
