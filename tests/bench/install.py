"""Brings what the harness compares with, each in an environment of its own under ``.bench``, once."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.paths import BENCH, LOGS, uv
from bench.processes import BenchError

LITELLM = "1.109.1"
PORTKEY = "1.15.2"
_PORTKEY_SERVER = "1.14.1"
"""Later ones answer every stream of Portkey's with a 500: https://github.com/Portkey-AI/gateway/issues/1389"""
PY_SPY = "0.4.3"
_LITELLM_OVERRIDES = Path(__file__).parent / "litellm-overrides.txt"


def litellm() -> Path:
    """The directory of LiteLLM's commands."""
    return _python("litellm", LITELLM, f"litellm[proxy]=={LITELLM}", "--override", str(_LITELLM_OVERRIDES))


def py_spy() -> Path:
    """The sampling profiler's executable."""
    return _python("py-spy", PY_SPY, f"py-spy=={PY_SPY}") / "py-spy"


def portkey() -> Path:
    """The script that starts Portkey's gateway under Node."""
    directory = BENCH / "portkey"

    def install() -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise BenchError("npm is not on the PATH")
        manifest = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": PORTKEY},
            "overrides": {"@hono/node-server": _PORTKEY_SERVER},
        }
        (directory / "package.json").write_text(json.dumps(manifest))
        _run("portkey", [npm, "install", "--prefix", str(directory), "--ignore-scripts", "--no-audit"])

    if shutil.which("node") is None:
        raise BenchError("Node is not on the PATH")
    _once(directory, f"{PORTKEY} {_PORTKEY_SERVER}", install)
    return directory / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def _python(name: str, version: str, *requirements: str) -> Path:
    directory = BENCH / name

    def install() -> None:
        command = uv()
        if command is None:
            raise BenchError("uv is neither on the PATH nor in .tools/bin; `make setup` brings it")
        _run(name, [command, "venv", "--clear", str(directory), "--python", sys.executable])
        python = str(directory / "bin" / "python")
        _run(name, [command, "pip", "install", "--python", python, "--compile-bytecode", *requirements])

    _once(directory, version, install)
    return directory / "bin"


def _once(directory: Path, version: str, install: Callable[[], None]) -> None:
    """Install unless the stamp, which is written last, names this version."""
    stamp = directory / ".installed"
    if stamp.is_file() and stamp.read_text() == version:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    install()
    stamp.write_text(version)


def _run(name: str, argv: Sequence[str]) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"install-{name}.log"
    with log.open("ab") as output:
        try:
            status = subprocess.run(argv, stdout=output, stderr=subprocess.STDOUT, timeout=900, check=False).returncode
        except subprocess.TimeoutExpired:
            raise BenchError(f"installing {name} took more than 15 minutes; see {log}") from None
    if status:
        raise BenchError(f"installing {name} failed; see {log}")
