from collections.abc import Iterator
from pathlib import Path

import pytest
from omnix_kit.testing import NatsServer, nats_server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server
