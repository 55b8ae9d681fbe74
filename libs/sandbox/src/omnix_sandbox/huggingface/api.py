"""Hugging Face's paths below `/huggingface`: the router's, hf-inference's, and those of a TGI and of a TEI server."""

import re
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from omnix_sandbox.calls import Calls
from omnix_sandbox.formats import JSON, Asked, Refusal
from omnix_sandbox.huggingface import embed, errors, models, router, servers, tgi, tgi_request
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rules
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Request, Sent

PREFIX: Final = "/huggingface"

_ROUTED: Final = re.compile(r"(?:/(?P<provider>[a-z0-9-]+))?/v1/chat/completions")
_HOSTED: Final = re.compile(r"/hf-inference/models/(?P<model>.+?)/v1/chat/completions")
_FEATURES: Final = re.compile(r"/hf-inference/models/(?P<model>.+?)/pipeline/feature-extraction")


class HuggingFace:
    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules) -> None:
        self._format = servers.of_router()
        self._router = Calls(settings, recorder, rules, self._format)
        self._tgi = Calls(settings, recorder, rules, servers.of_tgi())
        self._tei = Calls(settings, recorder, rules, servers.of_tei())

    async def handle(self, request: Request) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        if request.method == "POST":
            if path in ("/tgi/v1/chat/completions", "/tgi/chat/completions"):
                return await self._tgi.handle(request, partial(_take_tgi, models.HOSTED))
            if path in ("/tei/v1/embeddings", "/tei/embeddings"):
                return await self._tei.handle(request, _take_like_openai)
            if path == "/tei/embed":
                return await self._tei.handle(request, _take_tei)
            if hosted := _HOSTED.fullmatch(path):
                return await self._tgi.handle(request, partial(_take_tgi, hosted["model"]))
            if features := _FEATURES.fullmatch(path):
                return await self._router.handle(request, partial(_take_features, features["model"]))
            if routed := _ROUTED.fullmatch(path):
                return await self._router.handle(request, partial(_take_routed, routed["provider"]))
        try:
            found = _look_up(request, path)
            status, body, content_type = 200, b"" if found is None else msgspec.json.encode(found), JSON
        except Refusal as refusal:
            status, body, content_type = refusal.status, refusal.body, refusal.content_type
        head = self._format.head(self._format.call_id(), status, length=len(body), content_type=content_type)
        request.connection.write(head + body)
        return Sent(keep_alive=request.keep_alive)


def _take_routed(provider: str | None, request: Request, body: bytes) -> Asked:
    authorize(request)
    return router.asked(body, provider)


def _take_tgi(hosted: str, request: Request, body: bytes) -> Asked:
    authorize_server(request)
    chat = tgi_request.parse(body)
    if (complaint := tgi_request.complaint(chat)) is not None:
        if chat.stream:
            raise tgi.too_late(f"Input validation error: {complaint}")
        raise errors.invalid_input(complaint)
    return tgi.AskedTgi(chat, hosted)


def _take_tei(request: Request, body: bytes) -> Asked:
    authorize_server(request)
    return embed.of_tei(body, models.EMBEDDING_HOSTED, models.EMBEDDERS[models.EMBEDDING_HOSTED])


def _take_like_openai(request: Request, body: bytes) -> Asked:
    authorize_server(request)
    return embed.like_openai(body, models.EMBEDDING_HOSTED, models.EMBEDDERS[models.EMBEDDING_HOSTED])


def _take_features(model: str, request: Request, body: bytes) -> Asked:
    authorize(request)
    dimensions = models.dimensions_of(model)
    if dimensions is None:
        raise errors.worded(404, f"Model {model} does not exist")
    return embed.of_tei(body, model, dimensions, flat=True)


def _look_up(request: Request, path: str) -> object:
    if request.method == "GET":
        match path:
            case "/v1/models":
                return {"object": "list", "data": [models.described(name) for name in models.NAMES]}
            case "/tgi/v1/models":
                one = {"id": models.HOSTED, "object": "model", "created": 0, "owned_by": models.HOSTED}
                return {"object": "list", "data": [one]}
            case "/tgi/info":
                return tgi.described()
            case "/tei/info":
                return {"model_id": models.EMBEDDING_HOSTED, "max_client_batch_size": embed.MAX_BATCH}
            case "/tgi/health" | "/tei/health":
                return None
            case _ if path.startswith("/v1/models/"):
                name = path.removeprefix("/v1/models/")
                if models.find(name) is None:
                    raise errors.unknown_model(name)
                return models.described(name)
            case _:
                pass
    raise errors.worded(404, "Not Found")


def _key(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def authorize(request: Request) -> None:
    """Take any token but none, an empty one and `invalid`.

    Raises:
        Refusal: 401.
    """
    if _key(request) in ("", "invalid"):
        raise errors.wrong_key()


def authorize_server(request: Request) -> None:
    """A server of one's own needs no key; `invalid` stands for a wrong one.

    Raises:
        Refusal: 401 without a word.
    """
    if _key(request) == "invalid":
        raise errors.plain(401, "")
