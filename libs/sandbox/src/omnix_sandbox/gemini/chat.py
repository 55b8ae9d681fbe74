"""Google's format, and generated content in it."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from omnix_sandbox import script
from omnix_sandbox.faults import Fault, FaultKind
from omnix_sandbox.formats import JSON, Asked, AskedChat, Billing, Format, Making, Refusal, StreamBytes
from omnix_sandbox.gemini import errors, turns
from omnix_sandbox.gemini.errors import invalid_argument
from omnix_sandbox.gemini.events import UNSAFE, Events, dumped, pretty
from omnix_sandbox.gemini.frames import ARRAY, EVENTS, Frames
from omnix_sandbox.gemini.models import Model, version_of
from omnix_sandbox.gemini.prompt import prompt_of
from omnix_sandbox.gemini.request import GenerateContentRequest
from omnix_sandbox.gemini.usage import media_of, usage_of
from omnix_sandbox.transport import head

_HEADERS: Final = (
    "Vary: Origin\r\nVary: X-Origin\r\nVary: Referer\r\n"
    "Server: scaffolding on HTTPServer2\r\n"
    "X-XSS-Protection: 0\r\nX-Frame-Options: SAMEORIGIN\r\nX-Content-Type-Options: nosniff\r\n"
    "Server-Timing: gfet4t7; dur=1\r\n"
)
_BROKEN: Final = b'{"candidates": [{"content": {"parts": [{"te'


class GeminiFormat(Format):
    vendor = "gemini"

    def call_id(self) -> str:
        """What the body calls `responseId`; Google's heads name no call."""
        return urlsafe_b64encode(secrets.token_bytes(17)).decode().rstrip("=")

    def answer_id(self, call: str, asked: Asked) -> str | None:
        return call if isinstance(asked, AskedContent) else None

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
        kind = "application/json; charset=UTF-8" if content_type == JSON else content_type
        more = "".join(f"{name}: {value}\r\n" for name, value in extra.items()) if extra else ""
        return head(status, f"Content-Type: {kind}\r\n{_HEADERS}{more}", length)

    def refusal(self, fault: Fault) -> Refusal:
        return errors.of_fault(fault)

    def invalid(self, message: str) -> Refusal:
        return invalid_argument(message)


@dataclass(frozen=True, slots=True)
class Target:
    """What an address names: a method of a model, on the Gemini API's surface or on Vertex AI's."""

    model: Model
    method: str
    vertex: bool
    events: bool
    """Whether `alt=sse` asked for a stream of events."""

    @property
    def frames(self) -> Frames:
        return EVENTS if self.events else ARRAY


class AskedContent(AskedChat):
    """A call of `generateContent` or `streamGenerateContent`."""

    def __init__(self, target: Target, request: GenerateContentRequest) -> None:
        self.target = target
        self.request = request
        self.model = target.model.name
        self.stream = target.method == "streamGenerateContent"
        self.prompt = script.continuing(prompt_of(request, self.model))

    @property
    def reasoning(self) -> str | None:
        thinking = self.request.thinking
        if thinking.thinking_level is not None:
            return thinking.thinking_level.lower()
        return None if thinking.thinking_budget is None else str(thinking.thinking_budget)

    @property
    def shows_reasoning(self) -> bool:
        return self.request.thinking.include_thoughts and not self.steering.redacted

    def unary(self, making: Making) -> bytes:
        return self._events(making).unary()

    def streamed(self, making: Making) -> StreamBytes:
        return self._events(making).stream(self.target.frames)

    def refusal(self, fault: Fault) -> Refusal:
        if fault.kind is FaultKind.FILTER:
            return self._blocked(fault)
        return errors.of_fault(fault, self.model, vertex=self.target.vertex)

    def prefix_refused(self) -> Refusal:
        return turns.ends_with_model()

    def broken_event(self, fault: Fault) -> bytes:
        return self.target.frames.before + _BROKEN + self.target.frames.after

    def error_event(self, fault: Fault) -> bytes:
        told = Fault(FaultKind.STATUS, status=fault.status or 503, code=fault.code, message=fault.message)
        refusal = errors.of_fault(told, self.model, vertex=self.target.vertex)
        return self.target.frames.final(dumped(refusal.envelope)) + self.target.frames.done

    def _events(self, making: Making) -> Events:
        config = self.request.generation_config
        return Events(
            self.target.model,
            making,
            media_of(self.request),
            vertex=self.target.vertex,
            shows_thoughts=self.shows_reasoning,
            thinks=self.target.model.thinking is not None and self.request.thinking.thinking_budget != 0,
            logprobs=(config.logprobs or 0) if config.response_logprobs else None,
        )

    def _blocked(self, fault: Fault) -> Refusal:
        """A prompt that is not answered: 200 with feedback in the place of candidates, of a stream the only event.

        `fault.code` is another reason.
        """
        feedback = {"blockReason": fault.code or "PROHIBITED_CONTENT", "safetyRatings": [UNSAFE]}
        if fault.message is not None and self.target.vertex:
            feedback["blockReasonMessage"] = fault.message
        usage = usage_of(Billing(self.input_tokens()), media_of(self.request), vertex=self.target.vertex)
        told = {
            "promptFeedback": feedback,
            "usageMetadata": usage,
            "modelVersion": version_of(self.model),
            "responseId": GeminiFormat().call_id(),
        }
        if self.stream and self.target.events:
            return Refusal(200, EVENTS.final(dumped(told)), content_type=EVENTS.content_type)
        return Refusal(200, pretty([told] if self.stream else told))
