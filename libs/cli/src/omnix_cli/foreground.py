"""``omnix up``: runs the suite until a signal."""

import asyncio
import os
from pathlib import Path

from omnix_cli import announcement, environment, leftovers, lock, screen
from omnix_cli.installation import Installation
from omnix_cli.site import prepare
from omnix_cli.state import SuiteState
from omnix_cli.supervisor import Supervisor
from omnix_cli.wish import Wish, in_use


def run(installation: Installation, wish: Wish, *, daemon: bool = False) -> None:
    """Start everything and live until SIGINT, SIGTERM or SIGHUP.

    :param daemon: say nothing that must not stand in a log file.
    :raises CommandError: when the suite cannot be brought up.
    """
    data = wish.data
    data.make()
    try:
        lock.take(data.lock)
    except lock.HeldError as exc:
        raise in_use(data, exc.pid) from exc
    if left := leftovers.find(data):
        print(f"ending {len(left)} processes that an earlier run left behind", flush=True)
        leftovers.end(left)
    outside = environment.outside(os.environ, Path(".env"))
    site, source = prepare(data, installation.services, outside, wish.host, wish.port, wish.grace)

    def announce(suite: SuiteState) -> str:
        return f"ready at {suite.url}" if daemon else announcement.told(suite.url, site.admin_key, suite.sandboxed)

    shown = screen.fitting(announce)
    supervisor = Supervisor(installation.services, site, source, shown.changed, installation.pace)
    try:
        asyncio.run(_both(supervisor, shown))
    finally:
        shown.close()


async def _both(supervisor: Supervisor, shown: screen.Screen) -> None:
    showing = asyncio.create_task(shown.run())
    try:
        await supervisor.run()
    finally:
        showing.cancel()
