"""``omnix down``: stops the suite of a data directory, whatever is left of it."""

import os
import signal
import time
from contextlib import suppress

from omnix_cli import leftovers, lock
from omnix_cli.places import DataDir

_LOOK_EVERY = 0.05
_AT_ONCE_WITHIN = 10.0


def down(data: DataDir, within: float) -> str:
    """Stop it and return what was done. Nothing of the suite runs afterwards.

    :param within: seconds for an orderly stop; what is left then is killed.
    """
    pid = lock.holder(data.lock)
    if pid is not None:
        for number, patience in ((signal.SIGTERM, within), (signal.SIGTERM, _AT_ONCE_WITHIN), (signal.SIGKILL, 5.0)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if _released(data, pid, patience):
                break
    left = leftovers.find(data)
    leftovers.end(left)
    if pid is None and not left:
        return f"no suite runs on {data.root}"
    return f"stopped the suite on {data.root}" + (f", with {len(left)} processes left behind" if left else "")


def _released(data: DataDir, pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if lock.holder(data.lock) != pid:
            return True
        time.sleep(_LOOK_EVERY)
    return False
