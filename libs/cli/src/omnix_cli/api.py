"""The gateway's HTTP API, as far as the command needs it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import httpx
import msgspec

from omnix_cli.errors import CommandError

_CONNECT_WITHIN = 5.0
_ANSWER_WITHIN = 600.0
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})

AnswerT = TypeVar("AnswerT")


class _Error(msgspec.Struct):
    message: str
    code: str | None = None
    param: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error


class ApiError(CommandError):
    """The gateway refused, or could not do what was asked."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """0 where the answer was not one."""


class LostError(CommandError):
    """The connection broke."""


class Gateway:
    """A client with a key. Close it after use."""

    def __init__(self, url: str, key: str) -> None:
        local = httpx.URL(url).host in _LOCAL
        self._url = url
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(_ANSWER_WITHIN, connect=_CONNECT_WITHIN),
            trust_env=not local,  # a proxy cannot reach this machine's loopback
        )

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        kind: type[AnswerT],
        *,
        body: object = None,
        params: Mapping[str, str | int] | None = None,
    ) -> AnswerT:
        """Ask and read the answer.

        :raises ApiError: with the gateway's own words.
        """
        return self.decode(self.response(method, path, body=body, params=params).content, kind)

    def response(
        self, method: str, path: str, *, body: object = None, params: Mapping[str, str | int] | None = None
    ) -> httpx.Response:
        with self._told():
            response = self._client.request(
                method, path, content=_encoded(body), headers=_json(body), params=params or {}
            )
        if response.is_error:
            raise self._refusal(response.status_code, response.content)
        return response

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> Iterator[httpx.Response]:
        """Begin to read an answer that comes in pieces."""
        with (
            self._told(),
            self._client.stream(
                method,
                path,
                content=_encoded(body),
                headers={**_json(body), **(headers or {})},
                params=params or None,  # an empty mapping would take away the path's own query
            ) as response,
        ):
            if response.is_error:
                raise self._refusal(response.status_code, response.read())
            yield response

    def decode(self, content: bytes, kind: type[AnswerT]) -> AnswerT:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as exc:
            raise ApiError(f"{self._url} answers in a way that this version does not know: {exc}") from exc

    def _refusal(self, status: int, content: bytes) -> ApiError:
        try:
            told = msgspec.json.decode(content, type=_Envelope).error.message
        except msgspec.MsgspecError:
            told = content[:200].decode(errors="replace").strip() or "no reason given"
        hint = "; give another key by --key or OMNIX_API_KEY" if status == httpx.codes.UNAUTHORIZED else ""
        return ApiError(f"{told} (HTTP {status}){hint}", status)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
            raise CommandError(f"--url {self._url} is not an http address: {exc}") from exc
        except httpx.ConnectError as exc:
            raise CommandError(
                f"nothing answers at {self._url}; start the suite with omnix up, or give another --url"
            ) from exc
        except httpx.TimeoutException as exc:
            raise LostError(f"{self._url} did not answer in time") from exc
        except httpx.TransportError as exc:
            raise LostError(f"the connection to {self._url} broke: {exc}") from exc


def _encoded(body: object) -> bytes | None:
    return None if body is None else msgspec.json.encode(body)


def _json(body: object) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}
