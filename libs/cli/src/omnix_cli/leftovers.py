"""Processes that a supervisor left behind when it was killed."""

import os

import psutil

from omnix_cli.environment import MARK
from omnix_cli.places import DataDir

_POLITE, _FORCED = 8.0, 5.0


def find(data: DataDir) -> list[psutil.Process]:
    """Every process that carries the mark of this data directory, whether or not anything recorded it."""
    mark, found = str(data.root), []
    relatives = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in relatives and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # another user's, or gone
    return found


def end(processes: list[psutil.Process]) -> None:
    """Ask them to stop, then make them; psutil sees to it that a pid used anew is not meant."""
    for process in processes:
        _signal(process, force=False)
    _, alive = psutil.wait_procs(processes, timeout=_POLITE)
    for process in alive:
        _signal(process, force=True)
    psutil.wait_procs(alive, timeout=_FORCED)


def _signal(process: psutil.Process, *, force: bool) -> None:
    try:
        process.kill() if force else process.terminate()
    except psutil.NoSuchProcess:
        return
