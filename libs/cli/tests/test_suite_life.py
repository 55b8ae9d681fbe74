"""A suite from ``up`` to ``down``, over two small services as real processes."""

import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
from contextlib import suppress

import psutil
from omnix_cli.testing import Suite, until


def seen_by(suite: Suite, service: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((suite.data.root / f"{service}.env").read_text())
    return found


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_detached_suite_is_ready_when_up_returns_and_gone_after_down(suite: Suite) -> None:
    up = suite.up()
    assert (up.returncode, up.stderr) == (0, "")
    assert f"OmniX is ready at http://127.0.0.1:{suite.port}" in up.stdout
    assert "Provider openai: SANDBOX" in up.stdout
    status = suite.omnix("status", "--json")
    told = json.loads(status.stdout)
    assert (status.returncode, told["ready"], told["url"]) == (0, True, f"http://127.0.0.1:{suite.port}")
    pids = [service["pid"] for service in told["services"].values()]
    assert {os.getsid(pid) for pid in pids} == set(pids), "each leads a session of its own"

    down = suite.omnix("down")
    assert (down.returncode, down.stdout) == (0, f"stopped the suite on {suite.data.root}\n")
    assert not any(runs(pid) for pid in [*pids, told["pid"]])
    assert (suite.data.root / "stops").read_text() == "gateway SIGTERM\nstore SIGTERM\n"
    assert suite.omnix("status").returncode == 1
    assert suite.omnix("down").stdout == f"no suite runs on {suite.data.root}\n"


def test_foreground_suite_stops_in_order_on_ctrl_c(suite: Suite) -> None:
    process = suite.foreground()
    try:
        until(lambda: suite.data.state.exists() and suite.state.phase == "ready")
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does
        stdout, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (0, "")
    assert "gateway: ready" in stdout
    assert (suite.data.root / "stops").read_text() == "gateway SIGTERM\nstore SIGTERM\n"
    assert suite.state.phase == "stopped"


def test_killed_service_comes_back_at_the_same_port(running: Suite) -> None:
    before = running.state.services["gateway"]
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: running.state.services["gateway"].pid not in (None, before.pid))
    until(lambda: running.state.phase == "ready")
    after = running.state.services["gateway"]
    assert (after.restarts, after.ports) == (before.restarts + 1, before.ports)
    assert "gateway: restarting: was ended by SIGKILL" in running.data.log("supervisor").read_text()


def test_service_that_is_not_ready_is_told_with_what_it_lacks(running: Suite) -> None:
    (running.data.root / "store.unwell").touch()
    status = running.omnix("status")
    assert status.returncode == 1
    assert "sleep: had too little" in status.stdout
    until(lambda: running.state.services["store"].phase == "not ready")
    (running.data.root / "store.unwell").unlink()
    until(lambda: running.state.phase == "ready")


def test_bad_configuration_of_a_service_ends_up_with_its_words(suite: Suite) -> None:
    suite.environ["LITTLE_REFUSES"] = "store"
    up = suite.up()
    assert (up.returncode, up.stdout) == (1, "")
    assert "store refuses its configuration" in up.stderr
    assert "LITTLE_COLOUR: must be a colour" in up.stderr
    assert suite.state.phase == "failed"
    assert [service.pid for service in suite.state.services.values()] == [None, None]


def test_service_that_never_comes_up_ends_up_with_its_last_words(suite: Suite) -> None:
    suite.environ["LITTLE_CRASHES"] = "gateway"
    up = suite.up()
    assert up.returncode == 1
    assert "gateway ended with exit code 1 before it was ready, 3 times" in up.stderr
    assert "it was too much" in up.stderr


def test_service_that_ran_well_is_tried_on_when_its_configuration_is_spoilt(running: Suite) -> None:
    (running.data.root / "gateway.refuses").touch()
    os.kill(running.pid("gateway"), signal.SIGKILL)
    before = running.state.services["gateway"].restarts
    until(lambda: running.state.services["gateway"].restarts >= before + 2)
    assert running.state.services["store"].phase == "ready"
    (running.data.root / "gateway.refuses").unlink()
    until(lambda: running.state.phase == "ready")


def test_two_suites_run_side_by_side(running: Suite, suite: Suite) -> None:
    assert suite.up().returncode == 0
    assert suite.omnix("down").returncode == 0
    assert running.omnix("status").returncode == 0


def test_second_suite_on_a_data_directory_is_refused_with_the_first_ones_address(running: Suite) -> None:
    again = running.up()
    assert again.returncode == 1
    assert f"pid {running.state.pid}, http://127.0.0.1:{running.port}" in again.stderr


def test_taken_port_is_told_with_its_holder_and_another_one(suite: Suite) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", suite.port))
        other.listen()
        up = suite.up()
    assert up.returncode == 2
    assert f"port {suite.port} is in use by" in up.stderr
    assert f"(pid {os.getpid()})" in up.stderr
    assert "such as --port" in up.stderr


def test_next_start_keeps_ports_and_key(suite: Suite) -> None:
    suite.port = 0
    up = suite.up()
    first, key = suite.state, suite.data.admin_key.read_text().strip()
    assert key in up.stdout
    assert stat.S_IMODE(suite.data.admin_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(suite.data.root.stat().st_mode) == 0o700
    assert key not in suite.data.log("supervisor").read_text()
    suite.omnix("down")
    assert key in suite.up().stdout
    assert (suite.state.url, suite.state.services["store"].ports) == (first.url, first.services["store"].ports)


def test_services_of_a_killed_supervisor_are_ended_by_the_next_start(suite: Suite) -> None:
    suite.up()
    before = suite.state
    os.kill(before.pid, signal.SIGKILL)
    assert suite.omnix("status").returncode == 1
    assert suite.up().returncode == 0
    assert "ending 2 processes that an earlier run left behind" in suite.data.log("supervisor").read_text()
    for service in before.services.values():
        assert service.pid is not None
        assert not runs(service.pid)


def test_services_of_a_killed_supervisor_are_ended_by_down(suite: Suite) -> None:
    suite.up()
    before = suite.state
    os.kill(before.pid, signal.SIGKILL)
    down = suite.omnix("down")
    assert down.returncode == 0
    assert not any(runs(service.pid) for service in before.services.values() if service.pid)


def test_stubborn_service_is_killed_after_its_grace(suite: Suite) -> None:
    suite.environ["LITTLE_STUBBORN"] = "gateway"
    suite.up("--grace", "0")
    pid = suite.pid("gateway")
    assert suite.omnix("down").returncode == 0
    assert not runs(pid)
    assert "killed, as it did not stop" in suite.state.services["gateway"].detail


def test_admin_key_from_outside_is_taken_and_not_written(suite: Suite) -> None:
    suite.environ["OMNIX_ADMIN_KEY"] = "sk-omnix-chosen-by-hand"
    assert "Admin key: sk-omnix-chosen-by-hand" in suite.up().stdout
    assert not suite.data.admin_key.exists()
    assert "chosen-by-hand" not in suite.data.state.read_text()
    suite.omnix("down")
    suite.environ["OMNIX_ADMIN_KEY"] = "short"
    refused = suite.up()
    assert refused.returncode == 2
    assert "OMNIX_ADMIN_KEY must be at least" in refused.stderr


def test_each_credential_reaches_its_owner_alone(suite: Suite) -> None:
    suite.environ |= {
        "STORE_PASSWORD": "of the store",
        "AWS_SECRET_ACCESS_KEY": "of nobody",
        "GITHUB_TOKEN": "of nobody",
        "OMNIX_ADMIN_KEY": "sk-omnix-0123456789abcdef",
        "OMNIX_LOG_LEVEL": "DEBUG",
        "OMNIX_GRPC_PORT": "1",
        "OMNIX_BENCH_RUN": "abc",
    }
    (suite.folder / ".env").write_text('OPENAI_API_KEY="sk-of-the-gateway" # from the vendor\n')
    assert "Provider openai: the vendor itself" in suite.up().stdout
    store, gateway = seen_by(suite, "store"), seen_by(suite, "gateway")
    assert (store.get("STORE_PASSWORD"), gateway.get("STORE_PASSWORD")) == ("of the store", None)
    assert (store.get("OPENAI_API_KEY"), gateway.get("OPENAI_API_KEY")) == (None, "sk-of-the-gateway")
    for environ in (store, gateway):
        withheld = {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OMNIX_ADMIN_KEY", "OMNIX_GRPC_PORT"}
        assert not withheld & environ.keys()
        assert (environ["OMNIX_LOG_LEVEL"], environ["OMNIX_BENCH_RUN"]) == ("DEBUG", "abc")
        assert "127.0.0.1" in environ["NO_PROXY"]


def test_terminal_shows_a_table_that_is_drawn_anew(suite: Suite) -> None:
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [*suite.program, "up", "--port", str(suite.port), "--data-dir", str(suite.data.root)],
        env={**suite.environ, "TERM": "xterm", "COLUMNS": "120"},
        cwd=suite.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    try:
        while b"restarts" not in seen or b"Admin key" not in seen:
            ready, _, _ = select.select([terminal], [], [], 10)
            assert ready, seen
            seen += os.read(terminal, 65536)
        process.send_signal(signal.SIGTERM)
        with suppress(OSError):  # the terminal is gone with its last user
            while part := os.read(terminal, 65536):
                seen += part
        assert process.wait(20) == 0
    finally:
        process.kill()
        os.close(terminal)
    assert f"OmniX is ready at http://127.0.0.1:{suite.port}".encode() in seen
