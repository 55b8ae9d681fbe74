"""The routes' commands over a gateway that holds routes in memory."""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from omnix_cli import routes as known
from omnix_cli.errors import UsageError
from omnix_cli.main import main
from omnix_cli.places import DataDir
from omnix_cli.suite import SERVICES, Site

FILE = """
providers = ["ollama"]

[routes.fast]
targets = ["openai/gpt-4o"]

[routes."team-a/*"]
targets = ["openai/*"]
"""
CHANGE = {
    "action": "updated",
    "author": {"tenant_id": "default", "user_id": None, "key_id": "k1"},
    "time": "2026-05-06T07:08:09Z",
    "restored_version": None,
}


@dataclass
class Gateway:
    """Tells routes as the gateway does; a model called ``bad`` is refused."""

    url: str = ""
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, method: str, target: str, body: Any) -> tuple[int, object]:
        path, query = urlsplit(target).path, urlsplit(target).query
        self.asked.append((method, target, body))
        if path == "/v1/routes":
            return 200, {"object": "list", "data": list(self.routes.values()), "next_page_token": None}
        name, _, more = path.removeprefix("/v1/routes/").partition("/")
        name = unquote(name)
        there = self.routes.get(name)
        match method, more:
            case "PUT", "":
                return self._put(name, there, body, dry=query == "validate_only=true")
            case _ if there is None:
                return 404, _error(f"There is no route '{name}'.")
            case "GET", "":
                return 200, there
            case "GET", "versions":
                deleted = {"version": 2, "change": CHANGE | {"action": "deleted"}, "route": None}
                back = {"version": 3, "change": CHANGE | {"action": "rolled_back", "restored_version": 1}}
                return 200, {"data": [back | {"route": there}, deleted]}
            case "POST", "rollback":
                return 200, there | {"version": 9}
            case _:
                del self.routes[name]
                return 200, {"name": name, "version": 2}

    def _put(self, name: str, there: dict[str, Any] | None, body: Any, *, dry: bool) -> tuple[int, object]:
        if body["targets"] == ["bad"]:
            return 400, _error("targets.0.model: The model 'bad' does not exist.")
        version = 0 if there is None else there["version"]
        if body["version"] != version:
            return 409, _error(f"The route '{name}' is at version {version}.")
        targets = [{"model": model, "weight": 1, "rank": rank + 1} for rank, model in enumerate(body["targets"])]
        if there is not None and there["targets"] == targets:
            return 200, there
        told = {"name": name, "source": "store", "in_force": True, "version": version + 1, "change": CHANGE}
        told |= {"policy": "ordered", "targets": targets}
        if not dry:
            self.routes[name] = told
        return 200 if there else 201, told


def _error(message: str) -> object:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "x"}}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, told = found.answer(self.command, self.path, json.loads(body) if body else None)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


class Omnix:
    """``omnix routes`` against the gateway, in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str, stdin: str = "") -> Done:
        self._monkeypatch.setattr(sys, "argv", ["omnix", "routes", *words])
        self._monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        written = self._capsys.readouterr()
        return Done(int(ended.value.code or 0), written.out, written.err)


@pytest.fixture
def omnix(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Omnix:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OMNIX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMNIX_URL", gateway.url)
    monkeypatch.setenv("OMNIX_API_KEY", "sk-omnix-test")
    return Omnix(tmp_path, monkeypatch, capsys)


def test_file_is_applied_and_again_changes_nothing(omnix: Omnix, gateway: Gateway) -> None:
    assert omnix("list").stderr == "There are no routes yet; omnix routes apply FILE writes some.\n"
    (omnix.folder / "routes.toml").write_text(FILE)
    dry = omnix("apply", "routes.toml", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "created    fast\ncreated    team-a/*\n")
    assert gateway.routes == {}
    first = omnix("apply", "routes.toml")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "created    fast, now version 1\ncreated    team-a/*, now version 1\n"
    again = omnix("apply", "-", stdin=FILE.replace("openai/gpt-4o", "openai/o3"))
    assert again.stdout == "updated    fast, now version 2\nunchanged  team-a/*\n"
    [row, wildcard] = omnix("list").stdout.splitlines()[1:]
    assert " ".join(row.split()) == "fast ordered openai/o3 store 2 2026-05-06 07:08:09 UTC k1"
    assert wildcard.startswith("team-a/*")
    gateway.routes["fast"]["mirror"] = {"target": "a/b", "share": 0.05}
    assert "openai/o3; copies to a/b: 0.05 " in omnix("list").stdout.splitlines()[1]


def test_one_bad_route_leaves_all_as_they_are(omnix: Omnix, gateway: Gateway) -> None:
    bad = omnix("apply", "-", stdin=FILE + '\n[routes.broken]\ntargets = ["bad"]\n')
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == (
        "omnix: nothing was changed\n  broken: targets.0.model: The model 'bad' does not exist. (HTTP 400)\n"
    )
    assert gateway.routes == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("routes = [", "not a routes file"),
        ("", "there is no route in the file"),
        ("[fast]\ntargets = []", "'fast' has no meaning there"),
        ("[routes]\nfast = 1", "routes.fast is not a table"),
    ],
)
def test_what_is_no_routes_file_is_said(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        known.read(text)


def test_show_history_rollback_and_delete(omnix: Omnix, gateway: Gateway) -> None:
    omnix("apply", "-", stdin=FILE)
    shown = omnix("show", "team-a/*")
    assert (shown.returncode, shown.stderr) == (0, "# from the store, version 1\n")
    assert tomllib.loads(shown.stdout) == {
        "routes": {"team-a/*": {"policy": "ordered", "targets": [{"model": "openai/*", "rank": 1}]}}
    }
    [back, deleted] = omnix("history", "team-a/*").stdout.splitlines()[1:]
    assert " ".join(back.split()) == "3 2026-05-06 07:08:09 UTC rolled back to 1 k1 openai/*"
    assert " ".join(deleted.split()) == "2 2026-05-06 07:08:09 UTC deleted k1"
    rolled = omnix("rollback", "team-a/*", "1")
    assert rolled.stdout == "team-a/* is again as in version 1, now version 9\n"
    assert gateway.asked[-1] == ("POST", "/v1/routes/team-a%2F%2A/rollback", {"version": 1})
    assert omnix("delete", "team-a/*").stdout.startswith("deleted team-a/*;")
    gone = omnix("show", "team-a/*")
    assert (gone.returncode, gone.stderr) == (1, "omnix: There is no route 'team-a/*'. (HTTP 404)\n")
    absent = omnix("apply", "absent.toml")
    assert (absent.returncode, absent.stderr) == (2, "omnix: absent.toml cannot be read: No such file or directory\n")


def test_what_is_shown_can_be_applied() -> None:
    route = {
        "name": 'a"b/*',
        "source": "file",
        "policy": "balanced",
        "sticky": "metadata.thread",
        "shadows": True,
        "attempts": 2,
        "first_content_timeout": {"flash": "5s", "ultra-think": "2m"},
        "strict_reasoning": False,
        "mirror": {"target": "e/*", "share": 0.05},
        "deadline": None,
        "targets": [{"model": "openai/*", "weight": 3, "rank": 1}, {"model": "a\x7f\\/b", "weight": 1, "rank": 2}],
        "rules": [
            {
                "when": {"mode": ["think"], "min_input_tokens": 5, "metadata": {"a b": ["ü"]}},
                "targets": [{"model": "c/d", "weight": 1, "rank": 1}],
                "policy": None,
            }
        ],
    }
    [(name, table)] = known.read(known.toml(msgspec.convert(route, known.Route))).items()
    assert name == route["name"]
    assert table == {
        "policy": "balanced",
        "sticky": "metadata.thread",
        "shadows": True,
        "attempts": 2,
        "first_content_timeout": {"flash": "5s", "ultra-think": "2m"},
        "strict_reasoning": False,
        "mirror": {"target": "e/*", "share": 0.05},
        "targets": [{"model": "openai/*", "rank": 1, "weight": 3}, {"model": "a\x7f\\/b", "rank": 2}],
        "rules": [
            {
                "when": {"mode": ["think"], "min_input_tokens": 5, "metadata": {"a b": ["ü"]}},
                "targets": [{"model": "c/d", "rank": 1}],
            }
        ],
    }


def test_the_suites_router_has_a_store(tmp_path: Path) -> None:
    ports = {service.name: dict.fromkeys(service.ports, 1) for service in SERVICES}
    site = Site(DataDir.at(tmp_path / "o x"), {}, "k", "127.0.0.1", 8080, (), 1, ports)
    [router] = [service for service in SERVICES if service.name == "router"]
    assert router.environment(site)["OMNIX_STORE_URL"] == f"sqlite://{tmp_path}/o%20x/data/router.db"
