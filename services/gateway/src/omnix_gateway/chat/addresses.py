"""Whether an address that somebody fetches for the caller is one of the public network. Pure: no name is looked up."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

_INNER_NAMES: Final = ("localhost", "local", "internal", "lan", "home.arpa", "localdomain")
_PLATFORM: Final = IPv4Address("168.63.129.16")
"""Azure's platform channel, which has a public number."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")


def is_public(url: str) -> bool:
    """Whether it is an http(s) address whose host is not, as it is written, inside some network.

    Numbers are read in every form that fetching programs read: ``127.1``, ``0x7f000001``, ``[::ffff:127.0.0.1]``.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        # Browsers read a backslash as a slash, and so another host than Python does.
        if parts.scheme.lower() not in ("http", "https") or not host or parts.port == 0 or "\\" in parts.netloc:
            return False
        if ":" in host:
            return _is_public_v6(IPv6Address(host.partition("%")[0]))
        name = normalize("NFKC", unquote(host)).replace("\u3002", ".").lower().rstrip(".")
        if not name or ":" in name or "/" in name or "@" in name:
            return False
        number = _number(name)
    except ValueError:
        return False
    if number is not None:
        return _is_public_v4(number)
    return not any(name == inner or name.endswith(f".{inner}") for inner in _INNER_NAMES)


def _number(name: str) -> IPv4Address | None:
    """Read a host as ``inet_aton`` does: one to four numbers, of which the last fills what is left.

    :raises ValueError: when it ends like a number and is none.
    """
    labels = name.split(".")
    if not labels[-1][:1].isdecimal():
        return None
    try:
        numbers = [_integer(label) for label in labels]
    except ValueError:
        if all(label[:1].isdecimal() for label in labels):
            raise
        return None
    *first, last = numbers
    if len(numbers) > 4 or any(each > 255 for each in first) or last >= 256 ** (5 - len(numbers)):
        raise ValueError("no address")
    value = 0
    for each in first:
        value = value * 256 + each
    return IPv4Address(value * 256 ** (5 - len(numbers)) + last)


def _integer(label: str) -> int:
    if not label.isascii() or not label.isalnum():
        raise ValueError("no number")
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") and label != "0" else int(label)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and address != _PLATFORM


def _is_public_v6(address: IPv6Address) -> bool:
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and (address in _NAT64 or address in _COMPATIBLE):
        inside = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inside is not None:
        return _is_public_v4(inside)
    tunnelled = address.teredo is not None
    return address.is_global and not (address.is_multicast or address.is_site_local or tunnelled)
