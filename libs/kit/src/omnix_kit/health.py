"""Whether the process lives and is ready, and the little HTTP server that tells.

The server runs in a thread of its own, so it answers quickly however busy the event loop is, and can tell when the loop
does not turn at all.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from omnix_kit import metrics

_log = logging.getLogger(__name__)
_LOOP_ANSWERS_WITHIN = 5.0

Check = Callable[[], str | None]
"""Answers what is missing, or None when nothing is. Must not block."""


class Readiness:
    """What the process needs before it can serve, each need under a name."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self.stopping = False

    def need(self, name: str, check: Check) -> None:
        """Add a need, such as ``nats``."""
        self._checks[name] = check

    def lacking(self) -> dict[str, str]:
        """What is missing, by need; empty when the process is ready."""
        missing = {name: problem for name, check in self._checks.items() if (problem := check()) is not None}
        if self.stopping:
            missing["process"] = "is stopping"
        return missing

    def measure(self) -> None:
        """Bring the metrics up to date."""
        missing = self.lacking()
        metrics.READY.set(not missing)
        for name in self._checks:
            metrics.LACKING.labels(name).set(name in missing)


@contextmanager
def ops_server(host: str, port: int, readiness: Readiness, service: str) -> Iterator[int]:
    """Serve ``/livez``, ``/readyz`` and ``/metrics`` while inside; yields the port."""
    loop = asyncio.get_running_loop()

    class Handler(BaseHTTPRequestHandler):
        server_version = "omnix"
        sys_version = ""
        timeout = 10

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/livez":
                    alive = _turns(loop)
                    self._answer(200 if alive else 503, {"status": "ok" if alive else "the event loop does not turn"})
                case "/readyz":
                    missing = readiness.lacking()
                    status = "not ready" if missing else "ok"
                    self._answer(503 if missing else 200, {"service": service, "status": status, "lacking": missing})
                case "/metrics":
                    readiness.measure()
                    self._send(200, CONTENT_TYPE_LATEST, generate_latest())
                case _:
                    self._answer(404, {"error": "there are /livez, /readyz and /metrics"})

        def _answer(self, status: int, body: object) -> None:
            self._send(status, "application/json", msgspec.json.encode(body))

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds and say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            _log.debug("probe broke off", exc_info=True)

    server = Server((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 1.0}, name="ops", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        # Shutting down waits for the thread's next look, up to a second, which nobody else needs to wait for.
        threading.Thread(target=_close, args=(server,), name="ops-close", daemon=True).start()


def _close(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


def _turns(loop: asyncio.AbstractEventLoop) -> bool:
    turned = threading.Event()
    try:
        loop.call_soon_threadsafe(turned.set)
    except RuntimeError:
        return False
    return turned.wait(_LOOP_ANSWERS_WITHIN)
