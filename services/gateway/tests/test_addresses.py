import pytest
from omnix_gateway.chat.addresses import is_public

INNER = [
    "localhost", "LOCALHOST.", "a.localhost", "printer.local", "metadata.google.internal",
    "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166",
    "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "192.168.257",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[fd00:ec2::254]", "[fe80::1]",
    "[fe80::1%25eth0]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]", "[fec0::1]",
    "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1", "256.1.1.1", "1.2.3.4.5", "0x", "127.0.0.1\\@example.com",
    "user@127.0.0.1", "127.0.0.1:8080",
]  # fmt: skip
PUBLIC = [
    "example.com", "EXAMPLE.com.", "user@example.com:8443", "8.8.8.8", "134744072", "[2606:4700::1111]",
    "[::ffff:8.8.8.8]", "1password.com", "localhost.example.com", "bücher.example", "3.example.museum",
    "a_b.example.com",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_hosts_inside_a_network_are_not_public(host: str) -> None:
    assert not is_public(f"http://{host}/a.png")


@pytest.mark.parametrize("host", PUBLIC)
def test_hosts_of_the_public_network_are(host: str) -> None:
    assert is_public(f"https://{host}/a.png?b=c")


def test_what_is_no_http_address_is_not_public() -> None:
    for url in ("", "ftp://example.com", "http:", "http:///a", "http://example.com:0/", "http://[", "a"):
        assert not is_public(url)
