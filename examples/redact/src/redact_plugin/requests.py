"""The texts of a request that a vendor would see."""

import hashlib
import json
from collections.abc import Callable, Iterator

from omnix.completion.v1 import completion_pb2 as pb

from redact_plugin.settings import Wanted
from redact_plugin.vault import PLACEHOLDER, Vault


def has_attachments(request: pb.CompletionRequest) -> bool:
    return any(part.WhichOneof("kind") != "text" for message in request.messages for part in message.parts)


def redact(request: pb.CompletionRequest, wanted: Wanted) -> Vault:
    """Put placeholders into the request; gives what they stand for.

    A model's reasoning stays as it is: it is signed, and was made of placeholders. The end user, whom vendors tell
    apart by the name, becomes a pseudonym that is always the same.

    :raises TooMuch: when there are more values than can be kept.
    """
    vault = Vault(placeholder for text in _texts(request) for placeholder in PLACEHOLDER.findall(text))

    def redacted(text: str) -> str:
        return vault.redacted(text, wanted.kinds)

    for message in request.messages:
        for part in message.parts:
            if part.WhichOneof("kind") == "text":
                part.text = redacted(part.text)
        for call in message.tool_calls:
            call.arguments_json = in_json(call.arguments_json, redacted)
        message.refusal = redacted(message.refusal)
        message.name = redacted(message.name)
    for name, value in list(request.metadata.items()):
        request.metadata[name] = redacted(value)
    for name, value in list(request.vendor_parameters.items()):
        request.vendor_parameters[name] = in_json(value, redacted)
    if redacted(request.end_user) != request.end_user:
        request.end_user = f"user-{hashlib.sha256(request.end_user.encode()).hexdigest()[:32]}"
    return vault


def in_json(text: str, change: Callable[[str], str]) -> str:
    """Change the strings of a JSON text; what is no JSON is changed as it stands. Unchanged, it stays as written."""
    try:
        value = json.loads(text)
        changed = _strings(value, change)
    except (ValueError, RecursionError):
        return change(text)
    return text if changed == value else json.dumps(changed, ensure_ascii=False, separators=(",", ":"))


def _strings(value: object, change: Callable[[str], str]) -> object:
    match value:
        case str():
            return change(value)
        case int() | float() if not isinstance(value, bool):
            written = str(value)
            changed = change(written)
            return value if changed == written else changed
        case list():
            return [_strings(each, change) for each in value]
        case dict():
            return {name: _strings(each, change) for name, each in value.items()}
        case _:
            return value


def _texts(request: pb.CompletionRequest) -> Iterator[str]:
    for message in request.messages:
        yield message.refusal
        for part in message.parts:
            yield part.text
        for call in message.tool_calls:
            yield call.arguments_json
