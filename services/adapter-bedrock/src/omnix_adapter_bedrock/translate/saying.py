"""What every part of a request's translation needs."""

from typing import Any

import msgspec
from omnix_provider.errors import InvalidRequest, UnsupportedParameter

Body = dict[str, Any]


def unsupported(param: str, why: str = "") -> UnsupportedParameter:
    return UnsupportedParameter(f"Bedrock cannot honour {param}. {why}".rstrip(), param=param)


def json_text(text: str, param: str) -> msgspec.Raw:
    """The text as it is, once it is known to be JSON: numbers keep their digits.

    :raises InvalidRequest: when it is none, which would break the body around it.
    """
    try:
        data = text.encode()
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as exc:
        raise InvalidRequest(f"{param} is not valid JSON.", param=param) from exc
    return msgspec.Raw(data)


def json_object(text: str, param: str) -> dict[str, msgspec.Raw]:
    """:raises InvalidRequest: when the text is no JSON object."""
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as exc:
        raise InvalidRequest(f"{param} is not a JSON object.", param=param) from exc
