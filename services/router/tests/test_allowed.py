"""Which addresses adapters may register."""

import pytest
from omnix_router.registration.allowed import Address, Allowed

ALLOWED = Allowed.of(["acme.internal", "*.Adapters.svc", "10.1.0.0/16", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    "address",
    [
        "acme.internal:5001",
        "ACME.internal:1",
        "one.adapters.svc:65535",
        "one.two.adapters.svc:5001",
        "10.1.255.255:5001",
        "127.0.0.1:5001",
        "[fd00::7]:5001",
        "[FD00:0:0::7]:5001",
    ],
)
def test_what_is_listed_is_allowed(address: str) -> None:
    read = Address.of(address)
    assert read is not None
    assert ALLOWED.allows(read)


@pytest.mark.parametrize(
    "address",
    [
        "other.internal:5001",
        "acme.internal.evil.example:5001",
        "sub.acme.internal:5001",
        "adapters.svc:5001",
        "eviladapters.svc:5001",
        "10.2.0.0:5001",
        "127.0.0.2:5001",
        "localhost:5001",
        "[fe00::7]:5001",
        "[::ffff:10.1.0.1]:5001",
    ],
)
def test_what_is_not_listed_is_not_allowed(address: str) -> None:
    read = Address.of(address)
    assert read is not None
    assert not ALLOWED.allows(read)
    assert not Allowed().allows(read)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "acme:",
        "acme:0",
        "acme:70000",
        "acme:5001/x",
        "http://acme:5001",
        "unix:/tmp/acme:1",
        "unix:acme",
        "dns:acme:5001",
        "user@acme:5001",
        "a b:5001",
        "acme.:5001",
        "127.1:5001",
        "2130706433:5001",
        "0x7f.0.0.1:5001",
        "127.0.0.01:5001",
        "fd00::7:5001",
        "[fe80::1%eth0]:5001",
        "[acme]:5001",
        f"{'a' * 64}:5001",
        f"{'a.' * 130}a:5001",
        "acme:5001\n",
        "acmé:5001",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert Address.of(text) is None


def test_equal_addresses_compare_equal_and_are_written_in_one_way() -> None:
    assert Address.of("[FD00:0::7]:5001") == Address.of("[fd00::7]:5001")
    assert str(Address.of("[FD00:0::7]:5001")) == "[fd00::7]:5001"
    assert str(Address.of("Acme.Internal:5001")) == "acme.internal:5001"


@pytest.mark.parametrize("entry", ["*", "*.", "a*.internal", "acme:5001", "10.1.2.3/16", "10.1", "http://acme", "a b"])
def test_wrong_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a host") as caught:
        Allowed.of([entry])
    assert repr(entry) in str(caught.value)


def test_empty_list_is_false() -> None:
    assert not Allowed.of([])
    assert Allowed.of(["0.0.0.0/0"])
