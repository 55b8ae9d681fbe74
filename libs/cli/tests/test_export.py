"""``omnix usage export`` against a gateway that breaks off, over a real socket."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest
from omnix_cli import exporting
from omnix_cli.api import Gateway
from omnix_cli.main import main

COLUMNS = ("id", "start_time", "user_id")


@dataclass
class Ledger:
    """Entries newest first, three to a millisecond; connections break after so many bytes."""

    entries: list[dict[str, str]]
    breaks: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def body(self, params: dict[str, str]) -> bytes:
        end = params["end_time"].replace("+00:00", "Z")
        found = [entry for entry in self.entries if entry["start_time"] < end]
        if params["format"] == "jsonl":
            return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in found).encode()
        text = io.StringIO(newline="")
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        rows.writerows([entry[name] for name in COLUMNS] for entry in found)
        return text.getvalue().encode()


def entries(count: int) -> list[dict[str, str]]:
    return [
        {
            "id": f"{number:032x}",
            "start_time": f"2026-05-06T07:08:{number // 3000:02}.{number // 3 % 1000:03}Z",
            "user_id": 'a "b",\nc\u2028',
        }
        for number in reversed(range(count))
    ]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    known = Ledger(entries(2000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            params = dict(parse_qsl(urlsplit(self.path).query))
            known.asked.append(params)
            if known.refusals:
                told = b'{"error": {"message": "not now"}}'
                self.send_response(known.refusals.pop(0))
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)
                return
            body = known.body(params)
            cut = known.breaks.pop(0) if known.breaks else None
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            with suppress(OSError):
                for at in range(0, min(len(body), len(body) if cut is None else cut), 997):
                    part = body[at : at + 997]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                if cut is None:
                    self.wfile.write(b"0\r\n\r\n")
            self.close_connection = cut is not None

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
    monkeypatch.setattr(sys, "argv", ["omnix", "usage", "export", "--url", ledger.url, "--key", "k", *words])
    monkeypatch.setattr(exporting, "_FIRST_PAUSE", 0.01)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_export_goes_on_where_it_broke_and_has_every_entry_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    ledger.breaks, ledger.refusals = [30_000, 10, 20_000, 0], [503]
    out = tmp_path / "usage"
    assert omnix(ledger, monkeypatch, "--format", form, "--out", str(out), "--filter", "metadata.job=x") == 0
    assert capsys.readouterr().err == "2000 entries\n"
    if form == "jsonl":
        told = [json.loads(line) for line in out.read_bytes().split(b"\n")[:-1]]
    else:
        with out.open(newline="") as file:
            told = list(csv.DictReader(file))
    assert told == ledger.entries
    assert [asked["metadata.job"] for asked in ledger.asked] == ["x"] * len(ledger.asked)
    assert len(ledger.asked) == 6
    assert list(tmp_path.iterdir()) == [out]


def test_export_to_standard_output_is_the_bytes_alone(ledger: Ledger, tmp_path: Path) -> None:
    out = io.BytesIO()
    with Gateway(ledger.url, "k") as gateway:
        count = exporting.export(gateway, exporting.JsonLines(), out, {"end_time": "2027"}, lambda count: None)
    assert (count, out.getvalue().count(b"\n")) == (2000, 2000)


@pytest.mark.parametrize(("refusals", "code"), [([400], 1), ([401], 1), ([503] * 9, 1)])
def test_export_that_fails_ends_with_a_code_and_leaves_the_file_as_it_was(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    refusals: list[int],
    code: int,
) -> None:
    ledger.refusals = list(refusals)
    out = tmp_path / "usage.jsonl"
    out.write_text("former")
    assert omnix(ledger, monkeypatch, "--out", str(out)) == code
    assert "not now" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["former"]


def test_filter_that_is_none_is_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert omnix(ledger, monkeypatch, "--out", "-", "--filter", "model") == 2
    assert "--filter 'model' is not NAME=VALUE" in capsys.readouterr().err


def test_parquet_without_its_library_names_the_extra(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "usage.parquet"
    assert omnix(ledger, monkeypatch, "--format", "parquet", "--out", str(out)) == 2
    assert "install omnix-cli[parquet]" in capsys.readouterr().err
    assert (ledger.asked, list(tmp_path.iterdir())) == ([], [])


def test_parquet_has_typed_columns(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: it comes with omnix-cli[parquet]")
    import pyarrow.parquet  # type: ignore[import-not-found, unused-ignore]

    for entry in ledger.entries:
        entry |= {"end_time": entry["start_time"], "record_time": entry["start_time"]}
    ledger.entries[0] |= {"input_tokens": 7, "metadata": {"job": "naïve"}, "streamed": True}  # type: ignore[dict-item]
    out = tmp_path / "usage.parquet"
    assert omnix(ledger, monkeypatch, "--format", "parquet", "--out", str(out)) == 0
    table = pyarrow.parquet.read_table(out)
    assert [row["id"] for row in table.select(["id"]).to_pylist()] == [entry["id"] for entry in ledger.entries]
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["input_tokens"], first["streamed"], first["metadata"]) == (7, True, [("job", "naïve")])
    assert first["start_time"].isoformat(timespec="milliseconds").replace("+00:00", "Z") == first_time(ledger)


def first_time(ledger: Ledger) -> str:
    return ledger.entries[0]["start_time"]
