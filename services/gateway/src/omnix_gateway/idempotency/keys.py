"""The key that a caller gives a call, and what it is a key to. Pure."""

import re
from hashlib import sha256
from typing import Final

import msgspec

from omnix_gateway.errors import invalid
from omnix_gateway.identity import Identity

HEADER: Final = "Idempotency-Key"
FIELD: Final = HEADER.lower().encode()
"""As it stands in a request's head."""
_KEY: Final = re.compile(r"[!-~]{1,255}")

_encoder = msgspec.json.Encoder(order="sorted")


def readable(key: str) -> str:
    """The key itself.

    :raises CallerError: when it is none.
    """
    if not _KEY.fullmatch(key):
        raise invalid(f"'{HEADER}' must have 1 to 255 visible characters of ASCII.", HEADER)
    return key


def place_of(identity: Identity, key: str) -> str:
    """Where the call of a key is remembered, within the tenant. Nobody else's key leads there.

    Neither can it be read from there.
    """
    digest = sha256(identity.key_id.encode())
    digest.update(b"\0")
    digest.update(key.encode())
    return digest.hexdigest()


def fingerprint(path: str, request: msgspec.Struct) -> bytes:
    """What tells two bodies of one path apart: all that they ask for, however it is written."""
    digest = sha256(path.encode())
    digest.update(b"\0")
    digest.update(_encoder.encode(request))
    return digest.digest()
