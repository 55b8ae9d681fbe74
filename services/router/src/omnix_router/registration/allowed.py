"""Which addresses adapters may register. Pure: no name is looked up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

_ADDRESS: Final = re.compile(r"(?:(?P<name>[a-z0-9_.-]+)|\[(?P<v6>[0-9a-f:.]+)\]):(?P<port>[1-9]\d{0,4})")
_LABELS: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
"""The last label begins with no digit: what only looks like an address (``127.1``, ``0x7f.1``) is none and no name."""
_LONGEST_NAME: Final = 253
_LAST_PORT: Final = 65_535
_ANY: Final = "*."


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens, written in one way only, so that equal ones compare equal."""

    host: str | IPv4Address | IPv6Address
    port: int

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read ``host:port``; None for what is no such thing, a scheme of gRPC's (``unix:``, ``dns:``) among it."""
        found = _ADDRESS.fullmatch(text.lower())
        if found is None or int(found["port"]) > _LAST_PORT:
            return None
        host: str | IPv4Address | IPv6Address
        try:
            host = IPv6Address(found["v6"]) if found["v6"] else ip_address(found["name"])
        except ValueError:
            host = found["name"] or ""
            if len(host) > _LONGEST_NAME or not _LABELS.fullmatch(host):
                return None
        return cls(host, int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if isinstance(self.host, IPv6Address) else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts that are trusted with callers' prompts and with the services' token. An empty one allows none."""

    names: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    """Of names, each with its dot in front."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """Read a list: ``acme.internal``, ``*.adapters.svc``, ``10.1.0.0/16``, ``::1``.

        :raises ValueError: naming an entry that is none of these.
        """
        names, endings, networks = set(), [], []
        for entry in (each.lower() for each in entries):
            name = entry.removeprefix(_ANY)
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if len(name) > _LONGEST_NAME or not _LABELS.fullmatch(name):
                    raise ValueError(
                        f"{entry!r} is neither a host, nor hosts as *.example.internal, nor an address, nor a network"
                    ) from None
                if name == entry:
                    names.add(name)
                else:
                    endings.append(f".{name}")
        return cls(frozenset(names), tuple(endings), tuple(networks))

    def __bool__(self) -> bool:
        return bool(self.names or self.endings or self.networks)

    def allows(self, address: Address) -> bool:
        """Networks are of addresses that are written as such; where a name leads is for whoever gives names."""
        if isinstance(address.host, str):
            return address.host in self.names or address.host.endswith(self.endings)
        return any(address.host in network for network in self.networks)
