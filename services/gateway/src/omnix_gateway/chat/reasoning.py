"""Reasoning as it is streamed. Pure."""

from base64 import b64encode
from typing import Protocol


class Piece(Protocol):
    """A piece of reasoning, as the contracts have it."""

    text: str
    signature: bytes
    redacted: bytes
    provider: str


class Blocks:
    """Numbers the pieces of one alternative's reasoning.

    Pieces of the same number are one detail: OpenAI's SDK, and whoever else adds deltas up, then has text and proof
    together as they must be handed back. A proof ends its block; what only the vendor can read is one of its own.
    """

    def __init__(self) -> None:
        self._index = 0
        self._begun = False
        self._ended = False
        self._told = False

    def detail(self, piece: Piece) -> dict[str, object] | None:
        """What to add to the details; None while they would tell nothing that the text does not."""
        if self._ended or (piece.redacted and self._begun):
            self._index += 1
            self._told = False
        self._begun = True
        self._ended = bool(piece.signature or piece.redacted)
        if not (self._told or self._ended or piece.provider):
            return None
        told: dict[str, object] = {"index": self._index, "text": piece.text}
        if piece.signature:
            told["signature"] = b64encode(piece.signature).decode()
        if piece.redacted:
            told["redacted"] = b64encode(piece.redacted).decode()
        if piece.provider and not self._told:
            told["provider"] = piece.provider  # once: texts of the same number are put one after the other
            self._told = True
        return told
