"""An address that holds a price map, and misbehaves as told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class PriceServer:
    port: int = 0
    answer: Answer = lambda handler: content(b"{}")(handler)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and ``If-None-Match`` of each request."""

    def address(self, path: str = "/map.json") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def price_server() -> Iterator[PriceServer]:
    told = PriceServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append((self.path, self.headers.get("If-None-Match")))
            told.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def content(body: bytes, etag: str = "", length: int | None = None) -> Answer:
    """Answer with this body; not at all when the caller has it already."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if etag and handler.headers.get("If-None-Match") == etag:
            handler.send_response(304)
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code: int, location: str = "") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send without an end and without saying how much."""
    handler.send_response(200)
    handler.end_headers()
    block = b" " * 1024 * 1024
    try:
        while True:
            handler.wfile.write(block)
    except OSError:
        return
