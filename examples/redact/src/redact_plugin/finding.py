"""Personal data in a text. Pure; every pattern is bounded, so that no text takes long."""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """In the order in which they are looked for: an earlier one keeps what a later one would take, too."""

    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    SSN = "ssn"
    IP = "ip"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Found:
    kind: Kind
    start: int
    end: int


LONGEST = 320
"""Characters that one finding has at most."""

_PATTERNS = {
    Kind.EMAIL: re.compile(
        r"(?<![\w.%+-])[\w][\w.%+-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
    ),
    Kind.IBAN: re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)"),
    Kind.CARD: re.compile(r"(?<![\w+])[0-9](?:[ -]?[0-9]){12,18}(?!\w)"),
    Kind.SSN: re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])"),
    Kind.IP: re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?\w)"),
    Kind.PHONE: re.compile(
        r"(?<![\w+.])\+?(?:\([0-9]{1,5}\)[ -]?)?[0-9]{1,15}"
        r"(?:(?:[ ./-]?\([0-9]{1,5}\)[ ./-]?|[ ./-])[0-9]{1,15}){0,7}(?!\w)"
    ),
}
_NO_PHONE = re.compile(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}|[0-9]+[.][0-9]+")
"""Dates and numbers."""
_WITHOUT_PREFIX = re.compile(r"\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}")
_DIGITS = re.compile(r"[0-9]")
_GAPS = re.compile(r"[ ./()-]+")


def find(text: str, kinds: Set[Kind]) -> list[Found]:
    """What is personal in it, in its order; no two overlap."""
    found: list[Found] = []
    taken = bytearray(len(text))
    for kind in Kind:
        if kind in kinds:
            for each in _of_kind(kind, text):
                if not any(taken[each.start : each.end]):
                    taken[each.start : each.end] = b"\1" * (each.end - each.start)
                    found.append(each)
    return sorted(found, key=lambda each: each.start)


def _of_kind(kind: Kind, text: str) -> Iterator[Found]:
    for match in _PATTERNS[kind].finditer(text):
        size = _SIZES[kind](match[0])
        if size:
            yield Found(kind, match.start(), match.start() + size)


def _cuts(text: str) -> Iterator[str]:
    """The text, and what is left of it without its last group, without its last two, and so on."""
    yield text
    for gap in reversed(list(_GAPS.finditer(text))):
        yield text[: gap.start()]


def _iban(text: str) -> int:
    """Without words in capitals that follow it."""
    return next((len(cut) for cut in _cuts(text) if _is_iban(cut.replace(" ", ""))), 0)


def _is_iban(text: str) -> bool:
    if not 15 <= len(text) <= 34:
        return False
    moved = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _card(text: str) -> int:
    """Without groups of digits that follow it."""
    return next((len(cut) for cut in _cuts(text) if _is_card([int(digit) for digit in _DIGITS.findall(cut)])), 0)


def _is_card(digits: Sequence[int]) -> bool:
    """By Luhn's check digit."""
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) >= 13 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _ip(text: str) -> int:
    return len(text) if all(int(part) <= 255 for part in text.split(".")) else 0


def _phone(text: str) -> int:
    """Without groups of digits that follow it."""
    cut = next(cut for cut in _cuts(text) if len(_DIGITS.findall(cut)) <= 15)
    return len(cut) if _is_phone(cut) else 0


def _is_phone(text: str) -> bool:
    """It begins as phone numbers do, or is grouped as in North America."""
    if len(_DIGITS.findall(text)) < 7 or _NO_PHONE.fullmatch(text):
        return False
    return text[0] in "+0(" or _WITHOUT_PREFIX.fullmatch(text) is not None


_SIZES: dict[Kind, Callable[[str], int]] = {
    Kind.EMAIL: len,
    Kind.IBAN: _iban,
    Kind.CARD: _card,
    Kind.SSN: len,
    Kind.IP: _ip,
    Kind.PHONE: _phone,
}
"""How much of a match is a finding; 0 when it is none."""
