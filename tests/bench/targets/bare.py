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

    def endpoint(self, upstream: Upstream) -> Endpoint:
        headers = {"authorization": f"Bearer {upstream.api_key}"}
        return Endpoint(upstream.port, "/openai/v1/chat/completions", headers)

    @contextmanager
    def running(self, upstream: Upstream, directory: Path) -> Iterator[Running]:
        yield Running(self.endpoint(upstream), pids=list)
