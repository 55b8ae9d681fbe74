"""The routes, put together; and errors of routing in OpenAI's envelope."""

import logging
from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

from omnix_gateway.authentication import Authenticator
from omnix_gateway.errors import Refusal, invalid, refusal
from omnix_gateway.http.body import SlowBody
from omnix_gateway.http.exchange import CLIENT_GONE, ClientGone

AnyRequest = Request[Any, Any, Any]
_log = logging.getLogger(__name__)


def application(routes: Sequence[ControllerRouterHandler], authenticator: Authenticator) -> Litestar:
    return Litestar(
        route_handlers=list(routes),
        state=State({"authenticator": authenticator}),
        openapi_config=None,
        logging_config=None,
        debug=False,
        exception_handlers={
            OmnixError: _omnix,
            HTTPException: _http,
            SlowBody: _slow,
            ClientGone: _gone,
            Exception: _defect,
        },
        request_max_body_size=None,
    )


def _omnix(request: AnyRequest, exc: OmnixError) -> Response[bytes]:
    return _response(refusal(exc))


def _http(request: AnyRequest, exc: HTTPException) -> Response[bytes]:
    path, method = request.scope["path"], request.scope["method"]
    match exc.status_code:
        case 404:
            missing = CallerError(f"There is no '{path[:200]}'; see /docs for what there is.", reason=Reason.NOT_FOUND)
            return _response(refusal(missing))
        case 405:
            response = _response(refusal(invalid(f"'{path}' does not answer {method}."), 405))
            for name, value in (exc.headers or {}).items():
                response.set_header(name, value)
            return response
        case status:
            return _response(refusal(invalid(exc.detail), status))


def _slow(request: AnyRequest, exc: SlowBody) -> Response[bytes]:
    response = _response(refusal(invalid("The body did not arrive in time."), 408))
    response.set_header("connection", "close")
    return response


def _gone(request: AnyRequest, exc: ClientGone) -> Response[bytes]:
    return Response(b"", status_code=CLIENT_GONE)


def _defect(request: AnyRequest, exc: Exception) -> Response[bytes]:
    _log.error("request failed", exc_info=exc, extra={"path": request.scope["path"][:200]})
    return _response(refusal(PlatformError("OmniX failed; the log of the gateway says why.", reason=Reason.INTERNAL)))


def _response(told: Refusal) -> Response[bytes]:
    return Response(
        told.body,
        status_code=told.status,
        media_type="application/json",
        headers={name.decode(): value.decode() for name, value in told.headers if name not in (b"content-type",)},
    )
