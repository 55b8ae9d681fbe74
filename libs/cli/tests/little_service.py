"""A service of nothing but manners: ready after a moment, stopped by SIGTERM, steered by variables.

``LITTLE_REFUSES``, ``LITTLE_CRASHES`` and ``LITTLE_STUBBORN`` name the services that behave so. Each writes its
environment and the order in which it stopped into the suite's directory.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

NAME = os.environ["LITTLE_NAME"]
FOLDER = Path(os.environ["LITTLE_FOLDER"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        unwell = (FOLDER / f"{NAME}.unwell").exists()
        body = json.dumps({"lacking": {"sleep": "had too little"} if unwell else {}}).encode()
        self.send_response(503 if unwell else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def names(variable: str) -> list[str]:
    return os.environ.get(variable, "").split(",")


def main() -> None:
    (FOLDER / f"{NAME}.env").write_text(json.dumps(dict(os.environ)))
    if NAME in names("LITTLE_REFUSES") or (FOLDER / f"{NAME}.refuses").exists():
        sys.stderr.write(f"omnix-{NAME}: configuration: LITTLE_COLOUR: must be a colour\n")
        sys.exit(2)
    if NAME in names("LITTLE_CRASHES"):
        sys.stderr.write("Traceback: it was too much\n")
        sys.exit(1)
    server = HTTPServer(("127.0.0.1", int(os.environ["LITTLE_PORT"])), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stderr.write(
        json.dumps({"time": "2026-01-02T03:04:05.678+00:00", "level": "info", "message": "serving"}) + "\n"
    )
    while True:
        number = signal.sigwait({signal.SIGTERM, signal.SIGINT})
        if NAME not in names("LITTLE_STUBBORN"):
            break
    with (FOLDER / "stops").open("a") as file:
        file.write(f"{NAME} {signal.Signals(number).name}\n")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
