"""The heads of OpenAI's responses."""

from collections.abc import Mapping

from omnix_sandbox.transport import head

_REQUEST_LIMIT = 10_000
_TOKEN_LIMIT = 30_000_000


def head_of(
    call: str,
    status: int,
    *,
    length: int | None = None,
    content_type: str = "application/json",
    input_tokens: int = 0,
    extra: Mapping[str, str] | None = None,
) -> bytes:
    """A response's head; without a length the body is chunked. `call` becomes `x-request-id`."""
    more = "".join(f"{name}: {value}\r\n" for name, value in extra.items()) if extra else ""
    return head(
        status,
        f"Content-Type: {content_type}\r\n"
        "access-control-expose-headers: X-Request-ID\r\n"
        "openai-organization: omnix-sandbox\r\n"
        "openai-processing-ms: 1\r\n"
        "openai-version: 2020-10-01\r\n"
        f"x-ratelimit-limit-requests: {_REQUEST_LIMIT}\r\n"
        f"x-ratelimit-limit-tokens: {_TOKEN_LIMIT}\r\n"
        f"x-ratelimit-remaining-requests: {_REQUEST_LIMIT - 1}\r\n"
        f"x-ratelimit-remaining-tokens: {max(0, _TOKEN_LIMIT - input_tokens)}\r\n"
        "x-ratelimit-reset-requests: 6ms\r\n"
        "x-ratelimit-reset-tokens: 0s\r\n"
        f"x-request-id: {call}\r\n"
        f"{more}",
        length,
    )
