"""Fills in what the table of services leaves open: keys, ports, who is played by the sandbox."""

import os
import secrets
import socket
from collections.abc import Mapping, Sequence

from omnix_cli import ports, state
from omnix_cli.access import kept_admin_key
from omnix_cli.errors import UsageError
from omnix_cli.places import DataDir
from omnix_cli.state import KeySource
from omnix_cli.suite import VENDORS, Service, Site

_SHORTEST_KEY = 16


def prepare(
    data: DataDir, services: Sequence[Service], outside: Mapping[str, str], host: str, port: int, grace: float
) -> tuple[Site, KeySource]:
    """Decide on everything before the first process starts; ports of the last run are kept where they are free.

    :param port: of the gateway; 0 takes the one of the last run, or a free one.
    :raises UsageError: when the gateway cannot listen, or the admin key is no key.
    """
    last = state.read(data.state)
    before = {} if last is None else {name: service.ports for name, service in last.services.items()}
    public = _public_port(host, port, before)
    key, source = _admin_key(data, outside)
    site = Site(
        data=data,
        outside=outside,
        admin_key=key,
        http_host=host,
        http_port=public,
        sandboxed=tuple(vendor.name for vendor in VENDORS if not vendor.has_key(outside)),
        grace=grace,
        ports=_ports(services, before, public),
    )
    return site, source


def _admin_key(data: DataDir, outside: Mapping[str, str]) -> tuple[str, KeySource]:
    if given := outside.get("OMNIX_ADMIN_KEY"):
        if len(given) < _SHORTEST_KEY or not given.isascii() or not given.isprintable() or " " in given:
            raise UsageError(f"OMNIX_ADMIN_KEY must be at least {_SHORTEST_KEY} visible ASCII characters")
        data.admin_key.unlink(missing_ok=True)  # the other key takes its place for good, and this one is revoked
        return given, "environment"
    if kept := kept_admin_key(data):
        return kept, "file"
    made = f"sk-omnix-{secrets.token_urlsafe(32)}"
    fresh = data.admin_key.with_name("admin.key.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, data.admin_key)
    return made, "file"


def _public_port(host: str, port: int, before: Mapping[str, Mapping[str, int]]) -> int:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise UsageError(f"--host {host}: {exc.strerror}; take an address of this machine") from exc
    if port == 0:
        kept = next((service["http"] for name, service in before.items() if name == "gateway" and "http" in service), 0)
        return kept if kept and ports.is_free(kept, host) else ports.choose()
    if not ports.is_free(port, host):
        by = ports.holder(port)
        raise UsageError(
            f"port {port} is in use{f' by {by}' if by else ''}; "
            f"take another, such as --port {ports.next_free(port, host)}"
        )
    return port


def _ports(
    services: Sequence[Service], before: Mapping[str, Mapping[str, int]], public: int
) -> dict[str, dict[str, int]]:
    """Each port once; those not wanted now are chosen too, which costs nothing."""
    taken = {public}
    chosen: dict[str, dict[str, int]] = {}
    for service in services:
        chosen[service.name] = {}
        for name in service.ports:
            kept = before.get(service.name, {}).get(name, 0)
            if service.name == "gateway" and name == "http":
                port = public
            elif kept and kept not in taken and ports.is_free(kept):
                port = kept
            else:
                port = ports.choose(taken)
            taken.add(port)
            chosen[service.name][name] = port
    return chosen
