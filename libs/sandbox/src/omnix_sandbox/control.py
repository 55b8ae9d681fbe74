"""The control address: orders faults and shows the record."""

import time

import msgspec
from aiohttp import web

from omnix_sandbox.record import Call
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.rules import Rule, RuleOrder, Rules
from omnix_sandbox.transport import Request, Sent, head

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 100_000

_order = msgspec.json.Decoder(RuleOrder)
_json = msgspec.json.Encoder().encode


def respond(request: Request, status: int, body: object) -> web.StreamResponse:
    """Answer with JSON; the sandbox's own endpoints all do."""
    data = _json(body)
    request.connection.write(head(status, "Content-Type: application/json\r\n", len(data)) + data)
    return Sent(keep_alive=request.keep_alive)


class Control:
    """Answers below `/control`."""

    def __init__(self, recorder: Recorder, rules: Rules) -> None:
        self._recorder = recorder
        self._rules = rules

    async def handle(self, request: Request) -> web.StreamResponse:
        match (request.method, request.path.removeprefix("/control/").split("/")):
            case ("GET", ["faults"]):
                return respond(request, 200, {"data": [_described(rule) for rule in self._rules.list()]})
            case ("POST", ["faults"]):
                return await self._order(request)
            case ("DELETE", ["faults"]):
                self._rules.clear()
                return respond(request, 200, {"deleted": True})
            case ("DELETE", ["faults", name]):
                found = self._rules.remove(name)
                return respond(request, 200 if found else 404, {"deleted": found})
            case ("GET", ["calls"]):
                return self._calls(request)
            case ("DELETE", ["calls"]):
                self._recorder.clear(time.time())
                return respond(request, 200, {"deleted": True})
            case (_, ["faults"] | ["faults", _] | ["calls"]):
                return respond(request, 405, {"error": f"{request.method} is not possible here"})
            case _:
                return respond(request, 404, {"error": f"there is nothing at {request.path}"})

    async def _order(self, request: Request) -> web.StreamResponse:
        try:
            rule = self._rules.add(_order.decode(await request.read()))
        except (ValueError, RecursionError) as exc:
            return respond(request, 400, {"error": str(exc)})
        return respond(request, 201, _described(rule))

    def _calls(self, request: Request) -> web.StreamResponse:
        query = request.query
        try:
            since = float(query.get("since", "0"))
            limit = min(MAX_LIMIT, int(query.get("limit", str(DEFAULT_LIMIT))))
        except ValueError:
            return respond(request, 400, {"error": "since must be a number of seconds and limit a whole number"})
        wanted = {name: query[name] for name in ("request_id", "call", "model") if name in query}
        found: list[Call] = []
        more = False
        for call in self._recorder.calls():
            if call.accepted_time < since or any(getattr(call, name) != value for name, value in wanted.items()):
                continue
            if len(found) >= limit:
                more = True
                break
            found.append(call)
        return respond(request, 200, {"data": found, "has_more": more})


def _described(rule: Rule) -> dict[str, object]:
    order = rule.order
    return {
        "id": rule.name,
        "fault": rule.fault,
        "spec": rule.fault.spec(),
        "match": order.match,
        "count": order.count,
        "skip": order.skip,
        "probability": order.probability,
        "seed": order.seed,
        "seen": rule.seen,
        "hits": rule.hits,
    }
