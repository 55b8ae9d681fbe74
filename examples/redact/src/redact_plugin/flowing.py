"""Text that comes in pieces: what can be told of it already, and what must wait for the next piece. Pure."""

import re
from collections.abc import Set
from typing import Protocol

from redact_plugin.finding import LONGEST, Kind, find
from redact_plugin.vault import BEGUN, Vault

_PART = re.compile(r"[0-9A-Z().+/-]*\d[0-9A-Z().+/-]*|[A-Z0-9]{1,4}")
"""A word that may be a part of a number which is written with spaces."""


class Flow(Protocol):
    """One text of an answer."""

    held: str
    """What came and was not told, as it came."""

    def told(self, piece: str) -> str:
        """What can be told now that this came."""

    def rest(self) -> str:
        """What was held back, now that the text is at its end."""


class Restoring:
    """Placeholders become the values that they stand for; one may come in pieces."""

    def __init__(self, vault: Vault, *, in_json: bool) -> None:
        self._vault = vault
        self._in_json = in_json
        self.held = ""

    def told(self, piece: str) -> str:
        text = self.held + piece
        begun = BEGUN.search(text)
        end = len(text) if begun is None else begun.start()
        self.held = text[end:]
        return self._vault.restored(text[:end], in_json=self._in_json)

    def rest(self) -> str:
        rest, self.held = self.held, ""
        return rest


class Redacting:
    """Personal data becomes the name of its kind. A word is told when the next one begins."""

    def __init__(self, kinds: Set[Kind]) -> None:
        self._kinds = kinds
        self.held = ""

    def told(self, piece: str) -> str:
        text = self.held + piece
        end = self._decided(text)
        self.held = text[end:]
        return masked(text[:end], self._kinds)

    def rest(self) -> str:
        rest, self.held = self.held, ""
        return masked(rest, self._kinds)

    def _decided(self, text: str) -> int:
        """How much of it will be the same whatever follows."""
        # What is longer than anything personal is none.
        end = max(_begin_of_open(text), len(text) - LONGEST)
        for found in find(text, self._kinds):
            if found.start < end < found.end:
                return found.start
        return end


def _begin_of_open(text: str) -> int:
    """Where the last word begins, or the number in groups that it may be the end of."""
    at = _begin_of_word(text, len(text))
    while at and (before := _begin_of_word(text, at - 1)) >= len(text) - LONGEST:
        if text[at - 1] != " " or not _PART.fullmatch(text, before, at - 1):
            break
        at = before
    return at


def _begin_of_word(text: str, end: int) -> int:
    while end and not text[end - 1].isspace():
        end -= 1
    return end


def masked(text: str, kinds: Set[Kind]) -> str:
    """The text with the names of kinds in place of personal data."""
    pieces, at = [], 0
    for found in find(text, kinds):
        pieces += [text[at : found.start], f"[{found.kind.name}]"]
        at = found.end
    return "".join([*pieces, text[at:]])
