"""OpenAI's format, and chat completions in it."""

from collections.abc import Mapping
from uuid import uuid4

from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import JSON, Asked, AskedChat, Format, Making, StreamBytes
from omnix_sandbox.openai import continuing, errors
from omnix_sandbox.openai.capabilities import check
from omnix_sandbox.openai.errors import Refusal
from omnix_sandbox.openai.events import BROKEN_EVENT, Events
from omnix_sandbox.openai.models import DIMENSIONS, is_known
from omnix_sandbox.openai.request import ChatRequest, parse, prompt_of
from omnix_sandbox.openai.responses import head_of
from omnix_sandbox.transport import Request


class OpenAIFormat(Format):
    vendor = "openai"

    def call_id(self) -> str:
        return f"req_{uuid4().hex}"

    def answer_id(self, call: str, asked: Asked) -> str | None:
        return f"chatcmpl-{call[4:33]}" if isinstance(asked, AskedCompletion) else None

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
        return head_of(call, status, length=length, content_type=content_type, input_tokens=input_tokens, extra=extra)

    def refusal(self, fault: Fault) -> Refusal:
        return errors.of_fault(fault)

    def invalid(self, message: str) -> Refusal:
        return Refusal(400, message, code="invalid_value")


class AskedCompletion(AskedChat):
    """A chat completion."""

    def __init__(self, request: ChatRequest) -> None:
        self.request = request
        self.model = request.model
        self.stream = bool(request.stream)
        self.prompt = continuing.begun(request, prompt_of(request))

    @property
    def reasoning(self) -> str | None:
        return self.request.reasoning_effort

    def unary(self, making: Making) -> bytes:
        return Events(self.request, making).unary()

    def streamed(self, making: Making) -> StreamBytes:
        return Events(self.request, making).stream()

    def prefix_refused(self) -> Refusal:
        """As a server does that knows no such parameter."""
        return errors.unknown_parameter(continuing.parameter_of(self.request) or "prefix")

    def broken_event(self, fault: Fault) -> bytes:
        return BROKEN_EVENT

    def error_event(self, fault: Fault) -> bytes:
        return errors.error_event(fault)


def take(request: Request, body: bytes) -> AskedCompletion:
    """Read a request for a chat completion.

    Raises:
        Refusal: OpenAI would not take it.
    """
    authorize(request)
    chat = parse(body)
    if not is_known(chat.model):
        raise errors.unknown_model(chat.model)
    if chat.model in DIMENSIONS:
        raise Refusal(
            404,
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
            "Did you mean to use v1/completions?",
            param="model",
        )
    check(chat)
    return AskedCompletion(chat)


def authorize(request: Request) -> None:
    """Take any key but none, an empty one and `invalid`.

    Raises:
        Refusal: 401.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise errors.missing_key()
    if key == "invalid":
        raise errors.wrong_key()
