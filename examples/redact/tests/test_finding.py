"""What counts as personal data, and how it is put away and back."""

import time

import pytest
from redact_plugin.finding import Kind, find
from redact_plugin.flowing import Redacting, Restoring, masked
from redact_plugin.vault import TooMuch, Vault, Vaults

ALL = frozenset(Kind)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to ann.b+c@mail.example.org, please.", [("email", "ann.b+c@mail.example.org")]),
        ("no@domain and @handle and a@b", []),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF", [("iban", "DE89 3704 0044 0532 0130 00")]),
        ("GB82WEST12345698765432", [("iban", "GB82WEST12345698765432")]),
        ("DE89 3704 0044 0532 0130 03", []),
        ("4111 1111 1111 1111 12 34", [("card", "4111 1111 1111 1111")]),
        ("5555-5555-5555-4444.", [("card", "5555-5555-5555-4444")]),
        ("order 4111111111111112", []),
        ("078-05-1120", [("ssn", "078-05-1120")]),
        ("from 10.0.0.1.", [("ip", "10.0.0.1")]),
        ("version 1.2.3.999, v1.2.3.4, 1.2.3.4.5", []),
        ("+49 170 1234567 or +14155552671", [("phone", "+49 170 1234567"), ("phone", "+14155552671")]),
        ("555-123-4567, (555) 123-4567", [("phone", "555-123-4567"), ("phone", "(555) 123-4567")]),
        ("030 1234567", [("phone", "030 1234567")]),
        ("on 2026-11-22 or 01/02/2026 it was 0.12345678 of 1234567890", []),
    ],
)
def test_finding(text: str, found: list[tuple[str, str]]) -> None:
    assert [(each.kind.value, text[each.start : each.end]) for each in find(text, ALL)] == found


def test_only_kinds_that_are_asked_for() -> None:
    assert masked("a@b.org 10.0.0.1", frozenset({Kind.IP})) == "a@b.org [IP]"


@pytest.mark.parametrize("text", ["a@" * 20_000, "1 " * 20_000, "(1) " * 10_000, "AB12 " * 8_000, "1" * 39 + "a "])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    find(text, ALL)
    assert time.process_time() - began < 10, "it would be hours if it were not linear"


def test_same_value_has_the_same_placeholder_and_comes_back() -> None:
    vault = Vault()
    redacted = vault.redacted("a@b.org, c@d.org, a@b.org", ALL)
    assert redacted == "[EMAIL_1], [EMAIL_2], [EMAIL_1]"
    assert vault.redacted("again c@d.org", ALL) == "again [EMAIL_2]"
    assert vault.restored(redacted + " [EMAIL_3]") == "a@b.org, c@d.org, a@b.org [EMAIL_3]"


def test_placeholder_that_the_caller_wrote_means_itself() -> None:
    vault = Vault(["[EMAIL_1]"])
    assert vault.redacted("a@b.org", ALL) == "[EMAIL_2]"
    assert vault.restored("[EMAIL_1] [EMAIL_2]") == "[EMAIL_1] a@b.org"


def test_values_of_one_completion_are_bounded() -> None:
    with pytest.raises(TooMuch):
        Vault().redacted(" ".join(f"a{number}@b.org" for number in range(10_001)), ALL)


def test_vaults_are_bounded_and_forgotten() -> None:
    vaults = Vaults(most=2, seconds=100, seconds_after_end=10)
    for number, name in enumerate("abc"):
        vaults.keep(name, Vault(), number)
    assert (vaults.of("a"), len(vaults)) == (None, 2)
    vaults.end("b", 5)
    assert vaults.of("b") is not None
    vaults.forget(16)
    assert (vaults.of("b"), vaults.of("c") is None) == (None, False)
    vaults.forget(103)
    assert len(vaults) == 0


TEXT = "Mail [EMAIL_1], not [x] nor [EMAIL_9] [EMAIL"


@pytest.mark.parametrize("size", range(1, 12))
def test_placeholders_come_back_however_the_text_is_cut(size: int) -> None:
    vault = Vault()
    vault.redacted("ann@example.org", ALL)
    flow = Restoring(vault, in_json=False)
    told = ""
    for at in range(0, len(TEXT), size):
        told += flow.told(TEXT[at : at + size])
        assert vault.restored(told + flow.held) == vault.restored(TEXT[: at + size])
        assert len(flow.held) <= 12
    assert told + flow.rest() == "Mail ann@example.org, not [x] nor [EMAIL_9] [EMAIL"


def test_value_in_json_stays_json() -> None:
    vault = Vault()
    vault._values["[EMAIL_1]"] = 'a"b'
    assert vault.restored('{"to": "[EMAIL_1]"}', in_json=True) == '{"to": "a\\"b"}'


PERSONAL = "I am ann@example.org, call +49 170 1234567 or pay 4111 1111 1111 1111 to DE89 3704 0044 0532 0130 00 now."


@pytest.mark.parametrize("size", range(1, 20))
def test_answers_are_redacted_however_they_are_cut(size: int) -> None:
    flow = Redacting(ALL)
    told = "".join(flow.told(PERSONAL[at : at + size]) for at in range(0, len(PERSONAL), size)) + flow.rest()
    assert told == "I am [EMAIL], call [PHONE] or pay [CARD] to [IBAN] now."


def test_what_is_longer_than_anything_personal_is_not_held_back() -> None:
    flow = Redacting(ALL)
    assert len(flow.told("x" * 10_000)) > 9_000
