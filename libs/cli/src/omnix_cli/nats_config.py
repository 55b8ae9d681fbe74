"""The configuration of the suite's own NATS server."""

import json
from pathlib import Path

_MEMORY, _FILE = "1GB", "8GB"
"""Above the sum of what the streams may take: the server refuses a stream whose bound it could not keep."""


def write(folder: Path, port: int, monitor_port: int) -> None:
    """Write ``nats.conf`` for a server on loopback that has what it acknowledged on disk."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "nats.conf").write_text(
        f"""\
# Written at every start of the suite; changes here do not last.
server_name: omnix
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor_port}"
max_payload: 8MB
logtime_utc: true
jetstream {{
  store_dir: {json.dumps(str(folder / "store"))}
  max_memory_store: {_MEMORY}
  max_file_store: {_FILE}
  # The usage events are money; the default fsyncs every two minutes.
  sync_interval: always
}}
"""
    )
