import re
import socket
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnix_kit.addresses import NotPublicError, Rules, is_public

RULES = Rules()
INNER = [
    "localhost", "LOCALHOST.", "a.localhost", "printer.local", "metadata.google.internal", "router", "a", "x.onion",
    "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166",
    "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "203.0.113.1", "224.0.0.1",
    "255.255.255.255", "192.168.257", "134744072", "8.8.2056", "010.8.8.8",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:8.8.8.8]", "[::127.0.0.1]",
    "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]", "[64:ff9b::7f00:1]", "[64:ff9b::808:808]", "[64:ff9b:1::1]",
    "[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:db8::1]", "[ff02::1]", "[fec0::1]",
    "[::8.8.8.8]",
    "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "%31%32%37.0.0.1", "256.1.1.1", "1.2.3.4.5", "0x",
    "127.0.0.1\\@example.com", "user@127.0.0.1", "user@example.com", "example.com:0", "example.com:22",
    "example.com:99999", "exa mple.com", "example..com", "-a.example.com", "a" * 64 + ".com", ".", "",
]  # fmt: skip
PUBLIC = {
    "example.com": ("example.com", 443),
    "EXAMPLE.com.": ("example.com.", 443),
    "example.com:80": ("example.com", 80),
    "8.8.8.8": ("8.8.8.8", 443),
    "[2606:4700::1111]": ("2606:4700::1111", 443),
    "1password.com": ("1password.com", 443),
    "localhost.example.com": ("localhost.example.com", 443),
    "bücher.example": ("xn--bcher-kva.example", 443),
    "3.example.museum": ("3.example.museum", 443),
    "a_b.example.com": ("a_b.example.com", 443),
}


@pytest.mark.parametrize("host", INNER)
def test_hosts_inside_a_network_are_refused(host: str) -> None:
    with pytest.raises(NotPublicError):
        RULES.place_of(f"https://{host}/a.png")


@pytest.mark.parametrize("host", PUBLIC)
def test_hosts_of_the_public_network_are_read(host: str) -> None:
    place = RULES.place_of(f"https://{host}/a%20b/ü.png?c=d&e#f")
    assert (place.host, place.port) == PUBLIC[host]
    assert place.target == "/a%20b/%C3%BC.png?c=d&e"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://a/b",
        "http:",
        "http:///a",
        "http://[",
        "//a.b",
        "http://a.b/\ud800",
    ],
)
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(NotPublicError):
        RULES.place_of(url)


def test_what_is_told_holds_no_part_of_the_address() -> None:
    for url in ("https://user:secret@example.com", "https://10.9.8.7/", "https://a.secret.internal"):
        with pytest.raises(NotPublicError) as told:
            RULES.place_of(url)
        assert all(part not in str(told.value) for part in ("secret", "10.9.8.7"))


def test_hosts_and_networks_can_be_allowed() -> None:
    rules = Rules.of([80, 443], ["localhost:9000", "files.internal", "10.1.0.0/16", "[::1]:8080"])
    for url in (
        "http://localhost:9000/a",
        "https://files.internal/a",
        "http://10.1.2.3/",
        "http://[::1]:8080/",
    ):
        rules.place_of(url)
    for url in (
        "http://localhost:9001/",
        "http://localhost/a",  # whoever names a port does not open the others
        "http://[::1]/",
        "http://files.internal:9000/",
        "http://b.files.internal/",
        "http://10.2.0.1/",
        "http://10.1.2.3:9000/",
        "http://127.0.0.1:9000/",
    ):
        with pytest.raises(NotPublicError):
            rules.place_of(url)
    assert rules.may_call("files.internal", 80, ip_address("127.0.0.1"))
    assert rules.may_call("example.com", 80, ip_address("10.1.0.9"))
    assert rules.may_call("localhost", 9000, ip_address("127.0.0.1"))
    assert not rules.may_call("localhost", 80, ip_address("127.0.0.1"))
    assert not rules.may_call("example.com", 80, ip_address("127.0.0.1"))


@pytest.mark.parametrize("entry", ["", "http://a", "a@b", "10.0.0.0/33", "a/b", "a:b"])
def test_an_entry_that_says_nothing_is_named(entry: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Rules.of([80], [entry])


def test_what_a_name_leads_to_is_judged_alike() -> None:
    for inner in ("127.0.0.1", "::1", "::ffff:8.8.8.8", "fe80::1", "64:ff9b::808:808", "100.64.1.1"):
        assert not is_public(ip_address(inner))
    for outer in ("1.1.1.1", "2606:4700::1111"):
        assert is_public(ip_address(outer))


PIECES = st.sampled_from(
    [
        "http://", "https:", "//", "/", "\\", "@", ":", "[", "]", "%", "0x", "127", ".", "1", "::", "ffff", "localhost",
        "a.b", "?", "#", "example.com", "169.254", "443", "80", "99999", "ü", "\u3002", "\uff0e", "\t", "\n", "\ud800",
    ]
)  # fmt: skip


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_any_text_is_a_place_or_refused_and_no_place_is_a_hidden_number(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/a"):
        try:
            place = RULES.place_of(url)
        except NotPublicError:
            continue
        assert f"{place.host}{place.target}".isascii()
        assert not re.search(r"[\s\\@]", place.host)
        if place.address is None:
            with pytest.raises(OSError):  # noqa: PT011
                socket.inet_aton(place.host.rstrip("."))
        else:
            assert is_public(place.address)
