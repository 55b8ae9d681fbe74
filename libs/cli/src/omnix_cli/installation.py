"""What the command runs: the table of services, and the program that starts itself again in the background."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from omnix_cli.pace import Pace
from omnix_cli.suite import SERVICES, Service


@dataclass(frozen=True, slots=True)
class Installation:
    services: Sequence[Service] = SERVICES
    program: Sequence[str] = (sys.executable, "-P", "-m", "omnix_cli")
    pace: Pace = field(default_factory=Pace)
