"""Which addresses somebody else may have us call. Pure: no name is looked up.

What is public is said by the registries of special addresses, and by what clouds add to them:
https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self
from urllib.parse import quote, urlsplit

IPAddress = IPv4Address | IPv6Address

_LONGEST: Final = 8192
_LONGEST_HOST: Final = 253
_SCHEMES: Final = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
_NOT_IN_AN_ADDRESS: Final = re.compile(r"[\x00-\x20\x7f\\]")
_INNER_NAMES: Final = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain", "onion")

_INNER_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers; Alibaba's metadata is 100.100.100.200
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's platform channel, which has a public number
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",  # Oracle's metadata is 192.0.0.192
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_UNICAST_V6: Final = IPv6Network("2000::/3")
"""All that is global. Mapped and translated IPv4 (``::ffff:0:0/96``, ``64:ff9b::/96``) is outside of it."""
_INNER_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, Teredo among them
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)


class NotPublicError(ValueError):
    """The address is not one to call. The message is a sentence for whoever gave it."""


def is_public(address: IPAddress) -> bool:
    """Whether the address belongs to one host of the public network, and carries no other address inside."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INNER_V4) and address.is_global
    return (
        address in _UNICAST_V6
        and not any(address in network for network in _INNER_V6)
        and address.is_global
        and address.scope_id is None
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    scheme: str
    host: str
    """Lower case ASCII; an IPv6 address is without brackets."""
    port: int
    target: str
    """Path and query, as they were written, in ASCII."""
    address: IPAddress | None
    """The host, where it is written as an address."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which places are allowed: those of the public network on the ports, and those named besides."""

    ports: frozenset[int] = frozenset({80, 443})
    hosts: frozenset[str] = frozenset()
    """Names and addresses that are allowed whatever they lead to."""
    places: frozenset[tuple[str, int]] = frozenset()
    """The same, on this port alone."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses that are allowed like public ones."""

    @classmethod
    def of(cls, ports: Iterable[int], allowed: Iterable[str]) -> Self:
        """Read the entries of a list: ``files.example.internal``, ``localhost:9000``, ``10.1.0.0/16``, ``[::1]:80``.

        :raises ValueError: naming an entry that is none of these.
        """
        hosts, places, networks = set(), set(), []
        for entry in allowed:
            if "/" in entry:
                networks.append(ip_network(entry))
                continue
            parts = urlsplit(f"//{entry}")
            host = parts.hostname
            if not host or parts.path or parts.query or "@" in entry:
                raise ValueError(f"{entry!r} is neither a host, nor a host with a port, nor a network")
            host = host.rstrip(".")
            if parts.port is None:
                hosts.add(host)
            else:
                places.add((host, parts.port))
        return cls(frozenset(ports), frozenset(hosts), frozenset(places), tuple(networks))

    def place_of(self, url: str) -> Place:
        """Read an address and check it as it is written.

        A host is a name, or an address in its one usual form: what ``inet_aton`` reads besides (``127.1``,
        ``0x7f000001``, ``2130706433``) is refused, for programs differ about it.

        :raises NotPublicError: saying why not.
        """
        if len(url) > _LONGEST:
            raise NotPublicError(f"The address has more than {_LONGEST} characters.")
        if _NOT_IN_AN_ADDRESS.search(url):
            raise NotPublicError("The address holds a blank, a backslash or a control character.")
        try:
            parts = urlsplit(url)
            port = parts.port
            host = parts.hostname
        except ValueError:
            raise NotPublicError("The address cannot be read.") from None
        scheme = parts.scheme.lower()
        if scheme not in _SCHEMES or not host:
            raise NotPublicError("The address must be an http or https one.")
        if "@" in parts.netloc:
            raise NotPublicError("The address must hold no user and no password.")
        if port is None:
            port = _SCHEMES[scheme]
        name, address = _host(host)
        bare = name.rstrip(".")
        if port not in self.ports and (bare, port) not in self.places:
            raise NotPublicError(f"The port {port} is not one that is called.")
        if not self._allows(bare, port):
            if address is not None and not self.may_call(name, port, address):
                raise _inner()
            if address is None and ("." not in bare or bare.endswith(_INNER_ENDS)):
                raise _inner()
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        try:
            return Place(scheme, name, port, quote(target, _ASCII), address)
        except UnicodeEncodeError:
            raise NotPublicError("The address holds what is no Unicode.") from None

    def may_call(self, host: str, port: int, address: IPAddress) -> bool:
        """Whether a host may be called at that address."""
        if self._allows(host.rstrip("."), port) or is_public(address):
            return True
        return any(address in network for network in self.networks)

    def _allows(self, bare: str, port: int) -> bool:
        return bare in self.hosts or (bare, port) in self.places


_INNER_ENDS: Final = tuple(f".{name}" for name in _INNER_NAMES)


def _host(host: str) -> tuple[str, IPAddress | None]:
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise NotPublicError("The host is no IPv6 address.") from None
        if address.scope_id is not None:
            raise _inner()
        return str(address), address
    try:
        name = host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise NotPublicError("The host is no name.") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotPublicError("The host is no name.")
    if not _NUMBER.fullmatch(labels[-1]):
        return name, None
    try:
        return name, ip_address(name)
    except ValueError:
        raise NotPublicError("The host is a number in a form other than 192.0.2.1.") from None


def _inner() -> NotPublicError:
    return NotPublicError("The address must be a public one.")
