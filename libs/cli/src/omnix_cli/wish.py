"""What was asked for on the command line of ``omnix up``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omnix_cli import state
from omnix_cli.errors import CommandError
from omnix_cli.places import DataDir


@dataclass(frozen=True, slots=True)
class Wish:
    data: DataDir
    host: str
    port: int
    """Of the gateway; 0 for one that is free."""
    grace: float
    """Seconds for each service to finish its work when it stops."""

    def words(self) -> list[str]:
        """For the command line of a daemon, which reads them by ``from_words``."""
        return [str(self.data.root), self.host, str(self.port), repr(self.grace)]

    @classmethod
    def from_words(cls, words: Sequence[str]) -> "Wish":
        root, host, port, grace = words
        return cls(DataDir.at(Path(root)), host, int(port), float(grace))


def in_use(data: DataDir, pid: int | None) -> CommandError:
    """The data directory has a supervisor already."""
    now = state.read(data.state)
    where = f", {now.url}" if now is not None and now.pid == pid else ""
    return CommandError(
        f"a suite runs on {data.root} already (pid {pid}{where}); "
        "stop it with omnix down, or take another --data-dir and --port"
    )
