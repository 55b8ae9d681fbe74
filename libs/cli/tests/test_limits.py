"""The limits' commands over a gateway that holds limits in memory."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from omnix_cli.main import main

Omnix = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked() -> list[tuple[str, str, Any]]:
    return []


@pytest.fixture
def omnix(
    asked: list[tuple[str, str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Omnix]:
    limits: dict[str, dict[str, Any]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, json.loads(body) if body else None))
            name = self.path.removeprefix("/v1/limits").removeprefix("/")
            told: dict[str, Any] = {"data": list(limits.values())}
            status = 200
            if self.command == "PUT":
                told = limits[name] = {"id": name, **json.loads(body)}
            elif name == "usage":
                told = {"data": [{"limit": each, "used": 7, "resets_at": 1_800_000_000} for each in limits.values()]}
            elif name and limits.pop(name, None) is None:
                status, told = 404, {"error": {"message": f"There is no limit '{name}'.", "code": "not_found"}}
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OMNIX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMNIX_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("OMNIX_API_KEY", "sk-omnix-test")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["omnix", "limits", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    try:
        yield call
    finally:
        server.shutdown()
        server.server_close()


def test_limits_are_set_listed_looked_at_and_deleted(omnix: Omnix, asked: list[tuple[str, str, Any]]) -> None:
    assert omnix("list") == (0, "", "There are no limits yet; omnix limits set ID makes one.\n")
    code, out, _ = omnix(
        "set", "each", "--subject", "key", "--of", "*", "--kind", "requests_per_minute", "--amount", "1000"
    )
    assert (code, asked[-1][:2]) == (0, ("PUT", "/v1/limits/each"))
    assert asked[-1][2] == {
        "subject": "key",
        "subject_id": "*",
        "kind": "requests_per_minute",
        "amount": 1000,
        "enforcement": "hard",
    }
    assert "key *" in out
    assert "1,000" in out
    omnix("set", "money", "--kind", "cost_per_day", "--cost", "2.50", "--model", "gpt-*", "--soft")
    assert asked[-1][2] == {
        "subject": "tenant",
        "model": "gpt-*",
        "kind": "cost_per_day",
        "cost": "2.50",
        "enforcement": "soft",
    }
    code, out, _ = omnix("list")
    assert "$2.50" in out
    assert omnix("delete", "money") == (0, "deleted money\n", "")
    code, out, _ = omnix("usage")
    assert "2027-01-15 08:00:00" in out
    assert json.loads(omnix("list", "--json")[1])["data"][0]["id"] == "each"
    code, _, err = omnix("delete", "money")
    assert (code, "There is no limit 'money'." in err) == (1, True)
    assert omnix("set", "x", "--kind", "tokens")[0] == 2
