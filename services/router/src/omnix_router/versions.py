"""Whether a file on disk is another one than before."""

from pathlib import Path

Version = tuple[int, int, int]
"""Inode, time of change and size: what tells one content of a path from another."""


def version_of(path: Path) -> Version | None:
    """None when it cannot be looked at. It blocks: a file may be on a slow disk."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
