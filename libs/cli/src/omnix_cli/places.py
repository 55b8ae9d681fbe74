"""Where a suite keeps its files."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path(".omnix")


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data directory of one suite; two suites on one machine have two."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "DataDir":
        return cls(path.expanduser().resolve())

    def make(self) -> None:
        """Make the directory for its owner alone: it holds keys and what users said."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True, mode=0o700)
        self.data.mkdir(exist_ok=True, mode=0o700)
        ignored = self.root / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def admin_key(self) -> Path:
        return self.root / "admin.key"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        """Stores, journals and spools: what must not be lost."""
        return self.root / "data"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"
