"""Import a price map into the catalogue file of imports: whole or not at all."""

import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from omnix_kit.errors import ConfigurationError

from omnix_router.catalogue.entries import File, Import
from omnix_router.catalogue.fetching import MAX_BYTES, FetchError, Progress, fetch, is_address, spoken
from omnix_router.catalogue.importing import Changes, ImportRefused, merged
from omnix_router.catalogue.pricemap import PriceMapError, read
from omnix_router.catalogue.reading import IMPORTED, MAX_FILE, import_before, load, parse


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports into one file."""

    file: Path
    operator: Path | None = None
    """The operator's own catalogue file, which belongs to what is known."""
    timeout: timedelta = timedelta(seconds=20)

    def run(
        self, source: str, now: datetime, progress: Progress, *, force: bool = False, dry_run: bool = False
    ) -> Changes | None:
        """Read the map at an address or a path, and write what it says. It blocks.

        None when the address says that nothing changed since the last import from it.

        :raises ImportRefused: with a sentence that tells why nothing was written.
        """
        try:
            return self._run(source, now, progress, force=force, dry_run=dry_run)
        except (FetchError, PriceMapError, ImportRefused, ConfigurationError) as exc:
            label = "" if isinstance(exc, FetchError | ConfigurationError) else f"{spoken(source)}: "
            raise ImportRefused(f"{label}{exc}") from exc
        except OSError as exc:
            raise ImportRefused(f"{self.file} cannot be written: {exc.strerror}") from exc

    def _run(self, source: str, now: datetime, progress: Progress, *, force: bool, dry_run: bool) -> Changes | None:
        source = source if is_address(source) else str(Path(source).absolute())
        before = _usable(self.file, force=force)
        last = None if before is None else before.imported
        etag = last.etag if last is not None and last.source == source and not force else ""
        if is_address(source):
            fetched = fetch(source, self.timeout, etag, progress)
            if fetched.text is None:
                return None
            text, etag = fetched.text, fetched.etag
        else:
            text, etag = _text(Path(source)), ""
        known = load(self.operator, self.file if before is not None else None)
        origin = Import(now, source, 0, etag)
        file, changes = merged(before, known, read(text, now.date()), origin, force=force)
        content = _readable(file)
        if not dry_run:
            _write(self.file, content, for_all=all(spoken(each) == each for each in file.sources))
        return changes


def _readable(file: File) -> bytes:
    """What is written, when it can be read again: a router does not start with half of a catalogue."""
    content = msgspec.json.format(msgspec.json.encode(file), indent=1)
    if len(content) > MAX_FILE:
        raise ImportRefused(f"the catalogue would have {len(content)} bytes, more than {MAX_FILE}")
    parse(IMPORTED, content.decode())
    return content


def _write(path: Path, content: bytes, *, for_all: bool) -> None:
    """Replace the file in one step, so that a reader sees the old one or the new one, after a power loss too.

    :param for_all: every user may read it; not when it tells an address whose query may hold a token.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).chmod(0o644 if for_all else 0o600)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _usable(path: Path, *, force: bool) -> File | None:
    """The file of the last import. One that cannot be read is replaced when that is forced."""
    try:
        return import_before(path)
    except ConfigurationError:
        if force:
            return None
        raise


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FetchError(f"{path} has more than {MAX_BYTES} bytes")
        return path.read_text("utf-8")
    except OSError as exc:
        raise FetchError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise FetchError(f"{path} is not UTF-8") from exc
