"""Fetching a price map from an address, within bounds. It blocks: call it in a thread.

The address is the operator's, so it may lie inside a network. It is not followed out of HTTP, nor from https to http.
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

MAX_BYTES = 32 * 1024 * 1024
_CHUNK = 64 * 1024
_MAX_REDIRECTS = 5

Progress = Callable[[int, int | None], None]
"""Told how many bytes are there, and of how many, where that is known."""


class FetchError(Exception):
    """The address gave nothing; the message is for people."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the address holds; ``text`` is None when it has not changed since ``etag``."""

    text: str | None
    etag: str = ""


def _no_progress(there: int, of: int | None) -> None:
    """Nobody watches."""


def is_address(source: str) -> bool:
    return "://" in source


def spoken(source: str) -> str:
    """A source as logs and errors tell it: the query of an address may hold a token."""
    if not is_address(source):
        return source
    there, query, _ = source.partition("?")
    return f"{there}?…" if query else there


def fetch(address: str, timeout: timedelta, etag: str = "", progress: Progress = _no_progress) -> Fetched:
    """Get the whole text.

    :param timeout: for each wait; the whole may take ten times as long.
    :param etag: of what is there already.
    :raises FetchError: saying why there is nothing.
    """
    checked(address)
    deadline = time.monotonic() + 10 * timeout.total_seconds()
    headers = {"User-Agent": "omnix", "Accept": "application/json", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme was checked
    where = spoken(address)
    try:
        with opener.open(request, timeout=timeout.total_seconds()) as response:
            return Fetched(_read(response, deadline, progress), response.headers.get("ETag") or "")
    except urllib.error.HTTPError as exc:
        with exc:
            if exc.code == 304 and etag:
                return Fetched(None, etag)
            raise FetchError(f"{where} answered {exc.code}") from exc
    except urllib.error.URLError as exc:
        raise FetchError(f"{where} cannot be reached: {exc.reason}") from exc
    except TimeoutError as exc:
        raise FetchError(f"{where} is silent") from exc
    except UnicodeDecodeError as exc:
        raise FetchError(f"what {where} holds is not UTF-8") from exc
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise FetchError(f"{where} broke off: {exc or type(exc).__name__}") from exc


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _MAX_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        checked(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise FetchError(f"{spoken(req.full_url)} leads out of https, to {spoken(newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def checked(address: str) -> None:
    """
    :raises FetchError: when it is no address that may be fetched.
    """
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and address.isprintable()
    except ValueError:
        good = False
    if not good:
        raise FetchError(f"{spoken(address)!r} is no http or https address")
    if parts.username or parts.password:
        raise FetchError("an address with a password in it is not taken: it would be written into files and logs")


def _read(response: http.client.HTTPResponse, deadline: float, progress: Progress) -> str:
    of = response.length
    if of is not None and of > MAX_BYTES:
        raise FetchError(f"it has {of} bytes, more than {MAX_BYTES}")
    there = bytearray()
    while chunk := response.read1(_CHUNK):
        there += chunk
        if len(there) > MAX_BYTES:
            raise FetchError(f"it has more than {MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise FetchError(f"it came too slowly: {len(there)} bytes so far")
        progress(len(there), of)
    if of is not None and len(there) < of:
        raise FetchError(f"it broke off after {len(there)} of {of} bytes")
    return there.decode("utf-8")
