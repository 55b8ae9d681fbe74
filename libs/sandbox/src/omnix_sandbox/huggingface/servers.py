"""What all calls of one of Hugging Face's servers share."""

from collections.abc import Callable, Mapping
from uuid import uuid4

from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import JSON, Asked, Format, Refusal
from omnix_sandbox.huggingface import errors
from omnix_sandbox.huggingface.router import AskedRouted
from omnix_sandbox.transport import head


class HuggingFaceFormat(Format):
    """One server's; they differ in what they refuse with."""

    vendor = "huggingface"

    def __init__(self, of_fault: Callable[[Fault], Refusal], of_message: Callable[[str], Refusal]) -> None:
        self._of_fault = of_fault
        self._of_message = of_message

    def call_id(self) -> str:
        return str(uuid4())

    def answer_id(self, call: str, asked: Asked) -> str | None:
        return f"chatcmpl-{call.replace('-', '')}" if isinstance(asked, AskedRouted) else None

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
        return head(
            status,
            f"content-type: {content_type}\r\n"
            "vary: origin, access-control-request-method, access-control-request-headers\r\n"
            "access-control-allow-origin: *\r\n"
            f"x-request-id: {call}\r\n"
            f"{more}",
            length,
        )

    def refusal(self, fault: Fault) -> Refusal:
        return self._of_fault(fault)

    def invalid(self, message: str) -> Refusal:
        return self._of_message(message)


def of_router() -> HuggingFaceFormat:
    return HuggingFaceFormat(errors.of_router, lambda message: errors.enveloped(400, message))


def of_tgi() -> HuggingFaceFormat:
    return HuggingFaceFormat(errors.of_tgi, errors.invalid_input)


def of_tei() -> HuggingFaceFormat:
    return HuggingFaceFormat(errors.of_tei, lambda message: errors.typed(422, message, "Validation"))
