"""OpenAI's paths below `/openai/v1`."""

import msgspec
from aiohttp import web

from omnix_sandbox.calls import Calls
from omnix_sandbox.formats import Asked
from omnix_sandbox.openai import chat, embeddings, errors
from omnix_sandbox.openai.chat import OpenAIFormat, authorize
from omnix_sandbox.openai.errors import Refusal
from omnix_sandbox.openai.models import NAMES, described, is_known
from omnix_sandbox.openai.responses import head_of
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rules
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Request, Sent

PREFIX = "/openai/v1"


class OpenAI:
    def __init__(self, settings: Settings, recorder: Recorder, rules: Rules) -> None:
        self._format = OpenAIFormat()
        self._calls = Calls(settings, recorder, rules, self._format)

    async def handle(self, request: Request) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        if path == "/chat/completions" and request.method == "POST":
            return await self._calls.handle(request, chat.take)
        if path == "/embeddings" and request.method == "POST":
            return await self._calls.handle(request, _take_embeddings)
        try:
            authorize(request)
            status, body, extra = 200, self._look_up(request, path), None
        except Refusal as refusal:
            status, body, extra = refusal.status, refusal.body, refusal.headers
        call = self._format.call_id()
        request.connection.write(head_of(call, status, length=len(body), extra=extra) + body)
        return Sent(keep_alive=request.keep_alive)

    @staticmethod
    def _look_up(request: Request, path: str) -> bytes:
        if request.method != "GET" or not (path == "/models" or path.startswith("/models/")):
            raise Refusal(404, f"Invalid URL ({request.method} {request.path.removeprefix('/openai')})")
        if path == "/models":
            found: object = {"object": "list", "data": [described(name) for name in NAMES]}
        else:
            name = path.removeprefix("/models/")
            if not is_known(name):
                raise errors.unknown_model(name)
            found = described(name)
        return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _take_embeddings(request: Request, body: bytes) -> Asked:
    authorize(request)
    return embeddings.take(body)
