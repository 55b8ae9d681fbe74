"""``omnix usage rerate`` against a gateway that is busy now and then, over a real socket."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from omnix_cli import rerating
from omnix_cli.main import main


@dataclass
class Ledger:
    refusals: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, object]:
        if self.refusals:
            return self.refusals.pop(0), {"error": {"message": "not now"}}
        self.asked.append(body)
        page = int(body.get("page_token", 0))
        total = {
            "currency": "USD",
            "former_cost_micros": 1_000_000,
            "cost_micros": 500_000,
            "former_billed_micros": 1_000_000,
            "billed_micros": 750_000,
        }
        return 200, {
            "looked_at": 500,
            "changed": 20,
            "totals": [total],
            "next_page_token": str(page + 1) if page < 2 else None,
        }


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    known = Ledger()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, told = known.answer(body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def omnix(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["omnix", "usage", "rerate", "--url", ledger.url, "--key", "k", *words])
    monkeypatch.setattr(rerating, "_FIRST_PAUSE", 0.01)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_every_page_is_rated_and_sums_are_shown(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.refusals = [503, 409]
    assert omnix(ledger, monkeypatch, "--since", "2026-01-31T00:00:00Z", "--model", "m", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert err == "60 of 1500 entries would change\n"
    assert out.splitlines()[1].split() == ["USD", "3.000000", "1.500000", "3.000000", "2.250000", "-0.750000"]
    assert [asked.get("page_token") for asked in ledger.asked] == [None, "1", "2"]
    first = {"start_time": "2026-01-31T00:00:00Z", "model": "m", "prices": "catalogue", "dry_run": True}
    assert ledger.asked[0] == first


def test_prices_come_from_a_file(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = [{"provider": "p", "model": "m", "effective_time": "2026-01-01T00:00:00Z", "input": "1", "output": "2"}]
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(prices))
    assert omnix(ledger, monkeypatch, "--since", "30d", "--prices", str(file), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["looked_at"], told["totals"]["USD"]["billed_micros"]) == (1500, 2_250_000)
    assert ledger.asked[0]["prices"] == prices
    for content in ("{", "{}"):
        file.write_text(content)
        assert omnix(ledger, monkeypatch, "--since", "30d", "--prices", str(file)) == 2
    assert omnix(ledger, monkeypatch, "--since", "30d", "--prices", "nowhere.json") == 2


def test_refusal_ends_with_code_1(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.refusals = [400]
    assert omnix(ledger, monkeypatch, "--since", "30d") == 1
    assert "not now (HTTP 400)" in capsys.readouterr().err
