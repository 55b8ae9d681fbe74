"""An address is read whole, within bounds, or refused with a sentence."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from omnix_kit.testing import free_port
from omnix_router.catalogue.fetching import MAX_BYTES, Fetched, FetchError, checked, fetch

from .price_server import Answer, PriceServer, content, endless, price_server, status

QUICK = timedelta(seconds=5)


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with price_server() as server:
        yield server


def test_text_comes_whole_with_its_etag_and_its_progress_is_told(server: PriceServer) -> None:
    body = '{"grüße": 1}'.encode() + b" " * 300_000
    server.answer = content(body, etag='"v1"')
    seen: list[tuple[int, int | None]] = []
    assert fetch(server.address(), QUICK, progress=lambda *moved: seen.append(moved)) == Fetched(body.decode(), '"v1"')
    assert seen[-1] == (len(body), len(body))
    assert server.asked == [("/map.json", None)]


def test_what_has_not_changed_is_not_sent_again(server: PriceServer) -> None:
    server.answer = content(b"{}", etag='"v1"')
    assert fetch(server.address(), QUICK, etag='"v1"') == Fetched(None, '"v1"')
    assert fetch(server.address(), QUICK, etag='"v0"') == Fetched("{}", '"v1"')


def test_redirect_is_followed(server: PriceServer) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        (status(302, "/there") if handler.path == "/map.json" else content(b"{}"))(handler)

    server.answer = answer
    assert fetch(server.address(), QUICK).text == "{}"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.com/map", "data:,x", "http://u:p@127.0.0.1/"]
)
def test_redirect_out_of_http_is_refused(server: PriceServer, location: str) -> None:
    server.answer = status(302, location)
    with pytest.raises(FetchError):
        fetch(server.address(), QUICK)
    assert len(server.asked) == 1


def test_redirects_without_an_end_are_refused(server: PriceServer) -> None:
    server.answer = lambda handler: status(302, f"{handler.path}x")(handler)
    with pytest.raises(FetchError, match="answered 302"):
        fetch(server.address(), QUICK)
    assert len(server.asked) <= 12


@pytest.mark.parametrize("code", [304, 400, 401, 403, 404, 429, 500, 503])
def test_other_statuses_are_told(server: PriceServer, code: int) -> None:
    server.answer = status(code)
    with pytest.raises(FetchError, match=f"answered {code}"):
        fetch(server.address(), QUICK)


def test_body_that_says_it_is_too_large_is_not_read(server: PriceServer) -> None:
    server.answer = content(b"", length=MAX_BYTES + 1)
    with pytest.raises(FetchError, match=f"more than {MAX_BYTES}"):
        fetch(server.address(), QUICK)


def test_body_without_an_end_is_cut_off(server: PriceServer) -> None:
    server.answer = endless
    with pytest.raises(FetchError, match=f"more than {MAX_BYTES} bytes"):
        fetch(server.address(), QUICK)


def test_body_that_breaks_off_is_refused(server: PriceServer) -> None:
    server.answer = content(b'{"a"', length=100)
    with pytest.raises(FetchError, match="broke off after 4 of 100 bytes"):
        fetch(server.address(), QUICK)


def test_text_that_is_no_utf8_is_refused(server: PriceServer) -> None:
    server.answer = content(b"\xff\xfe")
    with pytest.raises(FetchError, match="is not UTF-8"):
        fetch(server.address(), QUICK)


def test_silence_ends_after_the_timeout(server: PriceServer) -> None:
    release = threading.Event()

    def wait(_: BaseHTTPRequestHandler) -> None:
        release.wait(20)

    server.answer = wait
    try:
        with pytest.raises(FetchError, match=r"silent|cannot be reached"):
            fetch(server.address(), timedelta(milliseconds=200))
    finally:
        release.set()


def test_trickle_ends_after_ten_timeouts(server: PriceServer) -> None:
    release = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not release.wait(0.02):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    server.answer = trickle
    try:
        with pytest.raises(FetchError, match="too slowly"):
            fetch(server.address(), timedelta(milliseconds=50))
    finally:
        release.set()


def test_nobody_there_is_told() -> None:
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch(f"http://127.0.0.1:{free_port()}/", QUICK)


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "ftp://a/b", "gopher://a", "http://", "https:///x", "://", "http://[", "http://a/\n", "a"],
)
def test_only_http_addresses_are_fetched(address: str) -> None:
    with pytest.raises(FetchError, match="no http or https address"):
        checked(address)


def test_address_with_a_password_is_refused_without_telling_it() -> None:
    with pytest.raises(FetchError) as refused:
        checked("https://user:hunter2@example.com/")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        content(b"{", length=10),
        content(b"\xff"),
        status(302, "ftp://u/?sig=hunter2"),
        status(302, "file:///map?sig=hunter2"),
    ],
)
def test_query_of_an_address_is_told_in_no_error(server: PriceServer, answer: Answer) -> None:
    server.answer = answer
    with pytest.raises(FetchError) as refused:
        fetch(server.address("/map.json?token=hunter2"), QUICK)
    assert "hunter2" not in str(refused.value)
    assert server.asked == [("/map.json?token=hunter2", None)]
    with pytest.raises(FetchError) as refused:
        fetch(f"http://127.0.0.1:{free_port()}/map.json?token=hunter2", QUICK)
    assert "/map.json?… cannot be reached" in str(refused.value)
