"""Bedrock's format, and Converse in it."""

from collections.abc import Mapping
from email.utils import formatdate
from typing import Final
from uuid import uuid4

from omnix_sandbox import formats
from omnix_sandbox.bedrock import errors, frames, models
from omnix_sandbox.bedrock.errors import Refusal
from omnix_sandbox.bedrock.events import Events
from omnix_sandbox.bedrock.request import prompt_of
from omnix_sandbox.bedrock.thinking import Thinking
from omnix_sandbox.bedrock.wire import ConverseRequest
from omnix_sandbox.faults import Fault, FaultKind
from omnix_sandbox.formats import JSON, AskedChat, Billing, Format, Making, StreamBytes
from omnix_sandbox.script import Answer, FinishReason, tokenize
from omnix_sandbox.transport import head

BLOCKED: Final = "Sorry, the model cannot answer this question."


class BedrockFormat(Format):
    vendor = "bedrock"

    def call_id(self) -> str:
        return str(uuid4())

    def head(
        self,
        call: str,
        status: int,
        *,
        length: int | None = None,
        content_type: str = JSON,
        input_tokens: int = 0,
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in extra.items()) if extra else ""
        fields = (
            f"Date: {formatdate(usegmt=True)}\r\nContent-Type: {content_type}\r\nx-amzn-RequestId: {call}\r\n{more}"
        )
        return head(status, fields, length)

    def refusal(self, fault: Fault) -> errors.Refusal:
        return errors.of_fault(fault)

    def invalid(self, message: str) -> errors.Refusal:
        return errors.invalid(message)


class AskedConverse(AskedChat):
    """A conversation to be continued."""

    def __init__(self, model: str, request: ConverseRequest, thinking: Thinking, *, stream: bool) -> None:
        self.model = model
        self.stream = stream
        self.prompt = prompt_of(request, model)
        self._request = request
        self._thinking = thinking

    @property
    def reasoning(self) -> str | None:
        return self._thinking.asked

    @property
    def shows_reasoning(self) -> bool:
        return self._thinking.shown and not self.steering.redacted

    def refusal(self, fault: Fault) -> formats.Refusal | None:
        """What is filtered is answered, with status 200 and a stop reason; Titan alone has an exception for it.

        A guardrail says its sentence, a model nothing.
        """
        if fault.kind is not FaultKind.FILTER or models.base_of(self.model).startswith("amazon.titan"):
            return None
        answer = Answer((), FinishReason.CONTENT_FILTER)
        if self._request.guardrail_config is not None:
            answer = Answer(tokenize(BLOCKED), FinishReason.CONTENT_FILTER, finish_as="guardrail_intervened")
        making = Making("", None, (answer,), Billing(0, 0))
        if not self.stream:
            return formats.Refusal(200, self.unary(making))
        pieces = self.streamed(making)
        whole = b"".join([pieces.opening, *pieces.tails, pieces.finish, pieces.usage])
        return formats.Refusal(200, whole, content_type=frames.CONTENT_TYPE)

    def unary(self, making: Making) -> bytes:
        return Events(self._request, self._thinking, making).unary()

    def streamed(self, making: Making) -> StreamBytes:
        return Events(self._request, self._thinking, making).stream()

    def prefix_refused(self) -> Refusal:
        return errors.no_prefill()

    def broken_event(self, fault: Fault) -> bytes:
        return (frames.broken_crc if fault.crc else frames.broken_json)("contentBlockDelta")

    def error_event(self, fault: Fault) -> bytes:
        return frames.exception(*errors.in_stream(fault))
