"""Bedrock's paths below `/bedrock`: the runtime's, and the lists of the control plane."""

import re
from typing import Final

import msgspec
from aiohttp import web

from omnix_sandbox.bedrock import embeddings, errors, models
from omnix_sandbox.bedrock.auth import authorize
from omnix_sandbox.bedrock.chat import AskedConverse, BedrockFormat
from omnix_sandbox.bedrock.errors import Refusal
from omnix_sandbox.bedrock.request import parse, prompt_of
from omnix_sandbox.calls import Calls
from omnix_sandbox.formats import Asked
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rules
from omnix_sandbox.script import input_tokens
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Request, Sent

PREFIX: Final = "/bedrock"

_RUNTIME: Final = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|count-tokens)")


class _CountTokens(msgspec.Struct):
    input: dict[str, msgspec.Raw]


class Bedrock:
    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules) -> None:
        self._format = BedrockFormat()
        self._calls = Calls(settings, recorder, rules, self._format)

    async def handle(self, request: Request) -> web.StreamResponse:
        found = _RUNTIME.fullmatch(request.path.removeprefix(PREFIX))
        if found is not None and request.method == "POST" and found[2] != "count-tokens":
            model, operation = found.groups()

            def take(request: Request, body: bytes) -> Asked:
                authorize(request, body)
                return _asked(model, operation, body)

            return await self._calls.handle(request, take)
        body = await request.read()
        refusal: Refusal | None = None
        try:
            authorize(request, body)
            answer = _counted(found[1], body) if found is not None else _listed(request)
        except Refusal as exc:
            refusal, answer = exc, exc.body
        head = self._format.head(
            self._format.call_id(),
            200 if refusal is None else refusal.status,
            length=len(answer),
            extra=None if refusal is None else refusal.headers,
        )
        request.connection.write(head + answer)
        return Sent(keep_alive=request.keep_alive)


def _asked(model: str, operation: str, body: bytes) -> Asked:
    if not models.is_known(model):
        raise errors.unknown_model()
    if operation == "invoke":
        return embeddings.take(model, body)
    if models.base_of(model) in models.EMBEDDINGS:
        raise errors.invalid("The model doesn't support the Converse API. Use InvokeModel for this model.")
    stream = operation == "converse-stream"
    parsed, thinking = parse(body, model, stream=stream)
    return AskedConverse(model, parsed, thinking, stream=stream)


def _counted(model: str, body: bytes) -> bytes:
    """`CountTokens` of what Converse would be asked."""
    try:
        asked = msgspec.json.decode(body, type=_CountTokens).input
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise errors.invalid("The input field must be set.") from exc
    if not models.is_known(model) or "converse" not in asked:
        raise errors.unknown_model() if not models.is_known(model) else errors.invalid("Only converse can be counted.")
    parsed, _ = parse(bytes(asked["converse"]), model, stream=False)
    return msgspec.json.encode({"inputTokens": input_tokens(prompt_of(parsed, model))})


def _listed(request: Request) -> bytes:
    """The control plane's lists, whole: there are no pages."""
    found: object = None
    match request.path.removeprefix(f"{PREFIX}/").split("/", 1):
        case ["foundation-models"]:
            provider = request.query.get("byProvider", "").lower()
            names = [name for name in models.NAMES if name.startswith(provider)]
            found = {"modelSummaries": [models.described(name) for name in names]}
        case ["foundation-models", name] if models.base_of(name) in models.NAMES:
            found = {"modelDetails": models.described(models.base_of(name))}
        case ["inference-profiles"]:
            profiles = [models.profile(region, name) for region in models.PROFILE_REGIONS for name in models.CHAT]
            found = {"inferenceProfileSummaries": profiles}
        case ["inference-profiles", name] if (base := models.base_of(name)) in models.CHAT:
            found = models.profile(name.rpartition("/")[2].removesuffix(f".{base}"), base)
        case _:
            pass
    if found is None or request.method != "GET":
        raise Refusal(404, "ResourceNotFoundException", f"There is nothing at {request.path.removeprefix(PREFIX)}.")
    return msgspec.json.encode(found)
