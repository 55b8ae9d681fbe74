"""LiteLLM's proxy with its master key, one worker and no database."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import install
from bench.processes import free_port, spawned, tree
from bench.targets.base import Endpoint, Running, Upstream, first_answer

_MASTER_KEY = "sk-bench-litellm-master"


class LiteLLM:
    name = "litellm"
    title = f"LiteLLM proxy {install.LITELLM}"

    def prepare(self) -> None:
        install.litellm()

    @contextmanager
    def running(self, upstream: Upstream, directory: Path) -> Iterator[Running]:
        commands = install.litellm()
        config = directory / "config.yaml"  # JSON is YAML
        model = {"model": "openai/gpt-4o", "api_base": upstream.openai_url, "api_key": upstream.api_key}
        config.write_text(
            json.dumps(
                {
                    "model_list": [{"model_name": "gpt-4o", "litellm_params": model}],
                    "general_settings": {"master_key": _MASTER_KEY},
                    "litellm_settings": {"telemetry": False},
                }
            )
        )
        env = {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
        }
        port = free_port()
        argv = [str(commands / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        argv += ["--num_workers", "1", "--telemetry", "False"]
        log = directory / "litellm.log"
        endpoint = Endpoint(port, "/v1/chat/completions", {"authorization": f"Bearer {_MASTER_KEY}"})
        started = time.monotonic()
        with spawned(argv, log=log, env=env, cwd=directory) as process:
            first_answer(endpoint, process, log)
            yield Running(
                endpoint,
                pids=lambda: [member.pid for member in tree(process.pid)],
                cold_start_seconds=time.monotonic() - started,
            )
