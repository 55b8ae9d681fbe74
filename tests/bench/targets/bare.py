"""No gateway: the load asks the upstream itself, which shows what the others add."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.targets.base import Endpoint, Running, Upstream


class Bare:
    name = "bare"
    title = "bare upstream"

    def prepare(self) -> None:
        """Nothing is needed."""

    @contextmanager
    def running(self, upstream: Upstream, directory: Path) -> Iterator[Running]:
        endpoint = Endpoint(
            port=upstream.port,
            path="/openai/v1/chat/completions",
            headers={"authorization": f"Bearer {upstream.api_key}"},
        )
        yield Running(endpoint, pids=list)
