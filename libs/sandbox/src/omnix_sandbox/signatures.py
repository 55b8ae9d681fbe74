"""Signatures of reasoning, by which a vendor knows its own thoughts when they are sent back."""

from base64 import b64decode, b64encode
from binascii import Error
from hashlib import blake2b
from typing import Final

_KEY: Final = b"omnix-sandbox"
_LENGTH: Final = 48


def sign(text: str) -> str:
    """The signature of a text, in base64."""
    return b64encode(_digest(text)).decode()


def is_signed(text: str, signature: str) -> bool:
    """Whether `sign(text)` made this signature."""
    return signature == sign(text)


def seal(text: str) -> bytes:
    """A text that only the vendor can read: here it is plain behind its signature."""
    data = text.encode("utf-8", "surrogatepass")
    return b64encode(_digest(text) + data)


def is_sealed(data: bytes) -> bool:
    """Whether `seal` made this."""
    try:
        raw = b64decode(data, validate=True)
        return _digest(raw[_LENGTH:].decode("utf-8", "surrogatepass")) == raw[:_LENGTH]
    except (Error, UnicodeDecodeError):
        return False


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_LENGTH, key=_KEY).digest()
