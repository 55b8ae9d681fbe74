"""The ``omnix`` command over a table of two small services, run as a program by the tests."""

import sys
from collections.abc import Mapping
from pathlib import Path

from omnix_cli.installation import Installation
from omnix_cli.main import main
from omnix_cli.pace import Pace
from omnix_cli.suite import Service, Site

SERVICE = Path(__file__).with_name("little_service.py")


def row(name: str, port: str, stops: int, *receives: str) -> Service:
    def environment(site: Site) -> Mapping[str, str]:
        return {
            "LITTLE_NAME": name,
            "LITTLE_PORT": str(site.port(name, port)),
            "LITTLE_FOLDER": str(site.data.root),
        }

    return Service(
        name,
        command=lambda site: (sys.executable, "-I", "-S", str(SERVICE)),
        ports=(port,),
        environment=environment,
        probes=((port, "/readyz"),),
        stops=stops,
        receives=lambda site: receives,
    )


if __name__ == "__main__":
    main(
        Installation(
            services=(row("store", "grpc", 2, "STORE_PASSWORD"), row("gateway", "http", 1, "OPENAI_API_KEY")),
            program=(sys.executable, __file__),
            pace=Pace(young=0.02, settled=0.05, first_pause=0.05, longest_pause=0.2, beyond_grace=0.3, tries=3),
        )
    )
