"""The whole suite as `omnix up` starts it: authentication, metering and recording on, nothing tuned."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import psutil

from bench.processes import free_port, marked, spawned, stop, tree
from bench.targets.base import Endpoint, Running, Upstream, first_answer

_MARK = "BENCH_RUN"
"""Set for the supervisor and inherited by its children, so that they are found however they detach."""


class OmniX:
    name = "omnix"

    @property
    def title(self) -> str:
        return f"OmniX {metadata.version('omnix-cli')}"

    def prepare(self) -> None:
        """It is the environment the harness itself runs in."""

    @contextmanager
    def running(self, upstream: Upstream, directory: Path) -> Iterator[Running]:
        run, key, port = secrets.token_hex(8), f"sk-omnix-{secrets.token_urlsafe(32)}", free_port()
        data = directory / "data"
        env = {
            **_without_settings(os.environ),
            **_vendors(upstream),
            _MARK: run,
            "OMNIX_ADMIN_KEY": key,
        }
        command = [str(Path(sys.executable).parent / "omnix")]
        up = [*command, "up", "--detach", "--data-dir", str(data), "--port", str(port)]
        log = directory / "omnix-up.log"
        endpoint = Endpoint(port, "/v1/chat/completions", {"authorization": f"Bearer {key}"})
        started = time.monotonic()
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    up, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=directory
                )
            first_answer(endpoint, process, log)
            cold = time.monotonic() - started
            process.wait(timeout=60)
            yield Running(
                endpoint, pids=lambda: _members(run), services=lambda: _services(run), cold_start_seconds=cold
            )
        finally:
            down = [*command, "down", "--data-dir", str(data)]
            with (
                suppress(subprocess.TimeoutExpired),
                spawned(down, log=directory / "omnix-down.log", env=env) as process,
            ):
                process.wait(timeout=60)
            stop(marked(_MARK, run))


def _without_settings(environ: os._Environ[str]) -> dict[str, str]:
    """The environment without what would configure OmniX differently from a fresh machine."""
    vendors = ("OMNIX_", "OPENAI_", "AWS_", "GEMINI_", "GOOGLE_", "HF_")
    return {name: value for name, value in environ.items() if not name.startswith(vendors)}


def _vendors(upstream: Upstream) -> dict[str, str]:
    """The upstream in place of every vendor, by the variables that a customer would set; so no sandbox is started."""
    return {
        "OPENAI_BASE_URL": upstream.openai_url,
        "OPENAI_API_KEY": upstream.api_key,
        "AWS_ENDPOINT_URL": f"{upstream.url}/bedrock",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIABENCHUPSTREAM000",
        "AWS_SECRET_ACCESS_KEY": upstream.api_key,
        "GOOGLE_GEMINI_BASE_URL": f"{upstream.url}/gemini",
        "GEMINI_API_KEY": upstream.api_key,
        "HF_BASE_URL": f"{upstream.url}/huggingface/v1",
        "HF_TOKEN": upstream.api_key,
    }


def _members(run: str) -> Sequence[int]:
    return sorted({member.pid for root in marked(_MARK, run) for member in tree(root.pid)})


def _services(run: str) -> Mapping[str, int]:
    """By the module that each runs: `omnix_adapter_openai` is ``adapter-openai``."""
    found = {}
    for pid in _members(run):
        with suppress(psutil.NoSuchProcess):
            words = psutil.Process(pid).cmdline()
            if "-m" in words[:-1]:
                found[words[words.index("-m") + 1].removeprefix("omnix_").replace("_", "-")] = pid
    return found
