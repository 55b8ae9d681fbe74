"""Google's paths below `/gemini`: those of the Gemini API and those of Vertex AI."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiohttp import web

from omnix_sandbox import script
from omnix_sandbox.calls import Calls
from omnix_sandbox.formats import Asked
from omnix_sandbox.gemini import checks, embed, errors
from omnix_sandbox.gemini.chat import AskedContent, GeminiFormat, Target
from omnix_sandbox.gemini.errors import Refusal, invalid_argument
from omnix_sandbox.gemini.events import pretty
from omnix_sandbox.gemini.models import NAMES, described, described_to_vertex, find
from omnix_sandbox.gemini.prompt import prompt_of
from omnix_sandbox.gemini.request import VERTEX_ONLY, CountTokensRequest, GenerateContentRequest
from omnix_sandbox.gemini.usage import details, media_of
from omnix_sandbox.gemini.wire import read
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rules
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Request, Sent

PAGE: Final = 50
LARGEST_PAGE: Final = 1_000

_PATH: Final = re.compile(
    r"/gemini/(?P<version>v1|v1beta|v1alpha|v1beta1)/"
    r"(?P<resource>(?P<vertex>(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?"
    r"models(?:/(?P<model>[^/:]+)(?::(?P<method>\w+))?)?)"
)
_GENERATING: Final = frozenset({"generateContent", "streamGenerateContent"})
_EMBEDDING: Final = frozenset({"embedContent", "batchEmbedContents"})


class Gemini:
    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules) -> None:
        self._format = GeminiFormat()
        self._calls = Calls(settings, recorder, rules, self._format)

    async def handle(self, request: Request) -> web.StreamResponse:
        path = _PATH.fullmatch(request.path)
        method = path["method"] if path is not None else None
        if path is not None and request.method == "POST" and method in {*_GENERATING, *_EMBEDDING, "predict"}:
            return await self._calls.handle(request, partial(_take, path))
        try:
            if path is None:
                raise Refusal(404, f"There is nothing at {request.path}.", "NOT_FOUND")
            authorize(request, vertex=path["vertex"] is not None)
            status, body, extra = 200, pretty(await _look_up(request, path)), None
        except Refusal as refusal:
            status, body, extra = refusal.status, refusal.body, refusal.headers
        data = self._format.head(self._format.call_id(), status, length=len(body), extra=extra) + body
        request.connection.write(data)
        return Sent(keep_alive=request.keep_alive)


def _take(path: re.Match[str], request: Request, body: bytes) -> Asked:
    """Read a call of a model.

    Raises:
        Refusal: Google would not take it.
    """
    vertex, method = path["vertex"] is not None, path["method"]
    authorize(request, vertex=vertex)
    model = find(path["model"])
    fits = model is not None and (model.makes_texts if method in _GENERATING else bool(model.dimensions))
    if model is None or not fits or (method == "predict" and not vertex):
        raise _unknown(path)
    target = Target(model, method, vertex, request.query.get("alt") == "sse")
    if method in _GENERATING:
        return AskedContent(target, checks.parse(body, model, vertex=vertex))
    return embed.asked(target, body)


def _unknown(path: re.Match[str]) -> Refusal:
    if path["vertex"] is not None:
        return errors.publisher_model_not_found(path["resource"].partition(":")[0])
    return errors.not_found(path["model"], path["version"], path["method"] or "getModel")


async def _look_up(request: Request, path: re.Match[str]) -> dict[str, Any]:
    vertex = path["vertex"] is not None
    describe = described_to_vertex if vertex else described
    match (request.method, path["model"], path["method"]):
        case ("GET", None, None):
            return _page(request, "publisherModels" if vertex else "models", describe)
        case ("GET", name, None) if name is not None:
            model = find(name)
            if model is None:
                raise _unknown(path)
            return describe(model)
        case ("POST", name, "countTokens") if name is not None and find(name) is not None:
            return _count(name, await request.read(), vertex=vertex)
        case _:
            raise _unknown(path)


def _page(request: Request, field: str, describe: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    try:
        size = int(request.query.get("pageSize", "0"))
        token = request.query.get("pageToken", "")
        first = int(urlsafe_b64decode(token)) if token else 0
    except (ValueError, Error) as exc:
        raise invalid_argument("Request contains an invalid argument.") from exc
    if size < 0 or first < 0:
        raise invalid_argument("Request contains an invalid argument.")
    last = first + min(size or PAGE, LARGEST_PAGE)
    models = [model for name in NAMES[first:last] if (model := find(name)) is not None]
    told: dict[str, Any] = {field: [describe(model) for model in models]}
    if last < len(NAMES):
        told["nextPageToken"] = urlsafe_b64encode(str(last).encode()).decode()
    return told


def _count(model: str, body: bytes, *, vertex: bool) -> dict[str, Any]:
    wanted = read(body, CountTokensRequest, frozenset() if vertex else VERTEX_ONLY)
    request = wanted.generate_content_request or GenerateContentRequest(
        contents=wanted.contents, system_instruction=wanted.system_instruction, tools=wanted.tools
    )
    try:
        tokens = script.input_tokens(prompt_of(request, model))
    except script.SteeringError as exc:
        raise invalid_argument(str(exc)) from exc
    return {"totalTokens": tokens, "promptTokensDetails": details(tokens, media_of(request))}


def authorize(request: Request, *, vertex: bool) -> None:
    """Take any key or token but none, an empty one and `invalid`; Vertex AI takes a key too, by its express mode.

    Raises:
        Refusal: 401 for a token, for a key what the Gemini API says: 400 if it is wrong, 403 if there is none.
    """
    key = request.headers.get("x-goog-api-key") or request.query.get("key")
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    if key == "invalid":
        raise errors.wrong_key()
    if not key and bearer == "invalid":
        raise errors.wrong_token("ACCESS_TOKEN_TYPE_UNSUPPORTED")
    if not key and not bearer:
        raise errors.wrong_token("CREDENTIALS_MISSING") if vertex else errors.missing_key()
