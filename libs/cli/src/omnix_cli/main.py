"""Where the ``omnix`` command begins and ends."""

import sys
from typing import TYPE_CHECKING, NoReturn

from omnix_cli.errors import CommandError

if TYPE_CHECKING:
    from omnix_cli.installation import Installation

DAEMON = "daemon"
"""The word by which the command is told to be the supervisor of ``up --detach``."""


def main(installation: "Installation | None" = None) -> NoReturn:
    """Run the command of ``sys.argv`` and end the process with its exit code."""
    try:
        if sys.argv[1:2] == [DAEMON]:  # the way of ``up --detach``; without what parses commands it starts sooner
            from omnix_cli import foreground
            from omnix_cli.installation import Installation
            from omnix_cli.wish import Wish

            foreground.run(installation or Installation(), Wish.from_words(sys.argv[2:]), daemon=True)
        else:
            from omnix_cli.app import app

            app(obj=installation)
    except CommandError as exc:
        sys.stderr.write(f"omnix: {exc}\n")
        sys.exit(exc.exit_code)
    sys.exit(0)
