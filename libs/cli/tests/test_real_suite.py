"""The real services, started as a user starts them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from omnix_cli import announcement, environment
from omnix_cli.app import app
from omnix_cli.errors import CommandError
from omnix_cli.places import DataDir
from omnix_cli.site import prepare
from omnix_cli.suite import SERVICES, VENDORS
from omnix_cli.testing import Suite, suite_in, until
from typer.testing import CliRunner, Result

pytestmark = [pytest.mark.suite, pytest.mark.connected]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with suite_in(tmp_path_factory.mktemp("real")) as suite:
        up = suite.up()
        assert up.returncode == 0, up.stderr
        yield suite
        assert suite.omnix("down").returncode == 0


def said(suite: Suite, *words: str) -> Result:
    """Run a command in this process, which spares it the imports."""
    return CliRunner().invoke(app, [*words, "--data-dir", str(suite.data.root)])


def test_snippets_of_the_announcement_work_as_pasted(tmp_path: Path, real: Suite) -> None:
    told = announcement.told(real.url, real.admin_key, real.state.sandboxed)
    snippet = tmp_path / "snippet.py"
    snippet.write_text(told[told.index("from openai") :])
    python = subprocess.run([sys.executable, snippet], capture_output=True, text=True, timeout=60, check=True)
    assert python.stdout.strip()
    curl = told[told.index("  curl") : told.index("  # Python")].rstrip()
    answer = subprocess.run(["bash", "-c", f"{curl} -s"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == python.stdout.removesuffix("\n")


def test_commands_ask_the_running_suite(real: Suite) -> None:
    streamed, whole = said(real, "chat", "Hello!"), said(real, "chat", "Hello!", "--no-stream")
    assert streamed.stdout == whole.stdout != ""
    assert "openai/gpt-4o · SANDBOX" in streamed.stderr
    assert "openai/gpt-4o" in said(real, "models").stdout
    fitting = said(real, "models", "select", "--capability", "tools", "--quality", "70", "--limit", "1")
    assert "SANDBOX" in fitting.stdout
    assert fitting.stderr.startswith("Take ")
    assert "No model fits; rejected were" in said(real, "models", "select", "--quality", "100").stderr
    assert "put --json after 'select'" in str(said(real, "models", "--json", "select").exception)
    until(lambda: len(json.loads(said(real, "usage", "--json").stdout)) >= 2)
    assert "openai/gpt-4o" in said(real, "usage", "--since", "1h").stdout
    assert said(real, "dead", "list").stdout == "no dead messages\n"
    assert "serving" in said(real, "logs", "router").stdout


def test_streams_are_listed_watched_and_cancelled(real: Suite) -> None:
    assert said(real, "streams", "list").stdout == "nothing is being streamed\n"
    key = real.admin_key
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "[[tokens=2000]] [[pace=20/s]]"}],
        "stream": True,
    }
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{real.url}/v1/chat/completions", json=body, headers=headers, timeout=30) as answer:
        stream_id = answer.headers["x-omnix-completion-id"]
        [told] = json.loads(said(real, "streams", "list", "--json").stdout)["data"]
        assert (told["id"], told["model"]) == (stream_id, "openai/gpt-4o")
        assert stream_id in said(real, "streams", "list").stdout
        assert said(real, "streams", "cancel", stream_id).stdout == f"cancelled {stream_id}\n"
        until(lambda: said(real, "streams", "list").stdout == "nothing is being streamed\n")
        assert said(real, "streams", "cancel", stream_id).stdout == f"{stream_id} has ended already\n"
        assert "cancelled" in str(said(real, "streams", "watch", stream_id).exception)
    body["messages"] = [{"role": "user", "content": "Hello!"}]
    with httpx.stream("POST", f"{real.url}/v1/chat/completions", json=body, headers=headers, timeout=30) as answer:
        answer.read()
    watched = said(real, "streams", "watch", answer.headers["x-omnix-completion-id"])
    assert watched.stdout == said(real, "chat", "Hello!").stdout


def test_made_key_works_until_it_is_revoked(real: Suite) -> None:
    secret = said(real, "keys", "create", "for a test", "--expires", "1h").stdout.strip()
    assert said(real, "chat", "Hello!", "--key", secret).exit_code == 0
    listed = json.loads(said(real, "keys", "list", "--json").stdout)
    [key_id] = [key["id"] for key in listed if key["name"] == "for a test"]
    assert "for a test" in said(real, "keys", "list").stdout
    assert said(real, "keys", "revoke", key_id).exit_code == 0
    refused = said(real, "chat", "Hello!", "--key", secret)
    assert isinstance(refused.exception, CommandError)
    assert "HTTP 401" in str(refused.exception)


@pytest.mark.parametrize("service", ["nats", "router"])
def test_killed_service_comes_back_and_the_suite_with_it(real: Suite, service: str) -> None:
    os.kill(real.pid(service), signal.SIGKILL)
    until(lambda: real.state.services[service].restarts > 0)
    status = real.omnix("status", "--wait", "30")
    assert status.returncode == 0, status.stdout
    assert said(real, "chat", "Hello!").exit_code == 0


def test_no_process_but_the_adapter_sees_the_vendors_key(tmp_path: Path) -> None:
    """Told from the table: that a process sees what its row says is shown with the small services."""
    data = DataDir.at(tmp_path)
    data.make()
    keys = {vendor.keys[0]: f"key-of-{vendor.adapter}" for vendor in VENDORS}
    outside = {**keys, "OMNIX_ADMIN_KEY": "sk-omnix-admin-key"}
    site, _ = prepare(data, SERVICES, outside, "127.0.0.1", 0, 10)
    seen = {
        row.name: environment.of_service(outside, row.receives(site), row.environment(site), "mark")
        for row in SERVICES
        if row.wanted(site)
    }
    for vendor in VENDORS:
        key = f"key-of-{vendor.adapter}"
        assert [name for name, variables in seen.items() if key in variables.values()] == [vendor.adapter]
    assert [name for name, variables in seen.items() if "sk-omnix-admin-key" in variables.values()] == ["accounts"]
    assert "sandbox" not in seen
    assert not any("OMNIX_SANDBOX_URL" in seen[vendor.adapter] for vendor in VENDORS)
