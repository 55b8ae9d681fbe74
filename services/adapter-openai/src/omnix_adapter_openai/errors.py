"""What OpenAI's refusals mean; the SDK reads them."""

from collections.abc import Mapping
from datetime import datetime

import openai
from omnix_kit.errors import OmnixError
from omnix_provider.chatcompletions import errors, wire
from omnix_provider.statuses import retry_delay


def error_of_status(exc: openai.APIStatusError, provider: str, now: datetime) -> OmnixError:
    """What an answer with an error status means."""
    # The SDK's types are promises: it hands on whatever the server wrote in these places.
    said = wire.Error(_text(exc.body) or exc.message, _word(exc.type), _word(exc.code), _word(exc.param))
    return errors.error_of_status(exc.status_code, said, provider, retry_delay(exc.response.headers, now))


def _text(body: object) -> str | None:
    """The vendor's own sentence: the SDK's message is the status and the whole body."""
    if isinstance(body, Mapping) and isinstance(message := body.get("message"), str):
        return message
    return None


def _word(told: object) -> str | None:
    return told if isinstance(told, str) else None
