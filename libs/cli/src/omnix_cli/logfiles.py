"""Log files: appended to by the services themselves, kept small by the supervisor, read from their ends."""

import shutil
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
_BLOCK = 64 * 1024


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Move the content to ``<name>.1`` when it is too long.

    The writer keeps its descriptor, which is in append mode, so the file is copied and emptied. A line written between
    the two is lost.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    try:
        shutil.copyfile(path, older(path))
    except OSError:  # a full disk, which is no reason to let the log grow on
        older(path).unlink(missing_ok=True)
    with path.open("r+b") as file:
        file.truncate(0)


def older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def tail(path: Path, lines: int, start: int = 0) -> list[str]:
    """The last whole lines of a file, those before the offset ``start`` left out."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            if end < start:
                start = 0  # it was rotated meanwhile
            content, position = b"", end
            while position > start and content.count(b"\n") <= lines:
                position = max(start, position - _BLOCK)
                file.seek(position)
                content = file.read(end - position)
    except FileNotFoundError:
        return []
    return [line.decode(errors="replace") for line in content.splitlines()[-lines:]] if lines > 0 else []


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
