"""Portkey's open gateway on Node. It checks no key, meters nothing and records nothing: it is a floor, not a peer."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import install
from bench.processes import BenchError, free_port, spawned, tree
from bench.targets.base import Endpoint, Running, Upstream, first_answer


class Portkey:
    name = "portkey"
    title = f"Portkey gateway {install.PORTKEY}"

    def prepare(self) -> None:
        install.portkey()

    @contextmanager
    def running(self, upstream: Upstream, directory: Path) -> Iterator[Running]:
        script = install.portkey()
        node = shutil.which("node")
        if node is None:
            raise BenchError("Node is not on the PATH")
        port = free_port()
        log = directory / "portkey.log"
        headers = {
            "authorization": f"Bearer {upstream.api_key}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": upstream.openai_url,
        }
        env = {**os.environ, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "localhost,127.0.0.1"}
        endpoint = Endpoint(port, "/v1/chat/completions", headers)
        started = time.monotonic()
        with spawned([node, str(script), f"--port={port}", "--headless"], log=log, env=env, cwd=directory) as process:
            first_answer(endpoint, process, log)
            yield Running(
                endpoint,
                pids=lambda: [member.pid for member in tree(process.pid)],
                cold_start_seconds=time.monotonic() - started,
            )
