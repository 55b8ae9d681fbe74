"""Which gateway a command talks to, and with which key: what was given, or the suite of the data directory."""

import os
from pathlib import Path

from omnix_cli import environment, state
from omnix_cli.errors import CommandError
from omnix_cli.places import DataDir
from omnix_cli.state import SuiteState


def gateway_url(given: str | None, data: DataDir) -> str:
    """The gateway's address without ``/v1``, which some give with it."""
    if given:
        return given.rstrip("/").removesuffix("/v1")
    return _suite(data, "--url or OMNIX_URL").url


def nats_url(given: str | None, data: DataDir) -> str:
    return given or _suite(data, "--nats or OMNIX_NATS_URL").nats_url


def key(given: str | None, data: DataDir) -> str:
    """The key that was given, or the admin key of the suite."""
    found = given or local_admin_key(data, state.read(data.state))
    if not found:
        raise CommandError("no key: give one by --key or OMNIX_API_KEY (or OMNIX_ADMIN_KEY, as omnix up had it)")
    return found


def local_admin_key(data: DataDir, suite: SuiteState | None) -> str:
    """The admin key by which the suite was started; empty when it is not to be had here."""
    if suite is None or suite.admin_key == "environment":
        return environment.outside(os.environ, Path(".env")).get("OMNIX_ADMIN_KEY", "")
    return kept_admin_key(data) or ""


def kept_admin_key(data: DataDir) -> str | None:
    """The key that was made for this suite; None when none was."""
    try:
        return data.admin_key.read_text().strip() or None
    except FileNotFoundError:
        return None


def _suite(data: DataDir, instead: str) -> SuiteState:
    found = state.read(data.state)
    if found is None:
        raise CommandError(f"no suite ever ran on {data.root}; start one with omnix up, or give {instead}")
    return found
